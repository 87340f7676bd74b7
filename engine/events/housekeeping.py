"""What a server does with its event store beside the calls: it deletes what is too old, scrubs after deletions."""

import threading
import time

import structlog

from engine.events.base import EventStore
from engine.events.errors import EventStoreError

_DAY = 86_400.0
_PAUSE = 0.05
"""Seconds between two transactions that delete, in which others write."""
_AGAIN = 60.0
"""Seconds after a failure of the database before it is tried again."""


class Housekeeping:
    """Purges at the start and each day, and scrubs when it is asked to, in a thread of its own.

    Args:
        store: what is kept in order.
        every: seconds between two purges.
    """

    def __init__(self, store: EventStore, every: float = _DAY) -> None:
        self._store, self._every = store, every
        self._log = structlog.get_logger("triveni.events")
        self._changed = threading.Condition()
        self._asked = self._scrubbed = 0
        self._purge_at = self._scrub_at = time.monotonic()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="housekeeping", daemon=True)
        self._thread.start()

    def scrub(self, seconds: float) -> bool:
        """Ask for a scrub that begins from now on, and wait for its end so many seconds at most; whether it came.

        All who ask before one begins have the same one. One that fails is tried again.
        """
        with self._changed:
            self._asked += 1
            mine = self._asked
            self._scrub_at = time.monotonic()
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._scrubbed >= mine or self._closing.is_set(), seconds) and (
                self._scrubbed >= mine
            )

    def close(self) -> None:
        """End, after the transaction that runs. Twice is allowed."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                if time.monotonic() >= self._purge_at:
                    self._purge_at = time.monotonic() + self._every
                    self._purge()
                with self._changed:
                    asked = self._asked
                if asked > self._scrubbed and time.monotonic() >= self._scrub_at:
                    self._store.scrub()
                    with self._changed:
                        self._scrubbed = asked
                        self._changed.notify_all()
            except EventStoreError as error:
                self._log.warning("housekeeping failed", reason=str(error), seconds=_AGAIN)
                self._purge_at = min(self._purge_at, time.monotonic() + _AGAIN)
                self._scrub_at = time.monotonic() + _AGAIN
            self._wait()

    def _wait(self) -> None:
        def due() -> float:
            """Seconds until there is something to do."""
            times = [self._purge_at, *([self._scrub_at] if self._asked > self._scrubbed else [])]
            return min(times) - time.monotonic()

        with self._changed:
            while not self._closing.is_set() and (seconds := due()) > 0:
                self._changed.wait(seconds)

    def _purge(self) -> None:
        gone = 0
        while not self._closing.is_set() and (some := self._store.purge()):
            gone += some
            self._closing.wait(_PAUSE)
        if gone:
            self._log.info("purged", rows=gone)
