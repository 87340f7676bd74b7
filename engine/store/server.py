"""A Qdrant server or cluster, through qdrant-client."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qdrant_client import QdrantClient, models

from encoders.types import Floats, Modality
from engine.core.caching import Uses
from engine.core.errors import StoreError
from engine.core.filters import Filter, Schema, fields
from engine.core.types import Candidates, ItemId
from engine.store import validate
from engine.store.base import NO_HITS, Hits, Page, Point, Tell, VectorQuery, point_id
from engine.store.columns import points_of
from engine.store.layout import Layout
from engine.store.parts import PARTS_WIDER, best_of, more_of, of_parts, parts_name, row_starts
from engine.store.quantization import SEARCHES, Quantization, Search
from engine.store.server_cache import ADDRESS, address_of
from engine.store.server_client import ServerClient
from engine.store.server_collection import ServerCollection
from engine.store.server_filter import narrowed, to_server
from engine.store.server_read import ID, ServerReader, own_payload
from engine.store.server_vectors import ServerVectors
from engine.store.server_words import ServerWords
from engine.store.settings import DEFAULTS
from engine.store.snapshot import read_snapshot, write_snapshot
from engine.store.words import WORDS, WordVector

_CHUNK = 128
"""Points per message, or their parts: a few megabytes."""


class ServerStore:
    """A collection on a server, or on a cluster.

    Args:
        client: the connection; others may use it too.
        collection: its name; made if missing.
        fingerprint: of the space whose vectors it keeps.
        dimension: of every vector.
        modalities: the named vectors.
        m: edges per node of the search graph; for a new collection.
        ef_construct: how widely the graph is searched while it is built; for a new collection.
        ef: how widely a query searches the graph, at least; its limit is a lower bound. 0 is what was measured.
        quantization: of the vectors that searches compare; a collection that has another gets it by `optimize`.
        layout: how it lies on a cluster; for a new collection. None takes the defaults.
        cache_bytes: of vectors that are kept in memory once they were read.
        still_serves: raises once the collection serves no more, and is asked after each write.

    Raises:
        StoreError: if the server does not do it.
        SpaceError: if the collection keeps vectors of another space.
    """

    def __init__(
        self,
        client: ServerClient,
        collection: str,
        *,
        fingerprint: str,
        dimension: int,
        modalities: Sequence[Modality],
        m: int = 16,
        ef_construct: int = 100,
        ef: int = 0,
        quantization: Quantization = "none",
        layout: Layout | None = None,
        cache_bytes: int = DEFAULTS.cache_mb << 20,
        still_serves: Callable[[], None] = lambda: None,
    ) -> None:
        self._still_serves = still_serves
        self.fingerprint = fingerprint
        self.dimension = dimension
        self.modalities = tuple(modalities)
        best = SEARCHES[quantization]
        self._quantization = quantization
        self._search = Search(ef or best.ef, best.oversampling)
        self._collection = ServerCollection(client, collection)
        hnsw = models.HnswConfigDiff(m=m, ef_construct=ef_construct)
        self._collection.make(fingerprint, dimension, modalities, hnsw, layout or Layout(), quantization)
        self._schema = self._collection.schema(fingerprint, dimension)
        self._writing = threading.Lock()
        self._extra = ServerVectors(self._collection, _CHUNK)
        self._reader = ServerReader(self._collection, dimension, modalities, cache_bytes, self._extra.parts)
        self._words = ServerWords(self._collection)
        self._words.learn(self._extra.metadata)

    def caches(self) -> Mapping[str, Uses]:
        """How the vectors that are kept were used; see `Caching`."""
        return self._reader.caches()

    @property
    def schema(self) -> Schema:
        """The payload fields that can be filtered on."""
        return dict(self._schema)

    @property
    def vectors(self) -> Mapping[str, int]:
        """The extra vectors that there are, with their dimensions."""
        return dict(self._extra.look())

    @property
    def words(self) -> tuple[str, ...]:
        """The payload fields by whose words items are found; empty if words are not kept."""
        return self._words.fields

    def index_words(self, fields: Sequence[str], written: Callable[[int], None] = lambda _: None) -> None:
        """Let items be found by the words in some payload fields; see `VectorStore.index_words`.

        A process that has the collection open takes note when it writes the next items, or opens it again.
        """
        with self._writing:
            self._words.index(fields, written)

    def add_vector(self, name: str, dimension: int) -> None:
        """Make room for an extra vector, on qdrant 1.18 or later; see `VectorStore.add_vector`."""
        with self._writing:
            self._extra.add(name, dimension)

    def put_vectors(self, name: str, ids: Sequence[ItemId], matrix: Floats) -> int:
        """Set an extra vector of points that are there; see `VectorStore.put_vectors`."""
        with self._writing:
            return self._extra.put(name, ids, matrix)

    def read_vectors(self, name: str, ids: Sequence[ItemId]) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """An extra vector of these items, and which of them have it; see `VectorStore.read_vectors`."""
        return self._extra.read(name, ids)

    def drop_vector(self, name: str) -> None:
        """Remove an extra vector; see `VectorStore.drop_vector`."""
        with self._writing:
            self._extra.drop(name)

    def _check(self, filters: Sequence[Filter | None]) -> None:
        """Read the schema again if a filter names a field that another process may have indexed."""
        if any(field not in self._schema for one in filters if one is not None for field in fields(one)):
            self._schema = self._collection.schema(self.fingerprint, self.dimension)

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points; one that is there is replaced whole; see `VectorStore.upsert`."""
        points = list({point.id: point for point in points}.values())
        columns, starts = validate.check_points(points, self.dimension, self.modalities), row_starts(points)
        rows: list[dict[Modality, Floats]] = [{} for _ in range(starts[-1])]
        for modality, (positions, matrix) in columns.items():
            for position, vector in zip(positions, matrix, strict=True):
                rows[position][modality] = vector
        vectors: list[dict[str, Floats]] = []
        for first, last in pairwise(starts):
            more = more_of(rows[first + 1 : last])
            others = {parts_name(modality): matrix for modality, matrix in more.items()}
            vectors.append({**{modality.value: vector for modality, vector in rows[first].items()}, **others})
        with self._writing:
            self._extra.look()
            self._extra.make_parts({name for one in vectors for name in one if of_parts(name)}, self.dimension)
            self._words.learn(self._extra.metadata)
            named = [{name: vector.tolist() for name, vector in one.items()} for one in vectors]
            addresses = [address_of(one) for one in vectors]
            self._words.put((point.payload for point in points), named)
            records = [*map(_record, points, named, addresses)]
            for chunk in _chunks(records, np.diff(starts).tolist()):
                self._extra.keep(chunk)
                self._collection.call(_upsert(self._collection.name, chunk))
            self._still_serves()

    def delete(self, ids: Sequence[ItemId]) -> int:
        """Delete points, and say how many of them were there."""
        there = self._reader.fetch(ids, with_vectors=False, with_payload=False).ids
        keys: list[Any] = self._reader.keys(there)
        if keys:
            self._collection.call(lambda qdrant: qdrant.delete(self._collection.name, keys, wait=True))
        self._still_serves()
        return len(keys)

    def retrieve(
        self, ids: Sequence[ItemId], *, with_vectors: bool = True, with_payload: bool = True, once: bool = False
    ) -> list[Point | None]:
        """The points with these ids, in this order; None where there is none."""
        if not ids:
            return []
        found = self._reader.fetch(ids, with_vectors=with_vectors, with_payload=with_payload, once=once)
        return points_of(found, ids)

    def _space(self, with_vectors: bool) -> bool | list[str]:
        """The vectors of the space to ask for, without the extra ones."""
        wanted = [modality.value for modality in self.modalities]
        return [*wanted, *self._extra.parts()] if with_vectors else False

    def candidates(self, ids: Sequence[ItemId], *, with_payload: bool = True) -> Candidates:
        """The same in columns, for ranking: ids that are not there are left out, scores are zero."""
        found = self._reader.fetch(ids, with_vectors=True, with_payload=with_payload)
        if len(set(ids)) == len(ids):
            return found
        rows = {name: row for row, name in enumerate(found.ids)}
        return found.take([rows[name] for name in ids if name in rows])

    def query(self, queries: Sequence[VectorQuery]) -> list[Hits]:
        """Search by several vectors in one batch; see `VectorStore.query`."""
        self._check([query.filter for query in queries])
        known = {*self.modalities, *self._extra.dimensions, WORDS}
        if any(query.modality not in known for query in queries):
            self._extra.look()
        self._check_queries(queries)
        if not queries:
            return []
        rows = [row for row, query in enumerate(queries) if self.words or not isinstance(query.vector, WordVector)]
        parted = self._extra.parts()
        asked = [(row, str(queries[row].modality)) for row in rows]
        asked += [(row, parts_name(name)) for row, name in asked if parts_name(name) in parted]
        filters = {_narrowing(query): query for query in queries}
        passing = {key: self._narrowed(query) for key, query in filters.items()}
        requests = [
            models.QueryRequest(
                query=_vector(queries[row], name),
                using=name,
                limit=queries[row].limit,
                filter=passing[_narrowing(queries[row])],
                params=_params(queries[row].width or self._search, name),
                with_payload=False,
            )
            for row, name in asked
        ]
        found: dict[int, Hits] = {}
        try:
            for (row, _), hits in zip(asked, self._reader.query(requests) if requests else (), strict=True):
                found[row] = best_of(found[row], hits, queries[row].limit) if row in found else hits
        except StoreError as error:
            if "vector name" in str(error):  # another process may have dropped it
                self._extra.look()
                self._check_queries(queries)
            raise
        return [found.get(row, NO_HITS) for row in range(len(queries))]

    def _narrowed(self, query: VectorQuery) -> models.Filter | None:
        among = None if query.among is None else self._reader.keys(query.among)
        return narrowed(query.filter, self._reader.keys(query.exclude), among)

    def _check_queries(self, queries: Sequence[VectorQuery]) -> None:
        validate.check_queries(queries, self.dimension, self.modalities, self._schema, self._extra.dimensions)

    def scroll(
        self,
        *,
        filter_: Filter | None = None,
        cursor: str | None = None,
        limit: int = 256,
        with_vectors: bool = False,
        with_payload: bool = True,
        order_by: str | None = None,
    ) -> Page:
        """A page of points, each exactly once over all pages; see `VectorStore.scroll`."""
        self._check([filter_])
        validate.check_scroll(self._schema, filter_, cursor, limit, order_by)
        order = models.OrderBy(key=order_by, direction=models.Direction.DESC) if order_by else None
        passing = to_server(filter_) if filter_ is not None else None
        records, following = self._collection.call(
            lambda qdrant: qdrant.scroll(
                self._collection.name,
                scroll_filter=passing,
                limit=limit,
                order_by=order,
                offset=cursor,
                with_payload=True if with_payload else [ID],
                with_vectors=self._space(with_vectors),
            )
        )
        points = {point.id: point for point in map(_point, records)}
        more = None if following is None or order_by is not None else str(following)
        return Page(tuple(points.values()), more)

    def count(self, filter_: Filter | None = None) -> int:
        """How many points there are, exactly."""
        passing = None
        if filter_ is not None:
            self._check([filter_])
            validate.check_filter(filter_, self._schema)
            passing = to_server(filter_)
        answer = self._collection.call(
            lambda qdrant: qdrant.count(self._collection.name, count_filter=passing, exact=True)
        )
        return answer.count

    def index_fields(self, schema: Schema) -> None:
        """Make payload fields filterable; those that already are stay; see `VectorStore.index_fields`."""
        there = self._collection.schema(self.fingerprint, self.dimension)
        fresh = validate.new_fields(schema, there)
        if fresh:
            self._collection.index(fresh, {**there, **fresh})
        self._schema = {**there, **fresh}

    def flush(self) -> None:
        """Nothing to do: the server acknowledges a write when it is in its log."""

    def optimize(self, tell: Tell | None = None, timeout_seconds: float = 3600.0) -> None:
        """Wait until the server has built its search graphs, which it starts itself; see `VectorStore.optimize`.

        Args:
            tell: is told how far it is.
            timeout_seconds: how long to wait.

        Raises:
            StoreError: if that takes longer.
        """
        self._collection.quantize(self._quantization)
        deadline = time.monotonic() + timeout_seconds
        while True:
            state = self._collection.call(lambda qdrant: qdrant.get_collection(self._collection.name))
            if state.status in (models.CollectionStatus.GREEN, models.CollectionStatus.GREY):
                return
            if tell is not None:
                share = (state.indexed_vectors_count or 0) / max(1, state.points_count or 0)
                tell(min(share, 0.99), f"the server builds its search graphs, {state.segments_count} segments")
            if time.monotonic() > deadline:
                raise StoreError(f"qdrant at {self._collection.where} still optimizes after {timeout_seconds:g} s")
            time.sleep(0.2)

    def snapshot(self, path: Path) -> None:
        """Write all points, the schema and the fingerprint to a file at `path`, atomically.

        Others may write to the server meanwhile; what they write may be in the file or not.
        """
        write_snapshot(self, path)

    def restore(self, path: Path) -> None:
        """Replace all points by those of a snapshot; see `VectorStore.restore`."""
        read_snapshot(self, path)

    def close(self) -> None:
        """Let go of the connection. Twice is allowed."""
        self._collection.close()


