"""How items are read from a collection on a server: the points of its nodes as candidates and hits."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from qdrant_client import models

from encoders.types import Floats, Modality
from engine.store.base import Hits, point_id
from engine.store.server_collection import ServerCollection
from engine.store.server_points import Found
from engine.types import Candidates, ItemId

ID = "_id"
"""The payload key of the item's id."""
_NAMES = 1 << 18
"""Items whose points' ids are kept in memory, about 300 bytes each."""


class ServerReader:
    """Reads items. It keeps nothing but which item is which point, and that never changes.

    Args:
        collection: the collection.
        dimension: of every vector of the space.
        modalities: those that are kept.
    """

    def __init__(self, collection: ServerCollection, dimension: int, modalities: Sequence[Modality]) -> None:
        self._collection = collection
        self._dimension = dimension
        self._modalities = tuple(modalities)
        self._names = _Names()

    def fetch(self, ids: Iterable[ItemId], *, with_vectors: bool, with_payload: bool) -> Candidates:
        """The items that are there, each once, in the order of `ids`; see `VectorStore.candidates`."""
        names = list(dict.fromkeys(ids))
        keys = self._names.keys(names)
        vectors = self._modalities if with_vectors else ()
        found = self._collection.read(
            lambda points: points.get(
                self._collection.name, keys, payload=with_payload, vectors=[modality.value for modality in vectors]
            )
        )
        places = {key: place for place, key in enumerate(found.keys)}
        there = [(name, places[key]) for name, key in zip(names, keys, strict=True) if key in places]
        rows = np.empty(len(there), np.intp)  # of each point that was sent, its row here
        rows[[place for _, place in there]] = np.arange(len(there))
        columns = {modality: self._column(found, modality.value, rows) for modality in vectors}
        return Candidates(
            tuple(name for name, _ in there),
            np.zeros(len(there), np.float32),
            {modality: matrix for modality, (matrix, _) in columns.items()},
            {modality: present for modality, (_, present) in columns.items()},
            tuple({key: value for key, value in found.payloads[place].items() if key != ID} for _, place in there),
        )

    def _column(self, found: Found, name: str, rows: npt.NDArray[np.intp]) -> tuple[Floats, npt.NDArray[np.bool_]]:
        matrix = np.zeros((len(rows), self._dimension), np.float32)
        present = np.zeros(len(rows), np.bool_)
        if name in found.vectors:
            owners, vectors = found.vectors[name]
            matrix[rows[owners]], present[rows[owners]] = vectors, True
        return matrix, present

    def query(self, requests: Sequence[models.QueryRequest]) -> list[Hits]:
        """Search, in the order of the requests. Payloads are not read: a point's item is known, or asked for once."""
        answers = self._collection.read(lambda points: points.query(self._collection.name, requests))
        items = self._items([key for keys, _ in answers for key in keys])
        hits = []
        for keys, scores in answers:
            kept = [
                place for place, key in enumerate(keys) if key in items
            ]  # a point may have been deleted meanwhile
            hits.append(Hits(tuple(items[keys[place]] for place in kept), scores[kept]))
        return hits

    def _items(self, keys: Iterable[str]) -> dict[str, ItemId]:
        """Which item each point is; without those that are not there any more."""
        wanted = list(dict.fromkeys(keys))
        items = self._names.items(wanted)
        unknown = [key for key in wanted if key not in items]
        if unknown:
            found = self._collection.read(
                lambda points: points.get(self._collection.name, unknown, payload=[ID], vectors=())
            )
            new = {key: ItemId(str(payload[ID])) for key, payload in zip(found.keys, found.payloads, strict=True)}
            self._names.learn(new)
            items.update(new)
        return items


class _Names:
    """Which item is which point, in both directions. Full, it begins anew."""

    def __init__(self) -> None:
        self._keys: dict[ItemId, str] = {}
        self._items: dict[str, ItemId] = {}

    def keys(self, names: Sequence[ItemId]) -> list[str]:
        """The points of items."""
        known = self._keys
        keys = [known.get(name) or point_id(name) for name in names]
        self.learn(dict(zip(keys, names, strict=True)))
        return keys

    def items(self, keys: Iterable[str]) -> dict[str, ItemId]:
        """The items of those points that are known."""
        known = self._items
        return {key: item for key in keys if (item := known.get(key)) is not None}

    def learn(self, items: dict[str, ItemId]) -> None:
        """Take note of the items of points."""
        if len(self._items) + len(items) > _NAMES:
            self._keys, self._items = {}, {}
        self._items.update(items)
        self._keys.update(zip(items.values(), items.keys(), strict=True))
