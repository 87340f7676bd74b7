"""Query parts and history events become signals: vectors in columns, each with its weight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from encoders.errors import TriveniError
from encoders.spaces.space import SpaceManifest, unit
from encoders.types import Audio, Content, Doubles, Floats, Image, Modality, Text
from engine.core.deadline import Deadline
from engine.core.errors import NotFoundError
from engine.core.types import Event, EventKind, ItemId, Query, ReasonKind, VectorInput
from engine.core.validate import check_vector
from engine.encode.encoding import ContentEncoder, Encoded
from engine.query.settings import FuseSettings
from engine.store.base import VectorStore
from engine.store.words import AskedWords

Input = Content | ItemId | VectorInput


@dataclass(frozen=True, slots=True)
class QuerySignals:
    """n signals in columns: first the query's parts, then the events, newest first."""

    kinds: tuple[ReasonKind, ...]
    """`QUERY` or `EVENT`."""
    indexes: npt.NDArray[np.intp]
    """(n,): the position in the query's parts, or in its history."""
    weights: Doubles
    """(n,): signed; of an event, its kind's weight times its rating, faded by age."""
    vectors: Mapping[Modality, Floats]
    """Per modality (n, d); a row is zeros where `present` is False."""
    present: Mapping[Modality, npt.NDArray[np.bool_]]
    """Per modality (n,)."""
    skipped: tuple[tuple[int, str], ...]
    """(position in the history, reason) of the events that could not be used."""
    words: Mapping[int, AskedWords] = field(default_factory=dict)
    """By signal, the words of those that are texts of the query, where items have any of them."""


@dataclass(frozen=True, slots=True)
class _PendingSignal:
    """A signal that has no vector yet."""

    kind: ReasonKind
    index: int
    weight: float
    input: Input


def event_weight(event: Event, now: datetime, settings: FuseSettings) -> float:
    """The signed weight of an event: that of its kind, faded by age; a rating of 1 to 5 stars scales it -1 to 1."""
    weight = settings.weights.get(event.kind, 0.0)
    if event.kind == EventKind.RATE and event.value is not None:
        weight *= (event.value - 3) / 2
    age = (now - event.time).total_seconds() / 86400 if event.time is not None else 0.0
    return weight * float(0.5 ** (max(age, 0.0) / settings.half_life_days))


def resolve(
    query: Query,
    encoder: ContentEncoder,
    manifest: SpaceManifest,
    store: VectorStore,
    settings: FuseSettings,
    now: datetime,
    deadline: Deadline,
) -> QuerySignals:
    """Give every query part and every event that counts its vectors: one call of the encoder, one of the store.

    Raises:
        NotFoundError: if a query part names an item that is not there.
        ContentError: if a query part cannot be read.
        SpaceError: if a query part is of a modality that the space lacks.
    """
    pending = [
        _PendingSignal(ReasonKind.QUERY, index, part.weight, part.source)
        for index, part in enumerate(query.parts)
        if part.weight != 0
    ]
    skipped: dict[int, str] = {}
    used = 0
    for index in newest(query.history, now):
        event = query.history[index]
        source = event.content if event.content is not None else event.item
        counts = settings.weights.get(event.kind, 0.0) != 0  # a rating of three stars weighs nothing, but happened
        if source is None:
            skipped[index] = f"{event.kind} event has neither an item nor a content"
        elif event.kind not in settings.weights:
            skipped[index] = f"event kind {event.kind!r} is not declared: declare it as [events.kinds.{event.kind}]"
        elif counts and used < settings.max_events:
            used += 1
            pending.append(_PendingSignal(ReasonKind.EVENT, index, event_weight(event, now, settings), source))
        elif counts:
            skipped[index] = f"only the newest {settings.max_events} events are used"
    return _fill(pending, skipped, encoder, manifest, store, deadline)


def newest(history: Sequence[Event], now: datetime) -> list[int]:
    """Positions of the events, newest first; of two at one time, the later in the list comes first."""
    times = [min(event.time.astimezone(UTC), now) if event.time is not None else now for event in history]
    return sorted(range(len(history)), key=lambda index: (times[index], index), reverse=True)


def _fill(
    pending: list[_PendingSignal],
    skipped: dict[int, str],
    encoder: ContentEncoder,
    manifest: SpaceManifest,
    store: VectorStore,
    deadline: Deadline,
) -> QuerySignals:
    contents = [p.input for p in pending if isinstance(p.input, Text | Image | Audio)]
    names = list(dict.fromkeys(p.input for p in pending if isinstance(p.input, str)))
    if contents:
        deadline.check("encoding the query")
    encoded = iter(encoder.encode(contents, deadline) if contents else [])
    if names:
        deadline.check("looking up items")
    known = store.candidates(names, with_payload=False) if names else None
    rows = {name: row for row, name in enumerate(known.ids)} if known else {}

    kept: list[_PendingSignal] = []
    single: list[tuple[int, Modality, Floats]] = []  # (row, modality, vector)
    looked_up: list[tuple[int, int]] = []  # (row, row in `known`)
    for signal in pending:
        try:
            match signal.input:
                case VectorInput(modality, values):
                    check_vector(signal.input, manifest, "")
                    single.append((len(kept), modality, unit(np.asarray(values, np.float32)[None])[0]))
                case Text(_) | Image(_) | Audio(_):
                    single.append((len(kept), signal.input.modality, _vector(next(encoded))))
                case name:
                    looked_up.append((len(kept), _row(name, rows)))
        except TriveniError as error:
            if signal.kind is ReasonKind.QUERY:
                error.field = f"query.parts[{signal.index}]"
                raise
            skipped[signal.index] = str(error)
            continue
        kept.append(signal)

    columns = {m: np.zeros((len(kept), manifest.dimension), np.float32) for m in manifest.encoders}
    present = {m: np.zeros(len(kept), np.bool_) for m in manifest.encoders}
    if known is not None and looked_up:
        into, out_of = (list(column) for column in zip(*looked_up, strict=True))
        for modality in columns.keys() & known.vectors.keys():
            columns[modality][into] = known.vectors[modality][out_of]
            present[modality][into] = known.present[modality][out_of]
    for row, modality, vector in single:
        columns[modality][row] = vector
        present[modality][row] = True
    return QuerySignals(
        tuple(p.kind for p in kept),
        np.array([p.index for p in kept], np.intp),
        np.array([p.weight for p in kept], np.float64),
        columns,
        present,
        tuple(sorted(skipped.items())),
    )


def _vector(encoded: Encoded) -> Floats:
    if isinstance(encoded, TriveniError):
        raise encoded
    return encoded


def _row(name: ItemId, rows: Mapping[ItemId, int]) -> int:
    if name not in rows:
        raise NotFoundError(f"item {name!r} is not in the catalogue", "index it first, or leave it out")
    return rows[name]
