"""Neighbours by cosine, and EASE: linear in the history, so they need no profile that was trained."""

import numpy as np
from scipy import sparse

from encoders.types import Floats
from engine.catalog.items import ItemTable
from engine.learn.evaluation.baselines.matrix import Frame
from engine.learn.log import EventLog
from engine.learn.ranker import Cases
from engine.learn.splits import ALL_POSITIVES, Positives
from engine.rerank.statistics import ease


class Ease:
    """EASE; see `engine.rerank.statistics.ease`.

    Needs m² numbers of memory and m³ steps: for some ten thousand items.

    Args:
        regularization: λ, the penalty.
        positives: the events that count.
    """

    name = "ease"

    def __init__(self, regularization: float = 500.0, positives: Positives = ALL_POSITIVES) -> None:
        self._regularization, self._positives = regularization, positives
        self._frame: Frame | None = None
        self._weights: Floats = np.zeros((0, 0), np.float32)

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """See `Ranker.fit`."""
        self._frame = frame = Frame.of(log, items, self._positives)
        matrix = frame.matrix().astype(np.float64)
        self._weights = ease((matrix.T @ matrix).toarray(), self._regularization)

    def score(self, cases: Cases) -> Floats:
        """See `Ranker.score`."""
        assert self._frame is not None, "fit first"
        return np.asarray(self._frame.case_matrix(cases) @ self._weights, np.float32)


class ItemKnn:
    """Sums the cosines of an item with those of the history, over nearest neighbours (Sarwar et al., 2001).

    Args:
        neighbours: that count of each item.
        positives: the events that count.
    """

    name = "item-knn"

    def __init__(self, neighbours: int = 100, positives: Positives = ALL_POSITIVES) -> None:
        self._neighbours, self._positives = neighbours, positives
        self._frame: Frame | None = None
        self._near = sparse.csr_array((0, 0), dtype=np.float32)

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """See `Ranker.fit`."""
        self._frame = frame = Frame.of(log, items, self._positives)
        columns = _unit(sparse.csr_array(frame.matrix().T))
        near = sparse.lil_array(columns @ columns.T)
        near.setdiag(0)
        self._near = nearest(sparse.csr_array(near), self._neighbours)

    def score(self, cases: Cases) -> Floats:
        """See `Ranker.score`."""
        assert self._frame is not None, "fit first"
        return np.asarray((self._frame.case_matrix(cases) @ self._near.T).toarray(), np.float32)


class UserKnn:
    """Sums what the most similar people had to do with, weighted by the cosine (Herlocker et al., 1999).

    The person of a case is not their own neighbour.

    Args:
        neighbours: that count of each person.
        positives: the events that count.
    """

    name = "user-knn"

    def __init__(self, neighbours: int = 100, positives: Positives = ALL_POSITIVES) -> None:
        self._neighbours, self._positives = neighbours, positives
        self._frame: Frame | None = None
        self._matrix = self._users = sparse.csr_array((0, 0), dtype=np.float32)

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """See `Ranker.fit`."""
        self._frame = Frame.of(log, items, self._positives)
        self._matrix = self._frame.matrix()
        self._users = _unit(self._matrix)

    def score(self, cases: Cases) -> Floats:
        """See `Ranker.score`."""
        assert self._frame is not None, "fit first"
        near = (_unit(self._frame.case_matrix(cases)) @ self._users.T).toarray()  # (b, u)
        near[np.arange(len(cases)), cases.user] = 0
        kept = nearest(sparse.csr_array(near), self._neighbours)
        return np.asarray((kept @ self._matrix).toarray(), np.float32)


def nearest(matrix: sparse.csr_array, count: int) -> sparse.csr_array:
    """The largest `count` entries of each row; of equal ones, those of the lower columns."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, row))
    row, column, data = row[order], matrix.indices[order], matrix.data[order]
    keep = np.arange(len(row)) - np.searchsorted(row, row) < count
    return sparse.csr_array((data[keep], (row[keep], column[keep])), shape=matrix.shape)


def _unit(matrix: sparse.csr_array) -> sparse.csr_array:
    """The rows at length 1; rows of zeros stay."""
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sparse.csr_array(matrix.multiply((1 / np.where(length > 0, length, 1))[:, None]).astype(np.float32))
