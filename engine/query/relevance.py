"""How sure it is that a result has to do with the query: what unrelated items of this catalogue score.

The calibration of a space makes scores comparable, but says little of how far they go by chance: plots of films are
like each other, pictures of all kinds are not. So a sample of the catalogue's own items is held against itself: the
contents of some of them as if they were asked for, against the others. Most such pairs are unrelated, and the tail of
their scores says how probably one that is reaches a score. See docs/BENCHMARKS.md for how well that holds.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from encoders.spaces.space import Calibration
from encoders.spaces.tail import TYPICAL, Tail
from encoders.types import Bools, Floats, Modality, Rows
from engine.core.types import Candidates
from engine.query.resolve import QuerySignals
from engine.query.similarity import calibrate_signals
from engine.store.base import VectorStore

SAMPLE, ASKING, LEAST = 1000, 200, 50
"""Items of the sample; those of them that are held against it; and without so many the space's own word is taken."""
_LOOK = 60.0
"""Seconds between two looks at the size of the catalogue; fewer while it is smaller than a sample."""
_GROWN = 0.1
"""A new sample is taken when the catalogue has changed by this part of its size."""

Kinds = frozenset[Modality]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Vectors of n items in some modalities."""

    vectors: Mapping[Modality, Floats]
    present: Mapping[Modality, Bools]


@dataclass(slots=True)
class _Sample:
    """Items of a catalogue, as it was."""

    items: Candidates
    size: int
    """How many items the catalogue had."""
    tails: dict[tuple[Kinds, tuple[Modality, ...]], Tail] = field(default_factory=dict)
    """By the modalities of what is asked for, and those that are searched in."""


class Background:
    """Knows what unrelated items of a catalogue score; any number of threads may ask at once.

    It looks at the catalogue when it is first asked, and again when that has grown or shrunk.

    Args:
        store: the catalogue.
        calibration: of its space.
        correlation: see `engine.query.similarity`.
        clock: tells seconds that never go back.
    """

    def __init__(
        self,
        store: VectorStore,
        calibration: Calibration,
        correlation: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._calibration, self._correlation, self._clock = store, calibration, correlation, clock
        self._lock = threading.Lock()
        self._sample: _Sample | None = None
        self._look_at = -np.inf

    def relevance(
        self, signals: QuerySignals, parts: Rows, modalities: Sequence[Modality], similarity: Floats
    ) -> Floats:
        """How sure it is that items fit a query, (N,), 0 to 1.

        1 minus the probability that any unrelated item of a catalogue of this size is as similar.

        Args:
            signals: n of a request.
            parts: which of them the query consists of; the tail counts of the one that chance comes nearest to.
            modalities: the item modalities that are searched in.
            similarity: (N,) of the items to the query.
        """
        sample = self._current()
        asked = {frozenset(m for m, there in signals.present.items() if there[row]) for row in parts.tolist()}
        tails = [self._tail(sample, kinds, tuple(modalities)) for kinds in asked]
        probability = np.max([tail.probability(similarity) for tail in tails], axis=0)
        size = max(sample.size, len(similarity), 1)
        with np.errstate(divide="ignore"):  # the logarithm of 0 is that of no relevance
            return np.asarray(np.exp(size * np.log1p(-probability)), np.float32)

    @property
    def size(self) -> int:
        """How many items the catalogue had when it was last looked at."""
        return self._current().size

    def per_item(self, modalities: Sequence[Modality]) -> float:
        """The mean number of these modalities that an item has which has any of them; 1 of an empty catalogue."""
        items = self._current().items
        there = [items.present[modality] for modality in modalities if modality in items.present]
        counts = np.sum(there, axis=0) if there else np.zeros(0)
        return float(counts.sum() / max(np.count_nonzero(counts), 1)) or 1.0

    def _current(self) -> _Sample:
        """The sample; where another thread looks at the catalogue already, the one from before."""
        sample = self._sample
        if sample is not None and (self._clock() < self._look_at or not self._lock.acquire(blocking=False)):
            return sample
        if sample is None:
            self._lock.acquire()
        try:
            sample = self._sample
            if sample is None or self._clock() >= self._look_at:
                size = self._store.count()
                if sample is None or abs(size - sample.size) > _GROWN * sample.size:
                    sample = _Sample(self._drawn(), size)
                self._sample, self._look_at = sample, self._clock() + _LOOK * min(size / SAMPLE, 1)
            return sample
        finally:
            self._lock.release()

    def _drawn(self) -> Candidates:
        """Items in the order of the store's ids, which are hashes: a sample as good as any."""
        page = self._store.scroll(limit=SAMPLE, with_payload=False)
        return self._store.candidates([point.id for point in page.points], with_payload=False)

    def _tail(self, sample: _Sample, kinds: Kinds, modalities: tuple[Modality, ...]) -> Tail:
        key = kinds, modalities
        if key not in sample.tails:
            sample.tails[key] = self._measured(sample.items, kinds, modalities)
        return sample.tails[key]

    def _measured(self, items: Candidates, kinds: Kinds, modalities: tuple[Modality, ...]) -> Tail:
        """The tail of what items of such modalities score with others; a copy counts as what is merely like it."""
        nowhere = np.zeros(len(items), np.bool_)
        having = np.all([items.present.get(kind, nowhere) for kind in kinds], axis=0)
        found = np.any([items.present.get(modality, nowhere) for modality in modalities], axis=0)
        asking, others = np.flatnonzero(having)[:ASKING], np.flatnonzero(found)
        if min(len(asking), len(others)) < LEAST:
            return TYPICAL
        signals = _Columns(
            {kind: items.vectors[kind][asking] for kind in kinds}, dict.fromkeys(kinds, having[asking])
        )
        calibrated = calibrate_signals(signals, self._calibration, modalities, self._correlation)
        scores = calibrated.relatedness(items.take(others))[asking[:, None] != others[None]]
        return Tail.of(scores)
