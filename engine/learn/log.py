"""What people did, in columns: the form that training and evaluation read."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from encoders.errors import TriveniError
from encoders.spaces.space import Space
from encoders.types import Doubles, Ints, Modality, Text
from engine.core.deadline import Deadline
from engine.core.types import Event, EventKind, ItemId, UserId, VectorInput
from engine.encode.encoding import DirectEncoder, Encoded
from engine.events.types import UserEvent

_CHUNK = 1024
"""Texts that are encoded together."""
KIND_OF: Mapping[str, int] = {kind: code for code, kind in enumerate(EventKind)}
"""The numbers of the standard kinds, which are those of every log."""


@dataclass(frozen=True, slots=True)
class EventLog:
    """n events of all people in columns, ordered by time."""

    users: tuple[UserId, ...]
    """Everybody; `user` indexes it."""
    items: tuple[ItemId, ...]
    """The items that events name; `item` indexes it."""
    user: Ints
    """(n,)."""
    item: Ints
    """(n,); -1 where the event has a content of the person's own (a search, an upload)."""
    kind: Ints
    """(n,), indexes `kinds`."""
    value: Doubles
    """(n,): stars, seconds or price; NaN where none was given."""
    time: Doubles
    """(n,): seconds since 1970, never falling."""
    request: Ints
    """(n,), indexes `requests`; -1 where the event names no request."""
    requests: tuple[str, ...]
    contents: Mapping[int, Text | VectorInput]
    """By position in the log: what was searched or uploaded."""
    kinds: tuple[str, ...] = tuple(EventKind)
    """The standard kinds of events, and the others that occur; `kind` indexes it."""

    def __len__(self) -> int:
        return len(self.user)

    def is_of(self, kinds: Collection[str]) -> npt.NDArray[np.bool_]:
        """(n,): which events are of one of these kinds."""
        return np.isin(self.kind, [code for code, kind in enumerate(self.kinds) if kind in kinds])

    def take(self, rows: npt.NDArray[np.intp]) -> "EventLog":
        """The events at these rows, which must rise; people, items and requests keep their numbers."""
        position = {int(row): new for new, row in enumerate(rows.tolist()) if int(row) in self.contents}
        return replace(
            self,
            user=self.user[rows],
            item=self.item[rows],
            kind=self.kind[rows],
            value=self.value[rows],
            time=self.time[rows],
            request=self.request[rows],
            contents={new: self.contents[row] for row, new in position.items()},
        )

    def before(self, time: float) -> "EventLog":
        """The events that happened before a time, in seconds since 1970."""
        return self.take(np.arange(int(np.searchsorted(self.time, time)), dtype=np.intp))

    def newest(self, most: int) -> "EventLog":
        """Of each person the newest so many events."""
        kept = np.concatenate([np.zeros(0, np.intp), *(rows[-most:] for rows in self.of_user())])
        return self if len(kept) == len(self) else self.take(np.sort(kept))

    def of_user(self) -> list[npt.NDArray[np.intp]]:
        """Per person the rows of their events, oldest first."""
        order = np.argsort(self.user, kind="stable")
        ends = np.searchsorted(self.user[order], np.arange(len(self.users) + 1))
        return [order[start:end] for start, end in pairwise(ends)]


def event_log(events: Iterable[UserEvent]) -> EventLog:
    """Events in columns. They are ordered by time; of two at one time, the one that came first stays first.

    Args:
        events: with times, as an event store or a file gives them.
    """
    users: dict[UserId, int] = {}
    items: dict[ItemId, int] = {}
    requests: dict[str, int] = {}
    kinds = dict(KIND_OF)
    columns: list[tuple[int, int, int, float, float, int]] = []
    contents: dict[int, Text | VectorInput] = {}
    for position, (who, event) in enumerate((one.user, one.event) for one in events):
        if isinstance(event.content, Text | VectorInput):
            contents[position] = event.content
        columns.append(
            (
                users.setdefault(who, len(users)),
                -1 if event.item is None else items.setdefault(event.item, len(items)),
                kinds.setdefault(event.kind, len(kinds)),
                float("nan") if event.value is None else event.value,
                _seconds(event.time),
                requests.setdefault(event.request_id, len(requests)) if event.request_id else -1,
            )
        )
    user, item, kind, value, time, request = zip(*columns, strict=True) if columns else ((),) * 6
    order = np.argsort(np.array(time, np.float64), kind="stable")
    positions = {int(old): new for new, old in enumerate(order.tolist())}
    return EventLog(
        tuple(users),
        tuple(items),
        np.array(user, np.int64)[order],
        np.array(item, np.int64)[order],
        np.array(kind, np.int64)[order],
        np.array(value, np.float64)[order],
        np.array(time, np.float64)[order],
        np.array(request, np.int64)[order],
        tuple(requests),
        {positions[old]: content for old, content in contents.items()},
        tuple(kinds),
    )


def _seconds(time: datetime | None) -> float:
    if time is None:
        raise ValueError("an event of a log needs a time")
    return time.timestamp()


def events_of(log: EventLog, rows: npt.NDArray[np.intp]) -> tuple[Event, ...]:
    """Rows of a log as events."""
    return tuple(
        Event(
            log.kinds[log.kind[row]],
            item=log.items[log.item[row]] if log.item[row] >= 0 else None,
            content=log.contents.get(row),
            time=datetime.fromtimestamp(float(log.time[row]), UTC),
            value=None if np.isnan(log.value[row]) else float(log.value[row]),
            request_id=log.requests[log.request[row]] if log.request[row] >= 0 else "",
        )
        for row in rows.tolist()
    )


def user_events(log: EventLog) -> Iterator[UserEvent]:
    """The whole log as events, oldest first."""
    for row, event in enumerate(events_of(log, np.arange(len(log), dtype=np.intp))):
        yield UserEvent(log.users[log.user[row]], event)


def encode_texts(log: EventLog, space: Space, tell: Callable[[float], None] = lambda share: None) -> EventLog:
    """The log with its searched texts as vectors of a space, each text encoded once.

    Contents that serving would skip are left out: texts that cannot be encoded, such as blank ones, and vectors of
    another space.

    Args:
        log: the events.
        space: encodes.
        tell: is told the share that is done, 0 to 1.
    """
    texts = list(dict.fromkeys(content for content in log.contents.values() if isinstance(content, Text)))
    encoder, vectors = DirectEncoder(space), dict[Text, Encoded]()
    for start in range(0, len(texts), _CHUNK):
        tell(start / len(texts))
        some = texts[start : start + _CHUNK]
        vectors.update(zip(some, encoder.encode(some, Deadline()), strict=True))
    found: dict[int, Text | VectorInput] = {}
    for row, content in log.contents.items():
        if isinstance(content, VectorInput):
            if content.fingerprint in ("", space.fingerprint):
                found[row] = content
        elif not isinstance(vector := vectors[content], TriveniError):
            found[row] = VectorInput(Modality.TEXT, vector, space.fingerprint)
    return replace(log, contents=found)
