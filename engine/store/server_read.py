"""How items are read from a collection on a server: the points of its nodes as candidates and hits."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
from qdrant_client import models

from encoders.types import Modality
from engine.core.caching import Uses
from engine.core.types import Candidates, ItemId, Json, Payload
from engine.store.base import Hits, point_id
from engine.store.parts import parts_name, parts_of
from engine.store.server_cache import ADDRESS, Columns, More, VectorCache, has_parts
from engine.store.server_collection import ServerCollection
from engine.store.server_points import FetchedPoints

ID = "_id"
"""The payload key of the item's id."""
_OWN = frozenset({ID, ADDRESS})
_NAMES = 1 << 18
"""Items whose points' ids are kept in memory, about 300 bytes each."""


class PartNames(Protocol):
    """Names the vectors of further parts."""

    def __call__(self, *, anew: bool = False) -> Sequence[str]:
        """The names; `anew` asks the server now."""


def own_payload(payload: Mapping[str, Json]) -> Payload:
    """A point's payload without what the store put there."""
    return {key: value for key, value in payload.items() if key not in _OWN}


class ServerReader:
    """Reads items.

    Args:
        collection: the collection.
        dimension: of every vector of the space.
        modalities: those that are kept.
        cache_bytes: of vectors that are kept in memory.
        parts: the names of the vectors of further parts; see `ServerVectors.parts`.
    """

    def __init__(
        self,
        collection: ServerCollection,
        dimension: int,
        modalities: Sequence[Modality],
        cache_bytes: int,
        parts: PartNames,
    ) -> None:
        self._collection = collection
        self._dimension = dimension
        self._modalities = tuple(modalities)
        self._names = _Names()
        self._parts = parts
        self._cache = VectorCache(self._modalities, dimension, cache_bytes)

    def caches(self) -> Mapping[str, Uses]:
        """How its cache was used; see `Caching`."""
        return {"vectors": self._cache.uses}

    def keys(self, ids: Sequence[ItemId]) -> list[str]:
        """The ids of the points of items."""
        return self._names.keys(ids)

    def fetch(
        self, ids: Iterable[ItemId], *, with_vectors: bool, with_payload: bool, once: bool = False
    ) -> Candidates:
        """The items that are there, each once, in the order of `ids`; see `VectorStore.retrieve`."""
        names = list(dict.fromkeys(ids))
        page = _Rows(self._names.keys(names), self._modalities if with_vectors else (), self._dimension)
        if with_vectors and not once and len(names) <= self._cache.capacity:
            self._fetch_new(page, with_payload)
        elif names:
            payload = with_payload or ([ADDRESS] if with_vectors else False)
            self._get(page, page.keys, payload=payload, with_vectors=with_vectors)
        return page.candidates(names, with_payload)

    def _get(self, page: "_Rows", keys: Sequence[str], *, payload: bool | Sequence[str], with_vectors: bool) -> None:
        name = self._collection.name

        def get(parts: Sequence[str]) -> None:
            vectors = [*self._modalities, *parts] if with_vectors else ()
            page.enter(self._collection.read(lambda points: points.get(name, keys, payload=payload, vectors=vectors)))

        get(self._parts() if with_vectors else ())
        if with_vectors and page.lacks_parts:  # another process has written the first ones
            get(self._parts(anew=True))

    def _fetch_new(self, page: "_Rows", with_payload: bool) -> None:
        """Fill the rows from the cache; fetch only the points whose vectors are not there, or are others now."""
        payload = True if with_payload else [ADDRESS]
        self._get(page, page.keys, payload=payload, with_vectors=False)
        fresh = [
            row
            for row in self._cache.read(page.addresses(), page.columns, page.more)
            if page.payloads[row] is not None
        ]
        if not fresh:
            return
        for row in fresh:
            page.payloads[row] = None
        self._get(page, [page.keys[row] for row in fresh], payload=payload, with_vectors=True)
        addresses = page.addresses()
        known = {row: address for row in fresh if (address := addresses[row]) is not None}
        self._cache.keep(known.values(), known.keys(), page.columns, page.more)

    def query(self, requests: Sequence[models.QueryRequest]) -> list[Hits]:
        """Search, in the order of the requests. Payloads are not read: a point's item is known, or asked for once."""
        answers = self._collection.read(lambda points: points.query(self._collection.name, requests))
        items = self._items([key for keys, _ in answers for key in keys])
        hits = []
        for keys, scores in answers:
            kept = [place for place, key in enumerate(keys) if key in items]  # others were just deleted
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


class _Rows:
    """Points that are asked for, one in a row; they are filled as they come.

    Args:
        keys: (n,), their ids.
        names: of the vectors that are wanted.
        dimension: of each.
    """

    def __init__(self, keys: Sequence[str], names: Sequence[Modality], dimension: int) -> None:
        self.keys = keys
        self.payloads: list[Mapping[str, Json] | None] = [None] * len(keys)
        """None where there is no point."""
        self.columns: Columns = {
            name: (np.zeros((len(keys), dimension), np.float32), np.zeros(len(keys), np.bool_)) for name in names
        }
        self.more: dict[int, More] = {}
        """By row, further parts."""
        self._dimension = dimension
        self._rows = {key: row for row, key in enumerate(keys)}

    def enter(self, found: FetchedPoints) -> None:
        """Fill the rows of points that came."""
        rows = np.array([self._rows[key] for key in found.keys], np.intp)
        for row, payload in zip(rows.tolist(), found.payloads, strict=True):
            self.payloads[row] = payload
        for name, (matrix, present) in self.columns.items():
            if name in found.vectors:
                owners, vectors = found.vectors[name]
                matrix[rows[owners]], present[rows[owners]] = vectors, True
            for owner, vectors in found.several.get(parts_name(name), {}).items():
                self.more[int(rows[owner])] = {**self.more.get(int(rows[owner]), {}), name: vectors}

    @property
    def lacks_parts(self) -> bool:
        """Whether a point says that it has further parts which did not come."""
        return any(has_parts(address) and row not in self.more for row, address in enumerate(self.addresses()))

    def addresses(self) -> list[str | None]:
        """The addresses of the points' vectors; None where there is none."""
        found = (payload and payload.get(ADDRESS) for payload in self.payloads)
        return [address if isinstance(address, str) else None for address in found]

    def candidates(self, names: Sequence[ItemId], with_payload: bool) -> Candidates:
        """Those that are there.

        Args:
            names: the items.
            with_payload: whether their payloads are wanted.
        """
        whole = Candidates(
            tuple(names),
            np.zeros(len(names), np.float32),
            {modality: matrix for modality, (matrix, _) in self.columns.items()},
            {modality: present for modality, (_, present) in self.columns.items()},
            tuple(own_payload(payload) if payload and with_payload else {} for payload in self.payloads),
            parts_of(dict(sorted(self.more.items())), self._dimension, tuple(self.columns)),
        )
        there = [row for row, payload in enumerate(self.payloads) if payload is not None]
        return whole if len(there) == len(names) else whole.take(there)


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
