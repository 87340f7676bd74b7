"""The small parts: the set of ids, the channels, the budget, the schema, the progress."""

import io
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from engine.core.filters import FieldKind, Schema
from engine.core.types import ItemId, Json
from indexers.progress import Bar, Clock, Lines
from indexers.schema import infer_schema
from indexers.seen import IdSet
from indexers.stages import Budget, StageChannel, StagesStopped, StopStages, batches, ordered_map

# Ids --------------------------------------------------------------------------------------------------------


@given(st.lists(st.text("abü\n'", min_size=1, max_size=3), max_size=40), st.integers(1, 7))
def test_set_of_ids_is_a_set(names: list[str], size: int) -> None:
    with IdSet() as ids:
        plain: set[str] = set()
        for name in names:
            assert ids.add(ItemId(name)) == (name not in plain)
            plain.add(name)
        assert len(ids) == len(plain)
        assert ids.missing([ItemId("zz"), *map(ItemId, names), ItemId("zz")]) == ["zz"]
        pages = list(ids.pages(size))
        assert sorted(name for page in pages for name in page) == sorted(plain)
        assert all(len(page) == size for page in pages[:-1])


def test_missing_asks_in_parts() -> None:
    with IdSet() as ids:
        for number in range(0, 2000, 2):
            ids.add(ItemId(str(number)))
        assert ids.missing(ItemId(str(n)) for n in range(2000)) == [str(n) for n in range(1, 2000, 2)]


# Stages -----------------------------------------------------------------------------------------------------


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it did not come to pass within five seconds")


def test_channel_is_bounded_and_keeps_the_order() -> None:
    channel: StageChannel[int] = StageChannel(3, StopStages())
    sent: list[int] = []

    def send() -> None:
        for number in range(10):
            channel.put(number)
            sent.append(number)
        channel.close()

    thread = in_thread(send)
    until(lambda: len(sent) == 3)
    time.sleep(0.05)
    assert sent == [0, 1, 2]
    assert list(channel) == list(range(10))
    thread.join(5)
    assert not thread.is_alive()


def test_stop_ends_whoever_waits_and_keeps_the_first_error() -> None:
    stop = StopStages()
    full: StageChannel[int] = StageChannel(1, stop)
    empty: StageChannel[int] = StageChannel(1, stop)
    budget = Budget(10, stop)
    full.put(1)
    budget.take(10)
    ended: list[str] = []

    def wait(name: str, work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            with pytest.raises(StagesStopped):
                work()
            ended.append(name)

        return run

    works = {"put": lambda: full.put(2), "get": lambda: list(empty), "take": lambda: budget.take(1)}
    threads = [in_thread(wait(name, work)) for name, work in works.items()]
    first = ValueError("first")
    stop.set(first)
    stop.set(ValueError("second"))
    for thread in threads:
        thread.join(5)
    assert sorted(ended) == ["get", "put", "take"]
    assert stop.error is first


def test_budget_lets_in_while_there_is_room() -> None:
    budget = Budget(10, StopStages())
    budget.take(9)
    budget.take(100)  # it overruns once
    thread = in_thread(lambda: budget.take(1))
    thread.join(0.05)
    assert thread.is_alive()
    budget.give(100)
    thread.join(5)
    assert not thread.is_alive()


def test_ordered_map_keeps_the_order_and_reads_only_a_window_ahead() -> None:
    read: list[int] = []

    def things() -> Iterator[int]:
        for number in range(50):
            read.append(number)
            yield number

    def work(number: int) -> int:
        time.sleep(0.001 * (number % 3))
        return number * 2

    with ThreadPoolExecutor(4) as pool:
        results = ordered_map(pool, work, things(), 5)
        assert next(results) == 0
        assert len(read) == 5
        assert list(results) == [2 * number for number in range(1, 50)]


@given(st.lists(st.integers(0, 9)), st.integers(1, 5), st.integers(1, 20))
def test_batches_hold_everything_in_order_and_end_in_time(weights: list[int], size: int, limit: int) -> None:
    groups = list(batches(weights, size, lambda weight: weight, limit))
    assert [weight for group in groups for weight in group] == weights
    for group in groups:
        assert 1 <= len(group) <= size
        assert sum(group[:-1]) < limit
    for group in groups[:-1]:
        assert len(group) == size or sum(group) >= limit


# Schema -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["birds", "cats"], FieldKind.KEYWORD),
        ([["a", "b"], []], FieldKind.KEYWORD),
        ([1, 2], FieldKind.INTEGER),
        ([1, 2.5], FieldKind.FLOAT),
        ([[1, 2], 3], FieldKind.INTEGER),
        ([True, False], FieldKind.BOOL),
        (["2024-05-01T10:00:00Z", "2024-05-02"], FieldKind.DATETIME),
        (["2024-05-01", "soon"], FieldKind.KEYWORD),
        (["2024-05-01T10:00Z"], FieldKind.KEYWORD),  # no store compares it: see engine.store.match
        (["2024-13-45"], FieldKind.KEYWORD),
        ([{"lat": 1.5, "lon": 2}], FieldKind.GEO),
        ([{"lat": 1.5}], None),
        ([{"lat": True, "lon": 2}], None),
        (["a long description that reads like prose, with many words in it"], None),
        (["x" * 200], None),
        ([1, "a"], None),
        ([True, 1], None),
        ([[]], None),
    ],
)
def test_kind_of_a_field(values: list[Json], kind: FieldKind | None) -> None:
    found = infer_schema(({"field": value} for value in values), {})
    assert found == ({} if kind is None else {"field": kind})


def test_declared_kinds_and_names_that_are_no_paths() -> None:
    declared: Schema = {"n": FieldKind.KEYWORD, "deep.inner": FieldKind.INTEGER}
    payloads: list[dict[str, Json]] = [{"n": 1, "a.b": 1, "a[0]": 1, "_x": 1, "ok-1": 1}]
    assert infer_schema(payloads, declared) == {**declared, "ok-1": FieldKind.INTEGER}


# Progress ---------------------------------------------------------------------------------------------------


def test_bar_shows_count_rate_and_failures() -> None:
    out = io.StringIO()
    bar = Bar(Console(file=out, force_terminal=True, width=120))
    bar.start(200)
    bar.update(50, 3)
    bar.phase("pruning")
    bar.close()
    assert "50/200" in out.getvalue()
    assert "items/s" in out.getvalue()
    assert "3 failed" in out.getvalue()
    assert "pruning" in out.getvalue()


def test_lines_say_how_far_it_is() -> None:
    with structlog.testing.capture_logs() as logs:
        lines = Lines(every=0)
        lines.start(200)
        lines.update(20, 0)
        lines.update(50, 3)
        lines.phase("pruning")
        lines.close()
    assert [log["event"] for log in logs] == ["indexing", "indexing", "indexing", "pruning"]
    assert logs[2]["done"] == 50
    assert logs[2]["failed"] == 3
    assert logs[2]["seconds_left"] >= 0


def test_no_time_left_is_told_where_the_total_is_unknown() -> None:
    clock = Clock(None)
    for done in (10, 20):
        time.sleep(0.01)
        clock.update(done)
    assert clock.rate > 0
    assert clock.left is None


def test_what_is_loaded_first_is_not_in_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter((0.0, 30.0, 60.0, 61.0, 62.0))
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    clock = Clock(1_000)
    for done in (0, 100):  # a minute of loading
        clock.update(done)
        assert clock.left is None
    for done in (200, 300):
        clock.update(done)
    assert (clock.rate, clock.left) == (100.0, 7.0)
