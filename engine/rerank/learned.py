"""A trained version at work: the candidates that its counts find, and the scores that its network gives."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import torch

from encoders.types import Audio, Floats, Image, Modality
from engine.rerank import features, sources
from engine.rerank.collate import collate
from engine.rerank.features import NEGATIVE, Bools, Request, Table, Tokens, dense_features
from engine.rerank.itemcache import ItemCache
from engine.rerank.statistics import Rows, scores
from engine.rerank.version import Version
from engine.resolve import Sources
from engine.types import Candidates, Event, EventKind, ItemId, Query, ReasonKind, VectorInput

_TIMINGS = 64


def now() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


class LearnedReranker:
    """The cross-attention reranker of a version, as a stage of the pipeline.

    Args:
        version: the network, its counts and scales.
        name: the version's name.
        items: what is known of items.
        tier: the name of the tier.
        query_weight: the part of the retrieval's order where the request has an explicit query, which training rows
            do not have.
        clock: tells the time, with a time zone.
    """

    reads_payloads = False

    def __init__(
        self,
        version: Version,
        name: str,
        items: ItemCache,
        *,
        tier: str = "full",
        query_weight: float = 0.5,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._made, self._name, self._tier = version, name, tier
        self._query_weight, self._clock = query_weight, clock
        self._items = items
        self._timings: list[float] = []
        self._lock = threading.Lock()

    @property
    def version(self) -> str:
        """The version's name."""
        return self._name

    @property
    def tier(self) -> str:
        """The tier's name."""
        return self._tier

    @property
    def seconds(self) -> float:
        """The median of the last requests; 0 before the first."""
        with self._lock:
            return float(np.median(self._timings)) if self._timings else 0.0

    def candidates(self, query: Query, exclude: Sequence[ItemId]) -> list[ItemId]:
        """The items that the counts put first for a person's history; filters are the caller's business."""
        moment = self._clock()
        places = sorted(range(len(query.history)), key=lambda place: (query.history[place].time or moment, place))
        events = [query.history[place] for place in places]
        liked = [event.item for event in events if event.item is not None and self._favours(event)]
        known, hidden = (
            rows[rows >= 0] for rows in (self._items.counted(self._items.rows(ids)) for ids in (liked, exclude))
        )
        found = sources.counted_candidates(scores(self._made.statistics, known, moment.timestamp()), hidden)
        return [self._made.items[row] for row in found.tolist()]

    def rerank(self, query: Query, sources: Sources, candidates: Candidates) -> Candidates:
        """Candidates with the network's scores: the worth of the probable outcomes."""
        if not len(candidates):
            return candidates
        began = time.perf_counter()
        request, table = self.request(query, sources, candidates)
        with torch.inference_mode():
            logits = self._made.network(collate([request], table))[0].numpy()  # (c, outcomes)
        learned = worth(logits, request.ids == 0, self._made)
        if query.parts:
            learned = self._query_weight * _standard(candidates.scores) + (1 - self._query_weight) * _standard(
                learned
            )
        with self._lock:
            self._timings = [*self._timings[-_TIMINGS + 1 :], time.perf_counter() - began]
        return Candidates(
            candidates.ids, learned.astype(np.float32), candidates.vectors, candidates.present, candidates.payloads
        )

    def request(self, query: Query, given: Sources, candidates: Candidates) -> tuple[Request, Table]:
        """The request as numbers: the table's rows are the candidates, then the tokens."""
        moment = self._clock()
        events, rows = self._tokens(query, given, moment)
        size = len(candidates)
        names = [*candidates.ids, *(event.item for event in events if event.item is not None)]
        cached = self._items.rows(names)
        places_of = np.full(size + len(events), -1, np.intp)
        places_of[[*range(size), *(size + place for place, event in enumerate(events) if event.item)]] = cached
        table = self._table(candidates, given, rows, places_of)
        places = np.arange(size, size + len(events), dtype=np.intp)
        values = [float("nan") if event.value is None else event.value for event in events]
        times = [moment.timestamp() if event.time is None else event.time.timestamp() for event in events]
        tokens = Tokens(
            places,
            np.array([features.KINDS.index(event.kind) for event in events], np.intp),
            np.array(values, np.float32),
            np.maximum(moment.timestamp() - np.array(times, np.float64), 0),
        )
        favoured = np.array([self._favours(event) for event in events], np.bool_)
        positive = places[favoured] if len(events) else places
        counts = self._items.counted(cached)
        liked = counts[size:][[yes for event, yes in zip(events, favoured, strict=True) if event.item is not None]]
        counted = self._counted(liked[liked >= 0], counts[:size], moment.timestamp())
        ids = table.identity[:size]
        rows_of = np.arange(size, dtype=np.intp)
        turned = np.array([event.item is not None and event.kind in NEGATIVE for event in events], np.bool_)
        negative = places[turned] if len(events) else places
        dense = dense_features(
            counted, tokens, positive, negative, rows_of, ids, table, candidates.scores, moment.timestamp()
        )
        return Request(tokens.newest(), rows_of, ids, dense), table

    def _tokens(self, query: Query, given: Sources, now: datetime) -> tuple[list[Event], Rows]:
        """The events that became sources, oldest first, then the query's parts as events; and their sources' rows."""
        found: list[tuple[float, int, int, Event]] = []
        for row, (kind, index) in enumerate(zip(given.kinds, given.indexes.tolist(), strict=True)):
            if kind is ReasonKind.EVENT:
                event = query.history[index]
                if event.kind in features.KINDS:
                    time_ = now if event.time is None else event.time
                    found.append((time_.timestamp(), index, row, event))
            else:
                found.append((float("inf"), index, row, _as_event(query, index)))
        found.sort(key=lambda one: one[:2])
        return [one[3] for one in found], np.array([one[2] for one in found], np.intp)

    def _table(self, candidates: Candidates, given: Sources, rows: Rows, cached: Rows) -> Table:
        """The vectors and fields of candidates and then of tokens; `cached` is -1 for a token without an item."""
        vectors: dict[Modality, Floats] = {}
        present: dict[Modality, np.ndarray] = {}
        for name in self._made.network.config.modalities:
            modality = Modality(name)
            vectors[modality] = np.concatenate(
                [_column(candidates.vectors, modality, len(candidates), given), given.vectors[modality][rows]]
            )
            there = candidates.present.get(modality)
            present[modality] = np.concatenate(
                [np.zeros(len(candidates), np.bool_) if there is None else there, given.present[modality][rows]]
            )
        identity = np.where(cached >= 0, self._items.identity(cached), 0)
        size = len(candidates)
        return Table(vectors, present, self._items.fields(cached), self._items.since(cached[:size]), identity)

    def _counted(self, history: Rows, rows: Rows, now: float) -> Floats:
        """(s, c): what the counts say of candidates, nothing of those that they do not know (row -1)."""
        counted = scores(self._made.statistics, history, now)
        return np.where(rows >= 0, counted[:, rows], np.float32(0))

    def _favours(self, event: Event) -> bool:
        if event.item is None or event.kind not in self._made.kinds:
            return False
        least = self._made.least.get(event.kind)
        return least is None or (event.value is not None and event.value >= least)


