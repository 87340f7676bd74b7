"""A log as a matrix: the form that most baselines learn from. Shapes: u people, m items, b cases."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from encoders.types import Rows
from engine.catalog.items import ItemTable
from engine.core.types import EventKind
from engine.learn.log import KIND_OF, EventLog
from engine.learn.ranker import Cases
from engine.learn.splits import Mask, Positives, table_rows

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Frame:
    """A log that was learned from, beside the items that are ranked."""

    log: EventLog
    items: ItemTable
    positives: Positives
    rows: Rows
    """(n,): the item row of each event, -1 where it has none."""
    good: Mask
    """(n,): whether the event is positive and on an item of the table."""

    @classmethod
    def of(cls, log: EventLog, items: ItemTable, positives: Positives) -> "Frame":
        """The frame of a log."""
        rows = table_rows(log, items)
        return cls(log, items, positives, rows, positives.of(log) & (rows >= 0))

    def matrix(self) -> sparse.csr_array:
        """(u, m) float32: 1 where a person had to do with an item."""
        where = (self.log.user[self.good], self.rows[self.good])
        return _ones(*where, (len(self.log.users), len(self.items)))

    def popularity(self) -> Counts:
        """(m,): how many positive events each item has."""
        return np.bincount(self.rows[self.good], minlength=len(self.items)).astype(np.int64)

    def sequences(self) -> list[Rows]:
        """Per person the item rows of their positive events, oldest first."""
        return [self.rows[mine[self.good[mine]]] for mine in self.log.of_user()]

    def histories(self, cases: Cases) -> list[Rows]:
        """Per case the item rows of the positive events that are known, oldest first."""
        frame = self if cases.log is None else Frame.of(cases.log, self.items, self.positives)
        return [frame.rows[known[frame.good[known]]] for known in cases.history]

    def case_matrix(self, cases: Cases) -> sparse.csr_array:
        """(b, m) float32: 1 where a case's history has an item."""
        histories = self.histories(cases)
        case = np.repeat(np.arange(len(histories)), [len(rows) for rows in histories])
        return _ones(case, np.concatenate([*histories, np.zeros(0, np.intp)]), (len(cases), len(self.items)))


def seen_items(cases: Cases, log: EventLog, items: ItemTable) -> Mask:
    """(b, m): which items the history of each case names, in any event but an impression."""
    used = cases.log or log
    rows, shown = table_rows(used, items), used.kind == KIND_OF[EventKind.IMPRESSION]
    seen = np.zeros((len(cases), len(items)), np.bool_)
    for case, known in enumerate(cases.history):
        mine = rows[known[~shown[known]]]
        seen[case, mine[mine >= 0]] = True
    return seen


def _ones(row: npt.NDArray[np.integer], column: npt.NDArray[np.integer], shape: tuple[int, int]) -> sparse.csr_array:
    matrix = sparse.csr_array((np.ones(len(row), np.float32), (row, column)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
