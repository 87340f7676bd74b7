"""Matrix factorisation, by the library implicit."""

from typing import Any

import numpy as np
from scipy import sparse

from encoders.types import Floats
from engine.catalog.items import ItemTable
from engine.core.extras import load
from engine.learn.evaluation.baselines.matrix import Frame
from engine.learn.log import EventLog
from engine.learn.ranker import Cases
from engine.learn.splits import ALL_POSITIVES, Positives


class Als:
    """Weighted matrix factorisation by alternating least squares (Hu, Koren & Volinsky, ICDM 2008).

    A case's person is folded in from the history.

    Args:
        factors: dimensions.
        regularisation: the penalty.
        alpha: the weight of an event.
        iterations: rounds.
        seed: of the first factors.
        positives: the events that count.
    """

    name = "als"

    def __init__(
        self,
        factors: int = 64,
        regularisation: float = 10.0,
        alpha: float = 5.0,
        iterations: int = 15,
        seed: int = 0,
        positives: Positives = ALL_POSITIVES,
    ) -> None:
        self._sizes = (factors, regularisation, alpha, iterations)
        self._seed, self._positives = seed, positives
        self._frame: Frame | None = None
        self._model: Any = None

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """See `Ranker.fit`."""
        cpu = load("implicit.cpu.als")
        factors, regularisation, alpha, iterations = self._sizes
        self._frame = Frame.of(log, items, self._positives)
        self._model = cpu.AlternatingLeastSquares(
            factors=factors,
            regularization=regularisation,
            alpha=alpha,
            iterations=iterations,
            num_threads=1,
            random_state=self._seed,
        )
        self._model.fit(_csr(self._frame.matrix()), show_progress=False)

    def score(self, cases: Cases) -> Floats:
        """See `Ranker.score`."""
        assert self._frame is not None, "fit first"
        users = self._model.recalculate_user(np.arange(len(cases)), _csr(self._frame.case_matrix(cases)))
        return np.asarray(users @ self._model.item_factors.T, np.float32)


class Bpr:
    """Matrix factorisation by Bayesian personalised ranking (Rendle et al., UAI 2009).

    A person whom it did not learn from gets the mean of the history's items.

    Args:
        factors: dimensions.
        learning_rate: of learning.
        regularisation: the penalty.
        iterations: rounds.
        seed: of the first factors and of the draws.
        positives: the events that count.
    """

    name = "bpr"

    def __init__(
        self,
        factors: int = 64,
        learning_rate: float = 0.01,
        regularisation: float = 0.01,
        iterations: int = 100,
        seed: int = 0,
        positives: Positives = ALL_POSITIVES,
    ) -> None:
        self._sizes = (factors, learning_rate, regularisation, iterations)
        self._seed, self._positives = seed, positives
        self._frame: Frame | None = None
        self._model: Any = None
        self._known = np.zeros(0, np.bool_)

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """See `Ranker.fit`."""
        cpu = load("implicit.cpu.bpr")
        factors, learning_rate, regularisation, iterations = self._sizes
        self._frame = Frame.of(log, items, self._positives)
        matrix = _csr(self._frame.matrix())
        self._known = np.diff(matrix.indptr) > 0
        self._model = cpu.BayesianPersonalizedRanking(
            factors=factors,
            learning_rate=learning_rate,
            regularization=regularisation,
            iterations=iterations,
            num_threads=1,  # several threads write over each other, and no run repeats
            random_state=self._seed,
        )
        self._model.fit(matrix, show_progress=False)

    def score(self, cases: Cases) -> Floats:
        """See `Ranker.score`."""
        assert self._frame is not None, "fit first"
        history = self._frame.case_matrix(cases)
        number = np.maximum(np.diff(history.indptr), 1)[:, None]
        folded = (history @ self._model.item_factors) / number
        users = np.where(self._known[cases.user][:, None], self._model.user_factors[cases.user], folded)
        return np.asarray(users @ self._model.item_factors.T, np.float32)


def _csr(matrix: sparse.csr_array) -> Any:
    """The form that implicit takes."""
    return sparse.csr_matrix(
        (matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)), matrix.shape
    )
