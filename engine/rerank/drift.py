"""Whether what a version is asked now is still like what it was trained on.

Two figures of each request are held against those of the held-out rows of training: `query`, the cosine of the mean
of the person's history to the mean of all histories of training, and `score`, what the full network says of its best
candidate. A distribution's distance is the population stability index over ten ranges that were equally frequent in
training (Siddiqi, Credit Risk Scorecards, 2006, p. 136): below .1 nothing has changed, above .25 much has.
"""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from encoders.types import Doubles, Floats
from engine.rerank.table import Table, Tokens

QUERY, SCORE = "query", "score"
RANGES = 10
WINDOW = 2000
"""Requests that are compared, the newest."""
ENOUGH = 200
"""Fewer say nothing."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What requests were like in training."""

    centre: Floats
    """(d,): the mean of all histories."""
    bounds: Mapping[str, Doubles]
    """Per figure (9,), rising: what parts its values into ten equally frequent ranges."""


def history_mean(tokens: Tokens, table: Table) -> Floats | None:
    """(d,): the mean of a person's history, each token the mean of its modalities' vectors; None without any."""
    vectors = [matrix[tokens.rows] for matrix in table.vectors.values()]  # each (h, d)
    if not vectors or not len(tokens.rows):
        return None
    present = np.stack([mask[tokens.rows] for mask in table.present.values()])  # (modalities, h)
    count = present.sum(axis=0)
    if not count.any():
        return None
    summed: Floats = np.asarray((np.stack(vectors) * present[..., None]).sum(axis=0), np.float32)  # (h, d)
    return np.asarray((summed[count > 0] / count[count > 0, None]).mean(axis=0), np.float32)


def cosine(one: Floats, other: Floats) -> float:
    """Of two vectors (d,); 0 where one is all zeros."""
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / norm if norm else 0.0


def reference_of(histories: Sequence[Floats | None], scores: Sequence[float]) -> Reference | None:
    """The reference of training's held-out rows; None where there are too few to say anything.

    Args:
        histories: the `history_mean` of each.
        scores: of the best candidate of each.
    """
    known = [one for one in histories if one is not None]
    if min(len(known), len(scores)) < ENOUGH:
        return None
    centre = np.asarray(np.mean(known, axis=0, dtype=np.float64), np.float32)
    figures = {QUERY: [cosine(one, centre) for one in known], SCORE: scores}
    steps = np.arange(1, RANGES) / RANGES
    return Reference(centre, {name: np.quantile(values, steps) for name, values in figures.items()})


class DriftWindow:
    """The figures of the requests that came last. Any number of threads use it.

    Args:
        reference: of training; None for a version that has none, of which nothing can be said.
    """

    def __init__(self, reference: Reference | None) -> None:
        self._reference, self._lock = reference, threading.Lock()
        bounds = reference.bounds if reference else MappingProxyType({})
        self._values: dict[str, deque[float]] = {name: deque(maxlen=WINDOW) for name in bounds}

    def asked(self, tokens: Tokens, table: Table) -> None:
        """A person asked."""
        if self._reference is not None and (mean := history_mean(tokens, table)) is not None:
            self._add(QUERY, cosine(mean, self._reference.centre))

    def scored(self, best: float) -> None:
        """The full network said so of its best candidate."""
        if self._reference is not None:
            self._add(SCORE, best)

    def _add(self, figure: str, value: float) -> None:
        with self._lock:
            self._values[figure].append(value)

    def stability(self) -> dict[str, float]:
        """By figure the population stability index of the last requests; without those that came too seldom."""
        with self._lock:
            values = {name: np.array(found) for name, found in self._values.items() if len(found) >= ENOUGH}
        if self._reference is None:
            return {}
        return {name: stability_index(found, self._reference.bounds[name]) for name, found in values.items()}


def stability_index(values: Doubles, bounds: Doubles) -> float:
    """The population stability index of values (n,) against ranges that were equally frequent."""
    counts = np.bincount(np.searchsorted(bounds, values), minlength=len(bounds) + 1)
    share = (counts + 0.5) / (len(values) + 0.5 * len(counts))  # no range is impossible
    expected = 1 / len(counts)
    return float(((share - expected) * np.log(share / expected)).sum())
