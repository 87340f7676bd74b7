"""The extra vectors of a collection on a server: its named vectors that are no modality's."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from qdrant_client import QdrantClient, models

from encoders.types import Floats
from engine.core.errors import StoreError
from engine.core.types import ItemId
from engine.store import extra
from engine.store.base import point_id
from engine.store.parts import of_parts
from engine.store.server_collection import ServerCollection
from engine.store.server_points import FetchedPoints

_LOOK = 10.0
"""Seconds between two looks for vectors of further parts."""


class ServerVectors:
    """Adds, writes, reads and drops extra vectors. What there is, the collection's own settings say.

    Args:
        collection: the collection.
        chunk: points per message.
    """

    def __init__(self, collection: ServerCollection, chunk: int) -> None:
        self._collection = collection
        self._chunk = chunk
        self.dimensions: Mapping[str, int] = {}
        """The extra vectors that there were when we last looked."""
        self.metadata: Mapping[str, Any] = {}
        """What the collection said about itself then."""
        self._parts: tuple[str, ...] = ()
        self._look_at = 0.0
        self.look()

    def look(self) -> Mapping[str, int]:
        """The extra vectors that there are now; another process may have added or dropped some."""
        config = self._collection.call(lambda qdrant: qdrant.get_collection(self._collection.name)).config
        self.dimensions, self.metadata = self._extra_of(config), config.metadata or {}
        self._parts, self._look_at = _parts_of(config), time.monotonic() + _LOOK
        return self.dimensions

    def parts(self, *, anew: bool = False) -> tuple[str, ...]:
        """The names of the vectors of further parts; one that another process makes shows within `_LOOK` seconds.

        Args:
            anew: look now.
        """
        if anew or time.monotonic() >= self._look_at:
            self.look()
        return self._parts

    def make_parts(self, names: set[str], dimension: int) -> None:
        """Make room for further parts, where it is not there yet.

        Raises:
            StoreError: if the server is too old.
        """
        for name in names.difference(self._parts):
            nearest = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
            self._make(name, dimension, nearest, partial(self._has_parts, name))

    def _has_parts(self, name: str, qdrant: QdrantClient) -> bool:
        return name in _parts_of(_config(qdrant, self._name))

    def _read(self, qdrant: QdrantClient) -> Mapping[str, int]:
        return self._extra_of(_config(qdrant, self._name))

    def _extra_of(self, config: models.CollectionConfig) -> Mapping[str, int]:
        vectors = config.params.vectors
        named = vectors if isinstance(vectors, dict) else {}
        return {
            name: params.size
            for name, params in named.items()
            if extra.NAME.fullmatch(name) and params.distance == models.Distance.COSINE
        }

    def find(self, name: str) -> int:
        """The dimension of an extra vector, after a look if it is not known.

        Raises:
            InvalidQueryError: if there is none of this name.
        """
        return extra.dimension_of(name, self.dimensions if name in self.dimensions else self.look())

    def add(self, name: str, dimension: int) -> None:
        """Make room for one; see `VectorStore.add_vector`."""
        if not extra.is_new(name, dimension, self.look()):
            return
        self._make(name, dimension, None, lambda qdrant: self._read(qdrant).get(name) == dimension)

    def _make(
        self,
        name: str,
        dimension: int,
        several: models.MultiVectorConfig | None,
        there: Callable[[QdrantClient], bool],
    ) -> None:
        dense = models.DenseVectorConfig(size=dimension, distance=models.Distance.COSINE, multivector_config=several)
        config = models.DenseVectorNameConfig(dense=dense)
        try:
            self._collection.call(lambda qdrant: qdrant.create_vector_name(self._name, name, config))
        except StoreError as error:
            if not self._collection.call(there):  # else a try whose answer was lost has done it
                raise StoreError(
                    f"vector {name} cannot be added ({error})", "it takes qdrant 1.18 or later"
                ) from error
        self._collection.settle(there, f"vector {name}")
        self.look()

    @property
    def _name(self) -> str:
        return self._collection.name

    def drop(self, name: str) -> None:
        """Remove one; see `VectorStore.drop_vector`."""
        if name in self.look():
            try:
                self._collection.call(lambda qdrant: qdrant.delete_vector_name(self._collection.name, name))
            except StoreError:
                if name in self.look():  # else a try whose answer was lost has done it
                    raise
            self._collection.settle(lambda qdrant: name not in self._read(qdrant), f"the end of vector {name}")
            self.look()

    def put(self, name: str, ids: Sequence[ItemId], matrix: Floats) -> int:
        """Write vectors; see `VectorStore.put_vectors`."""
        vectors = [*extra.check_matrix(name, self.find(name), ids, matrix).items()]
        count = 0
        for start in range(0, len(vectors), self._chunk):
            count += self._put(
                name, {point_id(item): vector for item, vector in vectors[start : start + self._chunk]}
            )
        return count

    def _put(self, name: str, vectors: Mapping[str, Floats]) -> int:
        """Write the vectors of those points that are there; the server refuses others, who may go at any moment."""
        there = self._there([*vectors])
        while there:
            changes = [models.PointVectors(id=key, vector={name: vectors[key].tolist()}) for key in there]
            try:
                self._collection.call(_update(self._collection.name, changes))
                break
            except StoreError:
                before, there = there, self._there(there)
                if len(there) == len(before):
                    extra.dimension_of(name, self.look())
                    raise
        return len(there)

    def _there(self, keys: Sequence[str]) -> list[str]:
        return [*self._get(keys, ()).keys]

    def _get(self, keys: Sequence[str], names: Sequence[str]) -> FetchedPoints:
        return self._collection.read(
            lambda points: points.get(self._collection.name, keys, payload=False, vectors=names)
        )

    def read(self, name: str, ids: Sequence[ItemId]) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Read vectors; see `VectorStore.read_vectors`."""
        dimension = self.find(name)
        keys = [point_id(item) for item in ids]
        found = self._get([*dict.fromkeys(keys)], [name]) if keys else _NOTHING
        matrix = np.zeros((len(ids), dimension), np.float32)
        present = np.zeros(len(ids), np.bool_)
        if name in found.vectors:
            owners, vectors = found.vectors[name]
            row_of = {found.keys[owner]: row for row, owner in enumerate(owners)}
            rows = np.array([row_of.get(key, -1) for key in keys], np.intp)
            present = rows >= 0
            matrix[present] = vectors[rows[present]]
        return matrix, present

    def keep(self, records: Sequence[models.PointStruct]) -> None:
        """Add to points that are about to be replaced the extra vectors that they have."""
        if not self.dimensions:
            return
        found = self._get([str(record.id) for record in records], [*self.dimensions])
        record_of = {str(record.id): record for record in records}
        for name, (owners, vectors) in found.vectors.items():
            for owner, vector in zip(owners, vectors.tolist(), strict=True):
                named: Any = record_of[found.keys[owner]].vector
                named[name] = vector


_NOTHING = FetchedPoints((), (), {})


def _config(qdrant: QdrantClient, collection: str) -> models.CollectionConfig:
    return qdrant.get_collection(collection).config


def _parts_of(config: models.CollectionConfig) -> tuple[str, ...]:
    named = config.params.vectors if isinstance(config.params.vectors, dict) else {}
    return tuple(name for name, params in named.items() if params.multivector_config and of_parts(name))


def _update(collection: str, changes: list[models.PointVectors]) -> Callable[[QdrantClient], object]:
    return lambda qdrant: qdrant.update_vectors(collection, changes, wait=True)
