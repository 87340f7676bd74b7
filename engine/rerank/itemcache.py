"""What the reranker has to know of items besides their vectors, in columns, so that a request parses no payloads."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from encoders.types import Rows
from engine.catalog.ingest import indexed_at
from engine.core.caching import UseCount, Uses
from engine.core.types import ItemId, Payload
from engine.rerank.fields import Fields, FieldScales
from engine.store.base import VectorStore

MAX_AGE = 600.0
"""Seconds after which an item's payload is read again: somebody else may have changed it."""
MAX_ITEMS = 1_000_000
"""So many items are kept at most; then a new one gets the row of the item that has had its own the longest. A request
reads its rows at once, and asks for far fewer items than this, so none of its rows goes to another item meanwhile."""
_CHUNK = 4096

Clock = Callable[[], float]


class ItemCache:
    """Columns of items, filled as they are asked for.

    Args:
        store: the catalogue.
        scales: of the payload fields.
        count_row_of: the row in the version's counts of each item that it knows.
        identity: (m,), the row of the network's id embedding by row of the counts.
        clock: seconds, rising.
    """

    def __init__(
        self,
        store: VectorStore,
        scales: FieldScales,
        count_row_of: Mapping[ItemId, int],
        identity: Rows,
        clock: Clock = time.monotonic,
    ) -> None:
        self._store, self._scales, self._clock = store, scales, clock
        self._count_row_of, self._identity_of = count_row_of, identity
        self._lock = threading.Lock()
        self._used = UseCount()
        self._rows: dict[ItemId, int] = {}
        self._names: list[ItemId] = []
        self._next = 0
        """The row that the next item gets; in a full cache, that of the item which has had its own the longest."""
        empty = self._scales.apply([])
        self._categories = {name: _grown(column) for name, column in empty.categories.items()}
        self._numbers = {name: _grown(column) for name, column in empty.numbers.items()}
        self._since = np.zeros(_CHUNK)
        self._read = np.zeros(_CHUNK)
        self._count = np.zeros(_CHUNK, np.intp)
        self._identity = np.zeros(_CHUNK, np.intp)

    def rows(self, ids: Sequence[ItemId]) -> Rows:
        """The row of each item in the columns. Items that are new, or were read long ago, are read from the store."""
        with self._lock:
            now = self._clock()
            old, find = now - MAX_AGE, self._rows.get
            wanted, misses = dict.fromkeys(ids), 0
            while missing := [name for name in wanted if (row := find(name)) is None or self._read[row] < old]:
                self._fill(missing, now)
                misses += len(missing)
            self._used.add(max(len(wanted) - misses, 0), misses)
            return np.array([self._rows[name] for name in ids], np.intp)

    @property
    def uses(self) -> Uses:
        """How often items were known that were asked for."""
        return self._used.uses

    def forget(self, ids: Sequence[ItemId]) -> None:
        """Items were written or deleted: the next that asks for them reads them again."""
        with self._lock:
            rows = [row for name in ids if (row := self._rows.get(name)) is not None]
            self._read[rows] = -np.inf

    def _row(self, name: ItemId) -> int:
        """The row of an item, a new one if it has none."""
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = self._next
            if row < len(self._names):
                del self._rows[self._names[row]]
                self._names[row] = name
            else:
                self._names.append(name)
            self._next = (row + 1) % MAX_ITEMS
        return row

    def _fill(self, ids: list[ItemId], now: float) -> None:
        points = self._store.retrieve(ids, with_vectors=False)
        payloads: list[Payload] = [{} if point is None else point.payload for point in points]
        fields = self._scales.apply(payloads)
        rows = np.array([self._row(name) for name in ids], np.intp)
        self._grow(len(self._names))
        for name, column in fields.categories.items():
            self._categories[name][rows] = column
        for name, column in fields.numbers.items():
            self._numbers[name][rows] = column
        known = np.array([self._count_row_of.get(name, -1) for name in ids], np.intp)
        self._count[rows] = known
        self._identity[rows] = np.where(known >= 0, self._identity_of[known], 0) if len(self._identity_of) else 0
        self._since[rows] = [indexed_at(payload) for payload in payloads]
        self._read[rows] = now

    def _grow(self, size: int) -> None:
        while len(self._since) < size:
            self._since, self._read = _grown(self._since), _grown(self._read)
            self._count, self._identity = _grown(self._count), _grown(self._identity)
            self._categories = {name: _grown(column) for name, column in self._categories.items()}
            self._numbers = {name: _grown(column) for name, column in self._numbers.items()}

    def fields(self, rows: Rows) -> Fields:
        """The payload fields of rows, which may be -1 for no item: that has none."""
        return Fields(
            {name: _of(column, rows, 0) for name, column in self._categories.items()},
            {name: _of(column, rows, np.nan) for name, column in self._numbers.items()},
        )

    def since(self, rows: Rows) -> npt.NDArray[np.float64]:
        """(k,): when items came, seconds since 1970; NaN where unknown, and for row -1."""
        return _of(self._since, rows, np.nan)

    def count_rows(self, rows: Rows) -> Rows:
        """(k,): rows of the counts, -1 for items that they do not know, and for row -1."""
        return _of(self._count, rows, -1)

    def identity(self, rows: Rows) -> Rows:
        """(k,): rows of the network's id embedding, 0 for none, and for row -1."""
        return _of(self._identity, rows, 0)


def _of(column: np.ndarray, rows: Rows, none: float) -> np.ndarray:
    """The values of rows; `none` for row -1."""
    found: np.ndarray = column[rows]
    found[rows < 0] = none
    return found


def _grown(column: np.ndarray) -> np.ndarray:
    more = max(len(column), _CHUNK)
    return np.concatenate([column, np.zeros((more, *column.shape[1:]), column.dtype)])