def _chunks(records: Iterable[Any], sizes: Iterable[int]) -> Iterator[list[Any]]:
    """Records to write at once: with at most `_CHUNK` parts, or one."""
    chunk: list[Any] = []
    room = _CHUNK
    for record, size in zip(records, sizes, strict=True):
        if chunk and size > room:
            yield chunk
            chunk, room = [], _CHUNK
        chunk.append(record)
        room -= size
    if chunk:
        yield chunk


def _upsert(collection: str, records: list[models.PointStruct]) -> Callable[[QdrantClient], object]:
    return lambda qdrant: qdrant.upsert(collection, records, wait=True)


def _narrowing(query: VectorQuery) -> tuple[int, tuple[ItemId, ...], int]:
    """What narrows a search; the searches of one request share it."""
    return id(query.filter), query.exclude, id(query.among)


def _params(width: Search, name: str) -> models.SearchParams:
    """How a vector of this name is searched."""
    rescored = models.QuantizationSearchParams(rescore=True, oversampling=width.oversampling)
    return models.SearchParams(hnsw_ef=width.ef * (PARTS_WIDER if of_parts(name) else 1), quantization=rescored)


def _vector(query: VectorQuery, name: str) -> Any:
    if isinstance(query.vector, WordVector):
        return models.SparseVector(indices=query.vector.indices, values=query.vector.values)
    vector = np.asarray(query.vector, np.float32).tolist()
    return [vector] if of_parts(name) else vector


def _record(point: Point, named: dict[str, Any], address: str) -> models.PointStruct:
    return models.PointStruct(
        id=point_id(point.id), vector=named, payload={**point.payload, ID: point.id, ADDRESS: address}
    )


def _point(record: models.Record) -> Point:
    payload = record.payload or {}
    named: Any = record.vector or {}
    known = {name: np.asarray(vector, np.float32) for name, vector in named.items()}
    vectors = {name: known[name] for name in Modality if name in known}
    more = {name: known[parts_name(name)] for name in Modality if parts_name(name) in known}
    return Point(ItemId(str(payload[ID])), vectors, own_payload(payload), more)
