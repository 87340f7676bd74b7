"""How points of an embedded store are read: a directory in memory, vectors from rows, payloads from the shard."""

import sys
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import is_
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from encoders.types import Floats, Modality
from engine.core.caching import UseCount, Uses
from engine.core.errors import StoreError
from engine.core.types import Candidates, ItemId, Json, Parts, Payload
from engine.store.rows import VectorRows

ID, ROW, MORE = "_id", "_row", "_rows"
"""The payload keys of the store's own: the item, the row of its first parts, and the rows of the others."""

_ATTEMPTS = 4
_CACHED_BYTES = 32 << 20
"""Of payloads, as `_size` estimates them."""
_LARGE = 1 << 16
"""A payload of so many bytes is not kept: it would take the place of many."""


class Entry(NamedTuple):
    """Where an item is."""

    row: int
    """The row of its vectors. A new version of the item has another row, so it tells versions apart."""
    key: uuid.UUID
    """The id of its point in the shard."""
    more: tuple[int, ...] = ()
    """The rows of its further parts."""

    @property
    def rows(self) -> tuple[int, ...]:
        """All of its rows."""
        return (self.row, *self.more)


@dataclass(slots=True)
class Directory:
    """Which item is which point, and where its vectors are: about 400 bytes per item."""

    entries: dict[ItemId, Entry] = field(default_factory=dict)
    items: dict[int, ItemId] = field(default_factory=dict)
    """By the number of the point's id."""
    several: int = 0
    """Items with further parts."""

    def put(self, item: ItemId, entry: Entry) -> tuple[int, ...]:
        """Enter an item, and give the rows that it had before."""
        old = self.entries.get(item)
        self.several += bool(entry.more) - bool(old and old.more)
        self.items[entry.key.int] = item
        self.entries[item] = entry
        return old.rows if old else ()

    def pop(self, item: ItemId) -> tuple[int, ...]:
        """Strike an item out, and give the rows that it had."""
        entry = self.entries.pop(item)
        self.several -= bool(entry.more)
        del self.items[entry.key.int]
        return entry.rows


class _Payloads:
    """Payloads in memory, by item and row. Full, it begins anew: what is asked for all the time is soon back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[ItemId, tuple[int, Payload]] = {}
        self._bytes = 0

    def get(self, item: ItemId, row: int) -> Payload | None:
        """The payload of an item as it was in this row; None if it is not here."""
        held = self._held.get(item)
        return held[1] if held is not None and held[0] == row else None

    def put(self, item: ItemId, row: int, payload: Payload) -> None:
        """Keep a payload, if it is not too large."""
        size = _size(payload)
        if size > _LARGE:
            return
        with self._lock:
            if self._bytes + size > _CACHED_BYTES:
                self._held, self._bytes = {}, 0
            self._held[item] = row, payload
            self._bytes += size  # one that replaces another counts beside it, until all go


def _size(value: object) -> int:
    """About how many bytes a payload takes in memory."""
    if isinstance(value, Mapping):
        return 240 + sum(64 + _size(key) + _size(inner) for key, inner in value.items())
    if isinstance(value, list):
        return 64 + sum(8 + _size(inner) for inner in value)
    return sys.getsizeof(value)


class EdgeReader:
    """Reads points by their ids without a lock, beside a writer.

    Args:
        directory: of the store.
        rows: of the store.
        payloads: asks the shard for the payloads of points.
        writing: the lock of the store's writers, taken only if they are in the way again and again.
    """

    def __init__(
        self,
        directory: Directory,
        rows: VectorRows,
        payloads: Callable[[Sequence[uuid.UUID]], Sequence[Mapping[str, Json]]],
        writing: threading.RLock,
    ) -> None:
        self._directory = directory
        self._rows = rows
        self._ask = payloads
        self._writing = writing
        self._cache = _Payloads()
        self._count = UseCount()

    def caches(self) -> Mapping[str, Uses]:
        """How its cache was used; see `Caching`."""
        return {"payloads": self._count.uses}

    def forget_if(self, rows_come_again: bool) -> None:
        """Drop the cached payloads if rows are about to be used again, and so no longer tell versions apart."""
        if rows_come_again:
            self._cache = _Payloads()

    def fetch(self, ids: Sequence[ItemId], *, with_vectors: bool, with_payload: bool, once: bool) -> Candidates:
        """The points that are there, in this order, each as one write left it.

        Args:
            ids: the items.
            with_vectors: whether their vectors are read.
            with_payload: whether their payloads are.
            once: leave payloads that are not in memory out of it.
        """
        for _ in range(_ATTEMPTS - 1):
            found = self._try(ids, with_vectors, with_payload, once)
            if found is not None:
                return found
        with self._writing:
            found = self._try(ids, with_vectors, with_payload, once)
        if found is None:
            raise StoreError("a point of the store is not what was written last", "close the store and open it again")
        return found

    def _try(self, ids: Sequence[ItemId], with_vectors: bool, with_payload: bool, once: bool) -> Candidates | None:
        """Read optimistically; None if a writer changed one of the points meanwhile."""
        entries = self._directory.entries
        there = [(item, entry) for item in ids if (entry := entries.get(item)) is not None]
        known, found = zip(*there, strict=True) if there else ((), ())
        payloads = self._payloads(dict(there), once) if with_payload else dict.fromkeys(known, _NOTHING)
        vectors: dict[Modality, Floats] = {}
        present: dict[Modality, npt.NDArray[np.bool_]] = {}
        parts: Parts | None = None
        if with_vectors:
            vectors, present = self._rows.read(np.array([entry.row for entry in found], np.intp))
            parts = self._parts(found) if self._directory.several else None
        if payloads is None or not all(map(is_, map(entries.get, known), found)):
            return None
        scores = np.zeros(len(known), np.float32)
        return Candidates(known, scores, vectors, present, tuple(map(payloads.__getitem__, known)), parts)

    def _parts(self, entries: Sequence[Entry]) -> Parts | None:
        """The further parts of these items."""
        owners = [place for place, entry in enumerate(entries) for _ in entry.more]
        if not owners:
            return None
        rows = np.array([row for entry in entries for row in entry.more], np.intp)
        return Parts(np.array(owners, np.intp), *self._rows.read(rows))

    def _payloads(self, found: Mapping[ItemId, Entry], once: bool) -> dict[ItemId, Payload] | None:
        cache = self._cache
        payloads: dict[ItemId, Payload] = {}
        missing: list[uuid.UUID] = []
        for item, entry in found.items():
            cached = cache.get(item, entry.row)
            if cached is None:
                missing.append(entry.key)
            else:
                payloads[item] = cached
        self._count.add(len(payloads), len(missing))
        if missing:
            for payload in self._ask(missing):
                item, row = ItemId(str(payload[ID])), payload[ROW]
                payloads[item] = {key: value for key, value in payload.items() if key not in (ID, ROW, MORE)}
                if row != found[item].row:
                    return None
                if not once:
                    cache.put(item, found[item].row, payloads[item])
        return payloads if len(payloads) == len(found) else None


_NOTHING: Payload = {}