def worth(logits: Floats, new: Bools, version: Version) -> Floats:
    """(c,): the worth of the probable outcomes of logits (c, outcomes); `new` (c,) are items without an id."""
    slopes, intercepts = np.array(version.calibration, np.float64).T
    lifted = logits.astype(np.float64)
    lifted[:, 0] += version.utility.new * new
    likely = 1 / (1 + np.exp(-(lifted * slopes + intercepts)))  # (c, outcomes)
    return np.asarray(likely @ np.array([version.utility.positive, version.utility.negative]), np.float32)


def _standard(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / (values.std() + 1e-6), np.float32)


def _column(vectors: Mapping[Modality, Floats], modality: Modality, size: int, given: Sources) -> Floats:
    found = vectors.get(modality)
    return np.zeros((size, given.vectors[modality].shape[1]), np.float32) if found is None else found


def _as_event(query: Query, index: int) -> Event:
    """A part of the query as an event that happens now."""
    part = query.parts[index]
    if part.weight < 0:
        kind = EventKind.DISLIKE
    elif isinstance(part.source, str):
        kind = EventKind.CLICK
    elif isinstance(part.source, Image | Audio) or (
        isinstance(part.source, VectorInput) and part.source.modality is not Modality.TEXT
    ):
        kind = EventKind.UPLOAD
    else:
        kind = EventKind.SEARCH
    return Event(kind, item=part.source if isinstance(part.source, str) else None)
