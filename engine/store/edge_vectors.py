"""The extra vectors of an embedded store: named vectors of the shard, which know nothing of rows."""

import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from encoders.types import Floats
from engine.core.types import ItemId
from engine.store import extra
from engine.store.edge_folder import Description
from engine.store.edge_read import Directory
from engine.store.edge_shard import Shard
from engine.store.edge_space import DiskRoom, size_of_vectors


class Describe(Protocol):
    """Changes the description of the store, on disk first."""

    def __call__(
        self,
        *,
        extra: Mapping[str, int] = ...,
        strays: tuple[str, ...] = ...,
        graphed: int = ...,
    ) -> None:
        """Change what is given."""


class EdgeVectors:
    """Adds, writes, reads and drops extra vectors.

    Args:
        shard: of the store.
        directory: of the store.
        writing: the lock of the store's writers.
        about: gives the description of the store.
        describe: changes it.
        wrote: takes note of points that were written.
        room: refuses writes where the disk is almost full.
        chunk: points per write of the shard.
    """

    def __init__(
        self,
        shard: Shard,
        directory: Directory,
        writing: threading.RLock,
        about: Callable[[], Description],
        describe: Describe,
        wrote: Callable[[Iterable[ItemId]], None],
        room: DiskRoom,
        chunk: int,
    ) -> None:
        self._shard = shard
        self._directory = directory
        self._writing = writing
        self._about = about
        self._describe = describe
        self._wrote = wrote
        self._room = room
        self._chunk = chunk
        self._dropped: set[str] = set()
        self._remove(about().strays)

    @property
    def dimensions(self) -> Mapping[str, int]:
        """The extra vectors that there are, with their dimensions."""
        return self._about().extra

    def add(self, name: str, dimension: int) -> None:
        """Make room for one; see `VectorStore.add_vector`."""
        with self._writing:
            self._shard.check_open()
            if not extra.is_new(name, dimension, self.dimensions):
                return
            everything = size_of_vectors(len(self._directory.entries), dimension)
            self._room.check(everything, f"making room for vector {name}")
            self._remove(self._about().strays)
            self._describe(strays=(name,))
            self._shard.add_vector(name, dimension)
            self._describe(extra={**self.dimensions, name: dimension}, strays=())

    def drop(self, name: str) -> None:
        """Remove one; see `VectorStore.drop_vector`."""
        with self._writing:
            self._shard.check_open()
            if name in self.dimensions:
                self._room.check_least(f"dropping vector {name}")
                rest = {other: one for other, one in self.dimensions.items() if other != name}
                self._describe(extra=rest, strays=(*self._about().strays, name))
                self._dropped.add(name)
                self._remove(self._about().strays)

    def _remove(self, strays: Sequence[str]) -> None:
        for name in strays:
            self._shard.drop_vector(name)
        if strays:
            self._describe(strays=())

    def put(self, name: str, ids: Sequence[ItemId], matrix: Floats) -> int:
        """Write vectors; see `VectorStore.put_vectors`."""
        vectors = [*extra.check_matrix(name, extra.dimension_of(name, self.dimensions), ids, matrix).items()]
        count = 0
        for start in range(0, len(vectors), self._chunk):
            chunk = vectors[start : start + self._chunk]
            with self._writing:
                self._shard.check_open()
                dimension = extra.dimension_of(name, self.dimensions)  # it may have been dropped
                self._room.check(size_of_vectors(len(chunk), dimension), f"writing vector {name}")
                there = [(item, vector) for item, vector in chunk if item in self._directory.entries]
                if not there:
                    continue
                if not count and self._about().graphed:
                    self._describe(graphed=max(0, self._about().graphed - len(vectors)))
                keys = (self._directory.entries[item].key for item, _ in there)
                self._shard.set_vectors(name, keys, (vector.tolist() for _, vector in there))
                self._wrote(item for item, _ in there)
                count += len(there)
        return count

    def read(self, name: str, ids: Sequence[ItemId]) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Read vectors; see `VectorStore.read_vectors`."""
        dimension = extra.dimension_of(name, self.dimensions)
        entries = self._directory.entries
        keys = {item: entry.key for item in ids if (entry := entries.get(item)) is not None}
        found = self._shard.vectors([*keys.values()], [name])
        matrix = np.zeros((len(ids), dimension), np.float32)
        present = np.zeros(len(ids), np.bool_)
        for row, item in enumerate(ids):
            vector = found.get(keys[item], {}).get(name) if item in keys else None
            if vector is not None:
                matrix[row], present[row] = vector, True
        return matrix, present

    def keep(
        self, ids: Sequence[ItemId], keys: Sequence[uuid.UUID], vectors: Sequence[dict[str, list[float]]]
    ) -> None:
        """Add to the vectors of points that are about to be replaced the extra ones that they have."""
        there = [key for item, key in zip(ids, keys, strict=True) if item in self._directory.entries]
        if self.dimensions and there:
            kept = self._shard.vectors(there, [*self.dimensions])
            for key, named in zip(keys, vectors, strict=True):
                named.update(kept.get(key, {}))

    def copied(self) -> None:
        """Take note that the shard was copied; called with the lock."""
        self._dropped = set()

    def catch_up(self, copy: Shard) -> None:
        """Let a copy of the shard have the same extra vectors, after those that were dropped meanwhile."""
        for name in self._dropped:
            copy.drop_vector(name)
        for name, dimension in self.dimensions.items():
            copy.add_vector(name, dimension)
