"""Served lists on their way into the event store, beside the requests and never before them."""

import threading
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

import structlog

from engine.core.types import UserId
from engine.events.base import EventStore
from engine.events.errors import EventError, EventStoreError
from engine.events.types import Impression

_BATCH = 500
"""Lists that are written in one transaction."""
_GATHER = 0.5
"""Seconds in which lists gather before they are written: a transaction for each would slow the requests beside it."""
_PAUSE = 1.0
"""Seconds after a failure of the database before it is tried again, and between two warnings."""
_FORGET = timedelta(hours=1)
"""How long a list that was served before its person was forgotten may take to come: longer than any call."""


class ImpressionLog:
    """Writes served lists in a thread of its own, many at once.

    `add` never waits: where lists come faster than the database takes them, or it fails, so many wait, and what
    comes then is dropped. What was dropped is counted, and the log says so.

    Args:
        store: where to.
        max_waiting: lists that may wait.
        gather: seconds in which lists gather before they are written.
        pause: seconds before the database is tried again.
    """

    def __init__(
        self, store: EventStore, *, max_waiting: int = 10_000, gather: float = _GATHER, pause: float = _PAUSE
    ) -> None:
        self._store, self._max_waiting, self._gather, self._pause = store, max_waiting, gather, pause
        self._log = structlog.get_logger("triveni.service")
        self._waiting: deque[Impression] = deque()
        self._changed = threading.Condition()
        self._forgotten: dict[UserId, datetime] = {}
        self._taken = self._done = 0  # lists that were ever taken in, and that were settled
        self._told = 0
        self._closing, self._flushing = False, 0
        self.dropped = 0
        """Lists that were not written: no room, refused by the store, or left at the end."""
        self._thread = threading.Thread(target=self._work, name="impressions", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Lists that wait to be written."""
        return len(self._waiting)

    def add(self, impression: Impression) -> None:
        """Take in a served list; at once, whatever the database does."""
        with self._changed:
            if impression.time <= self._forgotten.get(impression.user, impression.time - _FORGET):
                return
            if self._closing or len(self._waiting) >= self._max_waiting:
                self.dropped += 1
                return
            self._waiting.append(impression)
            self._taken += 1
            self._changed.notify_all()

    def forget(self, user: UserId) -> None:
        """Take in no list any more that was served to a person until now: its call may be just about to end."""
        now = datetime.now(UTC)
        with self._changed:
            self._forgotten.pop(user, None)
            self._forgotten[user] = now  # behind those of before
            while self._forgotten[oldest := next(iter(self._forgotten))] < now - _FORGET:
                del self._forgotten[oldest]

    def flush(self, seconds: float) -> bool:
        """Wait until all that was taken in so far is settled, for so many seconds at most; whether it is."""
        with self._changed:
            upto = self._taken
            self._flushing += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: self._done >= upto, seconds)
            finally:
                self._flushing -= 1

    def close(self, seconds: float = 10.0) -> None:
        """Write what waits, for so many seconds at most, and take in no more. Twice is allowed."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(seconds)
        with self._changed:
            self.dropped += len(self._waiting)
            self._waiting.clear()
        self._tell()

    def _work(self) -> None:
        while batch := self._next():
            settled = self._write(batch)
            with self._changed:
                for _ in range(min(settled, len(self._waiting))):  # `close` may have given them up
                    self._waiting.popleft()
                self._done += settled
                self._changed.notify_all()
                if settled < len(batch):
                    if self._closing:
                        return
                    self._changed.wait_for(lambda: self._closing, self._pause)
            self._tell()

    def _next(self) -> list[Impression]:
        """The lists that have waited longest, which stay there until they are written; none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            self._changed.wait_for(
                lambda: self._closing or self._flushing or len(self._waiting) >= _BATCH, self._gather
            )
            return list(islice(self._waiting, _BATCH))

    def _write(self, batch: Sequence[Impression]) -> int:
        """Write lists, and say how many from the first on are settled: fewer than all if the database fails.

        One that the store refuses does not keep out the others.
        """
        try:
            self._store.log_impressions(batch)
        except EventError as error:
            if len(batch) > 1:
                return sum(takewhile(bool, (self._write([impression]) for impression in batch)))
            with self._changed:
                self.dropped += 1
            self._log.warning("impression refused", request_id=batch[0].request_id, reason=str(error))
        except EventStoreError as error:
            self._log.warning("impressions wait", waiting=len(self._waiting), reason=str(error))
            return 0
        return len(batch)

    def _tell(self) -> None:
        """Say how many lists were dropped since it was said last."""
        dropped = self.dropped - self._told
        if dropped:
            self._told += dropped
            self._log.warning("impressions dropped", count=dropped, in_all=self.dropped)
