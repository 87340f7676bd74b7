"""Popularity, and the Markov chain that is so hard to beat."""

import numpy as np
from scipy import sparse

from encoders.types import Floats
from engine.catalog.items import ItemTable
from engine.learn.evaluation.baselines.matrix import Frame
from engine.learn.log import EventLog
from engine.learn.ranker import Cases
from engine.learn.splits import ALL_POSITIVES, Positives
from engine.rerank.statistics import transitions


class Popularity:
    """Ranks by the number of positive events, for everybody alike."""

    name = "popularity"

    def __init__(self, positives: Positives = ALL_POSITIVES) -> None:
        self._positives = positives
        self._counts: Floats = np.zeros(0, np.float32)

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """See `Ranker.fit`."""
        self._counts = Frame.of(log, items, self._positives).popularity().astype(np.float32)

    def score(self, cases: Cases) -> Floats:
        """See `Ranker.score`."""
        return np.tile(self._counts, (len(cases), 1))


class Markov:
    """Counts how often item j came l events after item i, and ranks by what followed the last events.

    c(i, j) = Σ_l 1/l · (how often j came l events after i), score(j) = Σ_p 1/p · c(i_p, j) / (Σ_j c(i_p, j) + prior)
    with i_p the p-th last item of the history; p and l go from 1 to `lags`.

    Args:
        lags: how far back it looks.
        prior: how many counts an item needs to be half believed.
        positives: the events that count.
    """

    name = "markov"

    def __init__(self, lags: int = 5, prior: float = 5.0, positives: Positives = ALL_POSITIVES) -> None:
        self._lags, self._prior, self._positives = lags, prior, positives
        self._frame: Frame | None = None
        self._transitions = sparse.csr_array((0, 0), dtype=np.float32)

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """See `Ranker.fit`."""
        self._frame = frame = Frame.of(log, items, self._positives)
        counts = sparse.csr_array(transitions(frame.sequences(), len(items), self._lags))
        total = np.asarray(counts.sum(axis=1)).ravel() + self._prior
        self._transitions = sparse.csr_array(
            counts.multiply((1 / np.maximum(total, 1e-12))[:, None]).astype(np.float32)
        )

    def score(self, cases: Cases) -> Floats:
        """See `Ranker.score`."""
        assert self._frame is not None, "fit first"
        last = [rows[-self._lags :][::-1] for rows in self._frame.histories(cases)]
        case = np.repeat(np.arange(len(last)), [len(rows) for rows in last])
        weight = np.concatenate([*(1 / np.arange(1, len(rows) + 1) for rows in last), np.zeros(0)])
        rows = np.concatenate([*last, np.zeros(0, np.intp)])
        mix = sparse.csr_array(
            (weight.astype(np.float32), (case, rows)), shape=(len(cases), self._transitions.shape[0])
        )
        return np.asarray((mix @ self._transitions).toarray(), np.float32)
