"""Items as a stream: bad ones among good ones, taken as they can be sent, broken off."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.service.server import ServerOptions
from tests.client.conftest import MAX_MESSAGE
from tests.service.running import Running, open_edge, open_events, running
from tests.tiny import concept_png, concept_space, concept_wav
from triveni.client import AsyncClient, DeadlineError, TriveniError
from triveni.client.upserting import WINDOW

COUNT = 1000
GOOD = {"text": "a bell"}


def bad_rows(folder: Path) -> dict[int, Any]:
    """By position what cannot be stored, each for another reason."""
    (folder / "notes.png").write_text("no picture")
    return {
        0: {"id": "0"},
        1: {"text": "without an id"},
        7: {"id": "7", "image": "nowhere.png"},
        8: {"id": "8", "image": "notes.png"},
        130: {"id": "130", "image": "../outside.png"},
        131: {"id": "131", "audio": b"\0" * (MAX_MESSAGE + 1)},
        200: {"id": "200", "text": 3},
        201: {"id": "201", "text": "\ud800"},
        202: {"id": "202", "image": 3.5},
        300: "no dict",
        301: {"id": "", **GOOD},
        302: {"id": "302", "thing": object(), **GOOD},
        303: {"id": "303", "ean": 2**60, **GOOD},
        304: {"id": "304", "_digest": "x", **GOOD},
        305: {"id": "305", "price": "cheap", **GOOD},
        999: {"id": None, **GOOD},
    }


def test_a_thousand_items_and_the_bad_among_them(client: Any, tmp_path: Path) -> None:
    (tmp_path / "bell.png").write_bytes(concept_png("bell"))
    bad = bad_rows(tmp_path)
    rows = [bad.get(n, {"id": f"many/{n}", **GOOD, "n": n}) for n in range(COUNT)]
    rows[500] = {"id": "many/500", "image": tmp_path / "bell.png", "audio": concept_wav("bell"), "text": None}
    rows[501] = {"id": "many/501", "image": "bell.png", "audio": b"no sound"}
    try:
        done = client.upsert((row for row in rows), root=tmp_path)
        assert (done.stored, done.unchanged, done.rejected) == (COUNT - len(bad), 0, len(bad))
        refused = {one.index: one for one in done if one.outcome == "rejected"}
        assert refused.keys() == bad.keys()
        assert all(one.problem.message and one.problem.reason for one in refused.values())
        assert [refused[n].id for n in (7, 130, 303)] == ["7", "130", "303"]
        for index, says in {
            7: "cannot read",
            130: "not under the root",
            131: "bytes",
            303: "rounded",
            305: "cheap",
        }.items():
            assert says in str(refused[index].problem)
        (partly,) = [one for one in done if one.outcome == "stored"]
        assert partly.index == 501
        assert len(partly.missing) == 1
        assert client.get("many/500").modalities == ("image", "audio")
        again = client.upsert(rows, root=tmp_path)
        assert (again.stored, again.unchanged, again.rejected) == (0, COUNT - len(bad), len(bad))
        assert "many/999" not in {one.id for one in client.list()}
    finally:
        deleted = client.delete([one.id for one in client.list() if one.id.startswith("many/")])
    assert deleted == COUNT - len(bad)


def test_strict_items_are_refused_as_a_whole(client: Any) -> None:
    (result,) = client.upsert_each([{"id": "strict", "text": "a", "image": b"\x89PNG"}], strict=True)
    assert (result.outcome, result.id) == ("rejected", "strict")
    assert result.problem.field == "contents[1].image"


def test_results_come_in_order_and_items_are_taken_as_there_is_room(client: Any) -> None:
    taken = []

    def endless() -> Iterator[dict[str, Any]]:
        for number in range(10**9):
            taken.append(number)
            yield {"id": f"endless/{number % 5}", **GOOD}

    results = client.upsert_each(endless())
    assert [next(results).index for _ in range(300)] == list(range(300))
    assert len(taken) <= 300 + WINDOW
    results.close()
    assert client.delete([f"endless/{n}" for n in range(5)]) == 5


def test_an_iterable_that_breaks_ends_it_after_what_was_under_way(client: Any) -> None:
    def breaks() -> Iterator[dict[str, Any]]:
        yield {"id": "before", **GOOD}
        raise LookupError("the source broke")

    results = client.upsert_each(breaks())
    assert next(results).outcome == "stored"
    with pytest.raises(LookupError, match="the source broke"):
        next(results)
    assert client.delete("before") == 1


def test_nothing_is_no_error(client: Any) -> None:
    assert repr(client.upsert([])) == "Upserted(stored=0, unchanged=0, rejected=0)"


def test_a_stream_that_takes_too_long_says_how_far_it_came(client: Any) -> None:
    def slow() -> Iterator[dict[str, Any]]:
        yield {"id": "slow", **GOOD}
        time.sleep(0.6)
        yield {"id": "slow", **GOOD}

    with pytest.raises(DeadlineError) as late:
        client.upsert(slow(), timeout=0.3)
    assert "send all again" in late.value.__notes__[0]
    client.delete("slow")


def test_progress_is_written_to_standard_error(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    client.upsert([{"id": "one", **GOOD}, {"id": "two"}], progress=True)
    assert "2 items: 1 stored, 0 unchanged, 1 rejected" in capsys.readouterr().err
    client.delete("one")


def test_items_are_taken_in_the_thread_that_asks(connect: Any, server: Running) -> None:
    """A cursor of SQLite, for one, belongs to its thread."""
    threads = set()

    def rows() -> Iterator[dict[str, Any]]:
        for _ in range(3):
            threads.add(threading.current_thread().name)
            yield {"id": "thread", **GOOD}

    client = connect(server.address)
    client.upsert(rows())
    client.delete("thread")
    assert len(threads) == 1


def test_an_asynchronous_iterable_and_a_stream_that_is_cancelled(server: Running) -> None:
    async def endless() -> AsyncIterator[dict[str, Any]]:
        for number in range(10**9):
            await asyncio.sleep(0)
            yield {"id": "async", "number": number, **GOOD}

    async def run() -> None:
        async with AsyncClient(server.address) as client:
            seen = []

            async def take() -> None:
                async for result in client.upsert_each(endless()):
                    seen.append(result)  # noqa: PERF401 (it never ends)

            task = asyncio.create_task(take())
            while len(seen) < 200:
                assert not task.done()
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert [result.index for result in seen] == list(range(len(seen)))
            assert await client.delete("async") == 1  # the client lives on
            for _ in range(1000):
                if server.server._calls.running == 0:
                    break
                await asyncio.sleep(0.01)
            assert server.server._calls.running == 0  # and the server has let go of the stream

    asyncio.run(run())


def test_a_server_that_goes_away_in_the_middle_ends_the_stream(connect: Any, tmp_path: Path) -> None:
    space = concept_space()
    store, events = open_edge(tmp_path / "items", space), open_events(tmp_path)
    options = ServerOptions(address="127.0.0.1:0", drain_seconds=0)
    with running(space, store, events, options) as server:
        client = connect(server.address)

        def rows() -> Iterator[dict[str, Any]]:
            for number in range(10**9):
                if number == 300:
                    server.do(server.server.stop)
                yield {"id": str(number), **GOOD}

        with pytest.raises(TriveniError) as gone:
            client.upsert(rows())
    assert "send all again" in gone.value.__notes__[0]
    assert 170 < store.count() <= 600  # what was answered is there
    events.close()
    store.close()
