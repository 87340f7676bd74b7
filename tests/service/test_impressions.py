"""The log of served lists beside a database that is slow, fails, or refuses."""

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.core.deadline import Deadline
from engine.core.kinds import STANDARD_KINDS
from engine.core.types import Event, EventKind, ItemId, Query, Recommendations, UserId
from engine.core.validate import MAX_HISTORY
from engine.events.errors import EventStoreError
from engine.events.history import StoredHistory
from engine.events.sql import SqlEventStore
from engine.events.types import HistoryPage, Impression
from engine.query.settings import FuseSettings
from engine.service.convert.results import recommend_response
from engine.service.impressions import ImpressionLog
from tests.events.stores import open_store, served


class Gated(SqlEventStore):
    """The real store, whose writes wait for a gate, and which fails as often as it is told to."""

    gate: threading.Event
    failures = 0

    def log_impressions(self, impressions: Sequence[Impression]) -> int:
        self.gate.wait(20)
        if self.failures:
            self.failures -= 1
            raise EventStoreError("event store failed: disk I/O error", "try again")
        return super().log_impressions(impressions)

    def history(self, *_: object, **__: object) -> HistoryPage:
        raise EventStoreError("event store failed: disk I/O error", "try again")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Gated]:
    opened = Gated(f"sqlite:///{tmp_path / 'events.db'}")
    opened.gate = threading.Event()
    opened.gate.set()
    yield opened
    opened.close()


def names(store: SqlEventStore) -> list[str]:
    return sorted(found.impression.request_id for found in store.impressions())


def test_what_finds_no_room_is_dropped_and_counted_and_nobody_waits(store: Gated) -> None:
    store.gate.clear()
    log = ImpressionLog(store, max_waiting=5)
    for row in range(8):
        log.add(served(f"r{row}"))  # would hang here if it waited
    assert log.dropped == 3
    assert not log.flush(0.01)
    store.gate.set()
    assert log.flush(10)
    log.close()
    assert names(store) == [f"r{row}" for row in range(5)]


def test_a_database_that_fails_is_tried_again(store: Gated) -> None:
    store.failures = 2
    log = ImpressionLog(store, pause=0.01)
    log.add(served("r1"))
    assert log.flush(10)
    log.close()
    assert (names(store), log.dropped) == (["r1"], 0)


def test_a_list_that_is_refused_keeps_out_no_other(store: Gated) -> None:
    store.gate.clear()
    log = ImpressionLog(store)
    for name in ("r1", "", "r2"):
        log.add(served(name))
    store.gate.set()
    log.close()
    assert (names(store), log.dropped) == (["r1", "r2"], 1)


def test_a_list_whose_call_ends_after_its_person_was_forgotten_is_not_taken_in(store: Gated) -> None:
    log, now = ImpressionLog(store), datetime.now(UTC)
    log.forget(UserId("ann"))
    log.add(served("before", "ann", time=now))
    log.add(served("of another", "bob", time=now))
    log.add(served("after", "ann", time=datetime.now(UTC) + timedelta(seconds=1)))
    assert log.flush(20)
    assert (names(store), log.dropped) == (["after", "of another"], 0)
    log.close()


def test_what_the_database_never_took_is_counted_at_the_end(store: Gated) -> None:
    store.failures = 10**9
    log = ImpressionLog(store, pause=0.01)
    for row in range(4):
        log.add(served(f"r{row}"))
    log.close()
    log.add(served("late"))
    assert (names(store), log.dropped) == ([], 5)


def test_recommendations_go_on_without_the_database_and_say_so(store: Gated) -> None:
    like = Event(EventKind.LIKE, ItemId("bird"))
    query = Query(history=(like,), user=UserId("ann"))
    joined = StoredHistory(store, STANDARD_KINDS.weights, 200).join(query, Deadline())
    assert joined.query.history == (like,)
    answer = Recommendations((), "r", "f", "untrained", "retrieval")
    (skipped,) = recommend_response(answer, joined).skipped
    assert (skipped.index, skipped.event_id) == (-1, "")
    assert "disk I/O error" in skipped.reason


def test_only_the_newest_events_of_kinds_that_weigh_are_read(tmp_path: Path) -> None:
    from tests.events.stores import ago, click

    store = open_store(f"sqlite:///{tmp_path / 'events.db'}")
    store.record([click(item=f"i{row}", name=f"e{row}", time=ago(hours=row)) for row in range(6)])
    query = Query(user=UserId("ann"))
    join = StoredHistory(store, STANDARD_KINDS.weights, 3).join
    assert [event.id for event in join(query, Deadline()).query.history] == ["e2", "e1", "e0"]
    own = (Event(EventKind.LIKE, item=ItemId("bird")),) * (MAX_HISTORY - 1)
    full = join(Query(user=UserId("ann"), history=own), Deadline()).query.history
    assert len(full) == MAX_HISTORY  # more would be refused, for what the caller did not send
    assert full[-1].id == "e0"
    settings = FuseSettings(weights=dict.fromkeys(EventKind, 0.0))
    assert StoredHistory(store, settings.weights, settings.max_events).join(query, Deadline()).query.history == ()
    store.close()
