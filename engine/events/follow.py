"""Events from a stream of Redis, recorded as they come; the row format is in `engine.events.rows`.

An entry holds the columns as fields of text, or one field `event` with the row as JSON. Without a `time` it happened
when it was added, and without an `id` its place in the stream is one, so that an entry that is delivered again is
recorded once.

Each batch is recorded, then acknowledged: what is read by a process that dies is delivered again, to the consumer of
the same name or, after a while, to any other (XAUTOCLAIM). Entries that are no events go to the dead letters and are
acknowledged too. While Redis or the database cannot be reached, it tries again, each time after a longer wait.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, cast

import redis
import structlog
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as SlowError

from engine.core.rows import Cells, parsed_object
from engine.events.base import EventStore
from engine.events.errors import EventError, EventStoreError
from engine.events.files import RowReader
from engine.events.types import OutcomeKind, UserEvent

_EVENT = "event"
_BLOCK_SECONDS = 1.0
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 30.0

Entry = tuple[bytes, Mapping[bytes, bytes] | None]
"""Its place in the stream, and its fields; None where it was deleted meanwhile."""


@dataclass(slots=True)
class Followed:
    """What became of the entries so far."""

    recorded: int = 0
    duplicates: int = 0
    rejected: int = 0
    claimed: int = 0
    """Those of other consumers, which had read them and not acknowledged."""


class Letters:
    """The file of dead letters, one JSON object per line, which grows.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def add(self, entry: str, error: EventError, cells: Cells | None) -> None:
        """Write a letter; of an entry that is no row only its place in the stream, as it may name a person.

        Args:
            entry: its place in the stream.
            error: what is wrong with it.
            cells: its row, without the person; None where it is none.
        """
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8", errors="backslashreplace")
        letter = {"entry": entry, "field": error.field, "reason": error.problem, "remedy": error.remedy}
        self._file.write(
            json.dumps({**letter, "row": "" if cells is None else str(cells)[:2000]}, ensure_ascii=False) + "\n"
        )

    def flush(self) -> None:
        """Let what was written survive; before it is acknowledged."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class Follower:
    """One consumer of a group.

    Args:
        client: Redis; answers are bytes.
        stream: the stream's name.
        group: the group's, which is made where it is not there, from the stream's beginning.
        consumer: its own name in the group.
        store: where events are recorded.
        event: makes events of rows.
        letters: takes the entries that are no events.
        batch: entries that are read at once.
        claim_seconds: entries that another consumer has read and not acknowledged for so long are taken over.
    """

    def __init__(
        self,
        client: "redis.Redis",
        stream: str,
        group: str,
        consumer: str,
        store: EventStore,
        event: RowReader,
        letters: Letters,
        *,
        batch: int = 500,
        claim_seconds: float = 60.0,
    ) -> None:
        self._client, self._stream, self._group, self._consumer = client, stream, group, consumer
        self._store, self._event, self._letters = store, event, letters
        self._batch, self._claim_ms = batch, int(claim_seconds * 1000)
        self._claimed_until: str | bytes = "0-0"
        self.done = Followed()
        self._log = structlog.get_logger("triveni.events")

    def run(self, wait: Callable[[float], bool], *, once: bool = False) -> None:
        """Record what comes until it is stopped.

        Args:
            wait: waits so many seconds, and says whether to stop.
            once: stop when there is nothing more to read, and raise instead of trying again.

        Raises:
            EventStoreError: if Redis or the database fails, with `once`; if Redis refuses what is asked.
        """
        pause = _FIRST_WAIT
        ready = False
        while not wait(0.0):
            try:
                if not ready:
                    self._make_group()
                    self._drain(wait)
                    ready = True
                read = self._claim() + self._step(">", None if once else _BLOCK_SECONDS)
                if once and not read:
                    return
                pause = _FIRST_WAIT
            except (RedisError, EventStoreError) as error:
                gone = isinstance(error, ResponseError) and str(error).startswith("NOGROUP")
                passing = gone or isinstance(error, (LostError, SlowError, EventStoreError))
                if (once and not gone) or not passing:
                    raise _told(error) from None
                ready = False
                self._log.warning("waiting", reason=str(error)[:200], seconds=round(pause, 1))
                if wait(pause):
                    return
                pause = min(2 * pause, _LONGEST_WAIT)

    def _make_group(self) -> None:
        try:
            self._client.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _drain(self, wait: Callable[[float], bool]) -> None:
        """Record what a consumer of this name has read before, and not acknowledged."""
        while not wait(0.0) and self._step("0", None):
            pass

    def _step(self, after: str, block: float | None) -> int:
        """Read and record a batch; gives its size."""
        answer: Any = self._client.xreadgroup(
            self._group,
            self._consumer,
            {self._stream: after},
            count=self._batch,
            block=None if block is None else int(block * 1000),
        )
        streams = answer.items() if isinstance(answer, dict) else answer or ()
        entries: list[Entry] = [one for _, found in streams for one in _entries(found)]
        self._take(entries)
        return len(entries)

    def _claim(self) -> int:
        """Record what other consumers have left; gives how many."""
        answer: Any = self._client.xautoclaim(
            self._stream, self._group, self._consumer, self._claim_ms, self._claimed_until, count=self._batch
        )
        self._claimed_until, entries = answer[0], _entries(answer[1])
        self.done.claimed += len(entries)
        self._take(entries)
        return len(entries)

    def _take(self, entries: Sequence[Entry]) -> None:
        """Record entries, then acknowledge them."""
        if not entries:
            return
        events: list[tuple[str, UserEvent, Cells]] = []
        rejected = 0
        for key, fields in entries:
            place, shown = key.decode(), None
            try:
                cells = self._cells(place, fields)
                shown = self._without_person(cells)
                events.append((place, self._event(cells), shown))
            except EventError as error:
                if fields is not None:
                    self._letters.add(place, error, shown)
                    rejected += 1
        outcomes = self._store.record([event for _, event, _ in events])
        for (place, _, row), outcome in zip(events, outcomes, strict=True):
            if outcome.error is not None:
                self._letters.add(place, outcome.error, row)
                rejected += 1
            self.done.recorded += outcome.kind is OutcomeKind.RECORDED
            self.done.duplicates += outcome.kind is OutcomeKind.DUPLICATE
        self.done.rejected += rejected
        self._letters.flush()
        self._client.xack(self._stream, self._group, *(key for key, _ in entries))
        self._log.info("events", **asdict(self.done))

    def _without_person(self, cells: Cells) -> Cells:
        """What of a row goes to the dead letters, which nobody looks through when a person is deleted."""
        return {name: cell for name, cell in cells.items() if name != self._event.roles["user_id"]}

    def _cells(self, place: str, fields: Mapping[bytes, bytes] | None) -> Cells:
        """The row of an entry.

        Raises:
            EventError: if it holds none.
        """
        if not fields:
            raise EventError("the entry is empty", "add an event's columns as fields")
        try:
            cells: Cells = {name.decode(): value.decode() for name, value in fields.items()}
        except UnicodeDecodeError as error:
            raise EventError(f"a field is not UTF-8 (byte {error.start})", "write it as UTF-8") from None
        if cells.keys() == {_EVENT}:
            found = parsed_object(cells[_EVENT].encode(), EventError)
            if isinstance(found, EventError):
                raise found
            cells = dict(found)
        time, own = self._event.roles["time"], self._event.roles["id"]
        if cells.get(time) in (None, ""):
            cells[time] = _time_of(place)
        if cells.get(own) in (None, ""):
            cells[own] = f"{self._stream}-{place}"
        return cells


def _entries(found: Any) -> list[Entry]:
    """Entries as redis-py gives them, with or without their attributes."""
    return [cast(Entry, (one[0], one[1])) for one in found if one is not None]


def _time_of(place: str) -> str:
    """When an entry was added, RFC 3339.

    Raises:
        EventError: if its place, which whoever adds it may choose, is no time.
    """
    try:
        return datetime.fromtimestamp(int(place.partition("-")[0]) / 1000, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        raise EventError(f"the entry has no time, and its place {place} is none", "add one", field="time") from None


def _told(error: Exception) -> Exception:
    if isinstance(error, EventStoreError):
        return error
    return EventStoreError(f"Redis failed: {str(error)[:200]}", "correct the URL, or start it")
