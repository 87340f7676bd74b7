"""What comes back besides answers: plain, frozen, readable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from triveni.client import show
from triveni.client.answers import Rows
from triveni.client.brief import Brief
from triveni.client.contents import Modality, Vector
from triveni.client.problem import Problem

Outcome: TypeAlias = Literal["stored", "unchanged", "rejected"]
TrainingState: TypeAlias = Literal["queued", "running", "succeeded", "failed", "cancelled"]


# Catalogue --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class Item(Brief):
    """An item as the catalogue holds it."""

    id: str
    text: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)
    modalities: tuple[Modality, ...] = ()
    """That it has vectors of."""
    image_path: str = ""
    audio_path: str = ""
    digest: str = field(default="", repr=False)
    """Changes when the item does."""
    indexed: datetime | None = None
    vectors: tuple[Vector, ...] = field(default=(), repr=False)
    """Where they were asked for: of each modality those of its parts."""
    image_paths: tuple[str, ...] = ()
    """Of all its pictures, where it has several."""
    audio_paths: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What the item is called: its payload's title or name, else its text, else its id."""
        return show.title(self.payload, self.text, self.id)


@dataclass(frozen=True, slots=True, repr=False)
class ItemResult(Brief):
    """What became of an item that was sent."""

    index: int
    """Its position among those that were sent, from 0."""
    id: str
    outcome: Outcome
    problem: Problem | None = None
    """Why it was refused."""
    missing: tuple[Problem, ...] = ()
    """Contents that could not be read: it was stored without them."""
    thinned: bool = False
    """Whether it lacks passages of a long text, as it would have had more parts than index.max_parts."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Upserted(Rows[ItemResult]):
    """What became of all items that were sent; the rows are those with a problem."""

    stored: int
    unchanged: int
    rejected: int
    problems: tuple[ItemResult, ...] = ()
    """Items that were refused, or stored without a content that could not be read; in their order."""

    @property
    def _rows(self) -> Sequence[ItemResult]:
        return self.problems

    def __repr__(self) -> str:
        return f"Upserted(stored={self.stored}, unchanged={self.unchanged}, rejected={self.rejected})"

    def _table(self) -> show.Table:
        rows = [
            (str(one.index), one.id, one.outcome, str(problem))
            for one in self.problems
            for problem in ((one.problem,) if one.problem else one.missing)
        ]
        note = f"{self.stored:,} stored, {self.unchanged:,} unchanged, {self.rejected:,} rejected"
        return show.Table(("#", "id", "outcome", "problem"), rows, [note], right=(0,))


# Events -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class Event(Brief):
    """Something that a user did. Of pictures and sounds that were recorded the bytes are gone."""

    kind: str
    item: str = ""
    """With which item."""
    text: str = ""
    """Or with which text."""
    modality: Modality | None = None
    """Or with a picture or sound."""
    time: datetime | None = None
    value: float | None = None
    """A rating's stars, a view's seconds, a purchase's price."""
    id: str = ""
    request: str = ""
    """The request whose answer they acted on."""
    context: Mapping[str, str] = field(default_factory=dict)
    vector: Vector | None = field(default=None, repr=False)
    """What is kept of a picture or sound, where all of a user was asked for."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class History(Rows[Event]):
    """What a user did, newest first."""

    events: tuple[Event, ...]

    @property
    def _rows(self) -> Sequence[Event]:
        return self.events

    def __repr__(self) -> str:
        return f"History({len(self)} events)"

    def _table(self) -> show.Table:
        rows = [
            (
                f"{one.time:%Y-%m-%d %H:%M:%S}" if one.time else "",
                one.kind,
                one.item or one.text or f"({one.modality})",
                "" if one.value is None else f"{one.value:g}",
            )
            for one in self.events
        ]
        return show.Table(("time (UTC)", "kind", "what", "value"), rows, right=(3,), empty="no events")


@dataclass(frozen=True, slots=True, repr=False)
class ServedList(Brief):
    """A list that a user was served."""

    request: str
    """The request that it answered."""
    time: datetime
    items: tuple[str, ...]
    positions: tuple[int, ...] = field(default=(), repr=False)
    """The place of each item, from 1."""
    propensities: tuple[float, ...] = field(default=(), repr=False)
    """With which probability each item had its place."""
    model: str = ""
    """The version that the user got."""
    tier: str = ""
    """The stage that decided the order."""
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, repr=False)
class UserData(Brief):
    """All that is kept of a user, the newest first."""

    user: str
    events: tuple[Event, ...]
    lists: tuple[ServedList, ...]
    """That the user was served."""


@dataclass(frozen=True, slots=True, repr=False)
class Forgotten(Brief):
    """The receipt of a user's deletion. It says nothing of the user, so that it may be kept."""

    receipt: str
    """Its id."""
    time: datetime
    events: int
    """How many were deleted."""
    lists: int
    """Of those that the user was served, how many were deleted."""
    versions: tuple[str, ...] = ()
    """Of the model, which may have learned from the user."""
    scrubbed: bool = False
    """Whether the database's files were rid of what was deleted; False if that is still being done."""


@dataclass(frozen=True, slots=True, repr=False)
class RejectedEvent(Brief):
    """An event that was refused."""

    index: int
    """Its position among those that were sent, from 0."""
    problem: Problem


@dataclass(frozen=True, slots=True, repr=False)
class Recorded(Brief):
    """What became of events that were sent."""

    recorded: int
    """How many were new."""
    duplicates: int = 0
    """How many were known by their id."""
    rejected: tuple[RejectedEvent, ...] = ()


# Encoder and models -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of contents."""

    vectors: tuple[Vector | None, ...]
    """For each content its unit vector; None where it could not be read."""
    fingerprint: str
    """Of the space."""
    problems: Mapping[int, Problem] = field(default_factory=dict)
    """Why contents could not be read, by their position, from 0."""


@dataclass(frozen=True, slots=True, repr=False)
class Model(Brief):
    """A version of the ranking model."""

    version: str
    serving: bool
    created: datetime | None = None
    data_start: datetime | None = None
    """The events that it was trained on: from."""
    data_end: datetime | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    """On held-out time, such as ndcg_at_10."""
    baseline_metrics: Mapping[str, float] = field(default_factory=dict)
    fingerprint: str = field(default="", repr=False)
    deleted_people: int = 0
    """Who were deleted after it may have learned from them."""


@dataclass(frozen=True, slots=True, repr=False)
class Switched(Brief):
    """Which version serves now, and which did before."""

    model: Model | None
    """None: the retrieval alone."""
    previous: str
    """"" if none did."""


@dataclass(frozen=True, slots=True, repr=False)
class Training(Brief):
    """A training, and how far it is."""

    id: str
    state: TrainingState
    progress: float
    """The part that is done, from 0 to 1."""
    stage: str = ""
    """What it is doing."""
    started: datetime | None = None
    ended: datetime | None = None
    version: str = ""
    """That it made."""
    problem: Problem | None = None
    """Why it failed."""
    time_left: timedelta | None = None
    """As its pace so far says."""

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.state not in ("queued", "running")
