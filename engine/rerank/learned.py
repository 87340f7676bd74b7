"""A trained version's networks, the full and the small one, as stages of the pipeline."""

import threading
import time
from collections.abc import Callable

import numpy as np
import torch

from encoders.types import Bools, Floats
from engine.core.types import Candidates, Query, Tier
from engine.query.resolve import QuerySignals
from engine.rerank.collate import collate
from engine.rerank.drift import DriftWindow
from engine.rerank.standard import standardised
from engine.rerank.table import RankingInput, Table
from engine.rerank.user import FeatureReader, UserFeatures
from engine.rerank.version import Version

Logits = Callable[[RankingInput, Table], Floats]
"""(c, outcomes): the logits of a request's candidates, which are rows of a table."""

MODEL_WEIGHT_WITH_QUERY = 0.5
"""What the network's opinion counts in a request with a query. An item's score is then its similarity to the query in
standard deviations above an unrelated item, plus this times the network's score, standardised over the candidates. So
the network decides between items that answer the query about alike."""
_TIE = 1e-7
"""Keeps the order of equal scores."""
_TIMINGS = 64
_FADE_SECONDS = 30.0
"""After so long without a request, the time that one is taken to need has halved."""


class TimedNetwork:
    """One way of scoring, for all requests: its name, its network, and how long it takes.

    Args:
        version: the version's name.
        name: the tier's.
        logits: its network.
        clock: seconds, rising.
    """

    def __init__(self, version: str, name: str, logits: Logits, clock: Callable[[], float] = time.monotonic) -> None:
        self.version, self.name, self.logits, self._clock = version, name, logits, clock
        self._timings: list[float] = []
        self._latest = 0.0
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """The median of the last requests; 0 before the first. It fades while there are none: a tier that was slow
        once, as a first request is, would never be asked again by callers who are in a hurry."""
        with self._lock:
            typical = float(np.median(self._timings)) if self._timings else 0.0
            return float(typical * 0.5 ** ((self._clock() - self._latest) / _FADE_SECONDS))

    def took(self, seconds: float) -> None:
        """Remember how long a request took."""
        with self._lock:
            self._timings = [*self._timings[-_TIMINGS + 1 :], seconds]
            self._latest = self._clock()


def tiers_of(version: Version, name: str) -> tuple[TimedNetwork, ...]:
    """The full network of the version of that name, then the small one if there is one."""
    network, compiled, small = version.network, version.compiled, version.small

    def full(request: RankingInput, table: Table) -> Floats:
        batch = collate([request], table)
        with torch.inference_mode():
            found: Floats = (compiled.logits(batch) if compiled else network(batch).numpy())[0]
        return found

    first = TimedNetwork(name, Tier.FULL, full)
    return (
        (first,) if small is None else (first, TimedNetwork(name, Tier.SMALL, lambda one, _: small.logits(one.dense)))
    )


class LearnedReranker:
    """A network of a version for one person.

    Args:
        version: weights, and what its outcomes are worth.
        tier: its tier.
        reader: makes numbers of candidates.
        user: who asks.
        drift: is told what the full network says.
    """

    def __init__(
        self, version: Version, tier: TimedNetwork, reader: FeatureReader, user: UserFeatures, drift: DriftWindow
    ) -> None:
        self._version, self._tier, self._reader, self._user, self._drift = version, tier, reader, user, drift

    @property
    def version(self) -> str:
        """The version's name."""
        return self._tier.version

    @property
    def tier(self) -> str:
        """The tier's name."""
        return self._tier.name

    @property
    def seconds(self) -> float:
        """The time that it typically takes."""
        return self._tier.seconds

    def rerank(self, query: Query, signals: QuerySignals, candidates: Candidates) -> Candidates:
        """Candidates with the network's scores: the worth of the probable outcomes."""
        if not len(candidates):
            return candidates
        began = time.perf_counter()
        request, table = self._reader.ranking_input(self._user, candidates)
        learned = expected_utility(self._tier.logits(request, table), self._version)
        if not query.parts:
            if self._tier.name == Tier.FULL:
                self._drift.scored(float(learned.max()))
            learned = promote_new(learned, request.ids == 0, self._version.utility.new_share)
        else:  # training rows have none: what was asked for comes first
            learned = candidates.scores + MODEL_WEIGHT_WITH_QUERY * standardised(learned)
        self._tier.took(time.perf_counter() - began)
        return Candidates(
            candidates.ids, learned.astype(np.float32), candidates.vectors, candidates.present, candidates.payloads
        )


def expected_utility(logits: Floats, version: Version) -> Floats:
    """(c,): the worth of the probable outcomes of logits (c, outcomes)."""
    slopes, intercepts = np.array(version.calibration, np.float64).T
    likely = 1 / (1 + np.exp(-(logits * slopes + intercepts)))  # (c, outcomes)
    return np.asarray(likely @ np.array([version.utility.positive, version.utility.negative]), np.float32)


def promote_new(scores: Floats, new: Bools, share: float) -> Floats:
    """(c,): scores by which, of the first p positions, at least about `share` * p go to new items while there are
    any.

    Most of what people choose is known, so what is new seldom comes first by its probability; and what is not shown
    stays unknown. The order among new items, and among the others, stays as it is.

    Args:
        scores: (c,).
        new: (c,), which items nobody had acted on.
        share: 0 to 1; 0 changes nothing.
    """
    if share <= 0 or not new.any():
        return scores
    order = np.argsort(-scores, kind="stable")
    own = np.flatnonzero(new[order])  # the positions of the new items
    latest = np.ceil((np.arange(len(own)) + 0.5) / share).astype(np.intp) - 1
    positions = np.minimum(own, latest)
    ordered = np.empty_like(order)
    ordered[positions] = order[own]
    ordered[np.setdiff1d(np.arange(len(order)), positions)] = order[~new[order]]
    raised = np.maximum.accumulate(scores[ordered][::-1])[::-1]  # what is moved up gets the score of what comes next
    found = np.empty_like(scores)
    found[ordered] = raised + np.float32(_TIE) * np.arange(len(order), 0, -1, dtype=np.float32)
    return found
