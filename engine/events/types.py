"""What goes into an event store and comes out of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from engine.core.types import Event, ItemId, UserId
from engine.events.errors import EventError


@dataclass(frozen=True, slots=True)
class UserEvent:
    """An event and who did it."""

    user: UserId
    event: Event


class OutcomeKind(StrEnum):
    """What became of an event that was sent to be recorded."""

    RECORDED = "recorded"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class RecordOutcome:
    """What became of one event."""

    kind: OutcomeKind
    id: str = ""
    """The id that it is known by: its own, or the one made from its contents; "" if it was rejected."""
    error: EventError | None = None
    """Why it was rejected: field, problem and remedy."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A page of a person's history, newest first. `next_cursor` is None on the last page."""

    events: tuple[Event, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Impression:
    """A list that was served: what somebody was shown, where, why and how probably. k positions."""

    request_id: str
    user: UserId
    """"" where nobody was named."""
    items: tuple[ItemId, ...]
    """(k,)."""
    positions: tuple[int, ...]
    """(k,), from 1."""
    propensities: tuple[float, ...]
    """(k,), in (0, 1]: the probability with which the policy puts this item into this position."""
    model: str
    """The version that the person got, whichever stage decided the order."""
    tier: str
    """The stage that decided the order."""
    time: datetime
    context: Mapping[str, str] = field(default_factory=dict)

    @property
    def of_the_policy(self) -> bool:
        """Whether the engine chose the version that made it, so that it tells of what serves."""
        return MODEL not in self.context

    @property
    def to_learn_from(self) -> bool:
        """Whether what was chosen of it tells of the user and what was shown."""
        return MARKS.isdisjoint(self.context)


ASKED = "_asked"
"""In the context of a list that answers an explicit query: its choices tell of a query that is not kept."""
MODEL = "_model"
"""In the context of a list that was made by a version of the model that the request named: who gets it is no chance,
and mostly somebody compares versions, so nothing is learned from it, and it counts in no trial or estimate."""
MARKS = frozenset({ASKED, MODEL})
"""What the service adds to the context of a request."""


@dataclass(frozen=True, slots=True)
class Served:
    """A served list, and what the person then did that names its request, oldest first."""

    impression: Impression
    followed: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class ListPage:
    """A page of the lists that somebody was served, newest first. `next_cursor` is None on the last page."""

    lists: tuple[Impression, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Held:
    """What a store holds of one person."""

    events: int
    lists: int
    """Served lists."""
    first: datetime | None
    """The time of the oldest event or list; None where there is none."""
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Retention:
    """How long is kept what people did and saw; None is for ever."""

    events: timedelta | None = None
    lists: timedelta | None = None
    """Served lists."""


@dataclass(frozen=True, slots=True)
class EventStats:
    """What a store holds."""

    events: int
    users: int
    impressions: int
    """Served lists."""
    kinds: Mapping[str, int]
    first: datetime | None
    """The time of the oldest event; None where there is none."""
    last: datetime | None


class KnownItems(Protocol):
    """Says which items are in the catalogue."""

    def __call__(self, items: Sequence[ItemId], /) -> Collection[ItemId]:
        """Those of the items that are there."""
