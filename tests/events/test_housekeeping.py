"""What a server does with its event store beside the calls, over real stores."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import pytest

from engine.events import housekeeping
from engine.events.errors import EventStoreError
from engine.events.housekeeping import Housekeeping
from engine.events.sql import SqlEventStore
from engine.events.types import Retention
from tests.events.stores import ANN, ago, click, open_store, served

KEPT = Retention(timedelta(days=5), timedelta(days=5))


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def rows(store: SqlEventStore) -> tuple[int, int]:
    found = store.stats()
    return found.events, found.impressions


def test_it_purges_when_it_begins_and_again(url: str) -> None:
    with closing(open_store(url)) as every, closing(open_store(url, retention=KEPT)) as kept:
        every.record([click(name=f"{row}", time=ago(days=9)) for row in range(1500)])
        every.record([click(name="young", time=ago(days=1))])
        with closing(Housekeeping(kept, every=0.2)):
            until(lambda: rows(every) == (1, 0))
            every.log_impressions([served("old", time=ago(days=9)), served("young", time=ago(days=1))])
            until(lambda: rows(every) == (1, 1))


class Watched(SqlEventStore):
    """The real store, which counts scrubs, holds them at a gate, and fails as often as it is told to."""

    gate: threading.Event
    scrubs = failures = 0

    def scrub(self) -> None:
        self.scrubs += 1
        self.gate.wait(20)
        if self.failures:
            self.failures -= 1
            raise EventStoreError("event store failed: disk I/O error", "try again")
        super().scrub()


@pytest.fixture
def store(url: str) -> Watched:
    made = Watched(url)
    made.gate = threading.Event()
    return made


def test_all_who_wait_have_one_scrub(store: Watched) -> None:
    with closing(store), closing(Housekeeping(store)) as keeping:
        assert not keeping.scrub(0.01)  # it runs now, and is held
        until(lambda: store.scrubs == 1)
        done: list[bool] = []
        threads = [threading.Thread(target=lambda: done.append(keeping.scrub(30))) for _ in range(5)]
        for thread in threads:
            thread.start()
        until(lambda: keeping._asked == 6)
        store.gate.set()
        for thread in threads:
            thread.join(30)
        assert done == [True] * 5
        assert store.scrubs == 2, "those who asked meanwhile need one that began after they did, and one is enough"


def test_a_scrub_that_fails_is_tried_again(store: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "_AGAIN", 0.01)
    store.failures = 2
    store.gate.set()
    with closing(store), closing(Housekeeping(store)) as keeping:
        store.record([click(time=None)])
        store.delete_user(ANN)
        assert keeping.scrub(30)
        assert store.scrubs == 3


def test_it_ends_while_somebody_waits(store: Watched) -> None:
    keeping = Housekeeping(store)
    waiting = threading.Thread(target=lambda: keeping.scrub(60))
    waiting.start()
    until(lambda: store.scrubs == 1)
    ending = threading.Thread(target=keeping.close)
    ending.start()
    waiting.join(30)
    assert not waiting.is_alive(), "nobody waits for what may not come any more"
    store.gate.set()
    ending.join(30)
    assert not ending.is_alive()
    assert not keeping.scrub(60)
    store.close()
