"""An open shard of Qdrant Edge: its calls in our types, its errors as ours, and exchangeable while it is read."""

import shutil
import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import qdrant_edge as edge

from encoders.types import Floats
from engine.core.errors import DiskFullError, StoreError
from engine.core.filters import FieldKind, Filter
from engine.core.types import ItemId, Json
from engine.store.base import VectorQuery
from engine.store.edge_filter import narrowed, to_edge
from engine.store.parts import PARTS_WIDER, of_parts
from engine.store.quantization import Search
from engine.store.words import WORDS, WordVector

GRAPH_FROM_BYTES = 10_000 * 1024
"""Below so many bytes of vectors a search compares them one by one, which is exact and as fast."""
_KINDS = {
    FieldKind.KEYWORD: edge.PayloadSchemaType.Keyword,
    FieldKind.INTEGER: edge.PayloadSchemaType.Integer,
    FieldKind.FLOAT: edge.PayloadSchemaType.Float,
    FieldKind.BOOL: edge.PayloadSchemaType.Bool,
    FieldKind.DATETIME: edge.PayloadSchemaType.Datetime,
    FieldKind.GEO: edge.PayloadSchemaType.Geo,
}

_FULL = "No space left on device"
"""Edge's errors have no kinds, only texts."""

Answer = TypeVar("Answer")
Record = tuple[uuid.UUID, Any, dict[str, Json]]
"""The id of a point, its named vectors as lists of numbers, and its payload."""


@dataclass(frozen=True, slots=True)
class ShardHits:
    """The nearest points of one search: the numbers of their ids, and their scores."""

    keys: list[int]
    scores: Floats


def create_shard(path: Path, m: int, ef_construct: int) -> None:
    """Make an empty shard; its folder is there whole or not at all.

    It begins with one vector that no point has, because Edge wants one: see `Shard.add_vector`; and with words.

    Args:
        path: a folder that is not there yet.
        m: edges per node of the search graph.
        ef_construct: how widely the graph is searched while it is built.
    """
    temporary = path.with_name(f".{path.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    kilobytes = GRAPH_FROM_BYTES // 1024
    config = edge.EdgeConfig(
        vectors={"_": edge.EdgeVectorParams(1, edge.Distance.Cosine)},
        sparse_vectors={WORDS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        hnsw_config=edge.HnswIndexConfig(m, ef_construct, full_scan_threshold=kilobytes),
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=kilobytes),
    )
    edge.EdgeShard.create(str(temporary), config).close()
    temporary.rename(path)


class Shard:
    """The shard that serves. Every call keeps Python's global lock while it works: that is how Edge is built.

    Args:
        path: the folder of the shard.

    Raises:
        StoreError: if it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ready = threading.Event()
        self._ready.set()
        self._open: edge.EdgeShard | None = None
        try:
            self._open = edge.EdgeShard.load(str(path))
        except Exception as error:
            if _FULL in str(error):
                raise _disk_full(path.parent, error) from error
            raise StoreError(f"shard {path} cannot be opened: {error}", "restore a snapshot elsewhere") from error

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._open is None

    def check_open(self) -> None:
        """Refuse to go on if it was closed.

        Raises:
            StoreError: if it was.
        """
        self._ready.wait()
        if self._open is None:
            raise self._closed()

    def _closed(self) -> StoreError:
        return StoreError(f"store {self._path.parent} is closed", "open it again")

    def upsert(self, records: Iterable[Record]) -> None:
        """Write points whole."""
        points = [edge.Point(key, vectors, payload) for key, vectors, payload in records]
        self._call(lambda shard: shard.update(edge.UpdateOperation.upsert_points(points)))

    def delete(self, keys: Iterable[uuid.UUID]) -> None:
        """Delete points; ids that are not there do no harm."""
        operation = edge.UpdateOperation.delete_points([*keys])
        self._call(lambda shard: shard.update(operation))

    def payloads(self, keys: Sequence[uuid.UUID]) -> list[dict[str, Json]]:
        """The payloads of those points that are there, in any order."""
        return [record.payload or {} for record in self._call(lambda shard: shard.retrieve([*keys], True, False))]

    def records(self, keys: Sequence[uuid.UUID]) -> list[Record]:
        """Those points that are there, whole, in any order."""
        return [_record(one) for one in self._call(lambda shard: shard.retrieve([*keys], True, True))]

    def search(
        self,
        queries: Sequence[VectorQuery],
        search: Search,
        points: int,
        keys_of: Callable[[Iterable[ItemId]], set[uuid.UUID]],
    ) -> list[ShardHits]:
        """Search by several vectors in one batch; those that differ only in the vector are faster side by side.

        Args:
            queries: the searches.
            search: how widely the graph is searched where a search does not say.
            points: how many there are.
            keys_of: the points of those items that are there.
        """
        kinds = [(str(query.modality), *_narrowing(query), id(query.width), query.limit) for query in queries]
        order = sorted(range(len(queries)), key=kinds.__getitem__)
        filters: dict[tuple[int, ...], edge.Filter | None] = {}
        requests = []
        for query in (queries[row] for row in order):
            key = _narrowing(query)
            if key not in filters:
                among = None if query.among is None else keys_of(query.among)
                filters[key] = narrowed(query.filter, keys_of(query.exclude), among)
            nearest = edge.Query.Nearest(_vector(query), str(query.modality))
            params = _params((query.width or search).over(points), str(query.modality))
            requests.append(
                edge.QueryRequest(query.limit, query=nearest, filter=filters[key], with_payload=False, params=params)
            )
        batch = edge.QueryBatchRequest(requests)
        answers: list[list[Any]] = self._call(lambda shard: shard.query_batch(batch))
        found = {
            row: ShardHits(
                [point.id.int for point in points], np.array([point.score for point in points], np.float32)
            )
            for row, points in zip(order, answers, strict=True)
        }
        return [found[row] for row in range(len(queries))]

    def scroll(
        self,
        cursor: str | None,
        limit: int,
        *,
        filter_: Filter | None = None,
        order_by: str | None = None,
        payload: Sequence[str] = (),
        vectors: bool = False,
    ) -> tuple[list[Record], str | None]:
        """A page of points in the order of their ids, or of a field, largest first; and the next cursor."""
        request = edge.ScrollRequest(
            offset=cursor,
            limit=limit,
            filter=to_edge(filter_) if filter_ is not None else None,
            with_payload=[*payload] if payload else False,
            with_vector=vectors,
            order_by=edge.OrderBy(order_by, edge.Direction.Desc) if order_by else None,
        )
        page, following = self._call(lambda shard: shard.scroll(request))
        return [_record(one) for one in page], None if following is None else str(following)

    def count(self, filter_: Filter) -> int:
        """How many points pass, exactly."""
        request = edge.CountRequest(exact=True, filter=to_edge(filter_))
        return self._call(lambda shard: shard.count(request))

    def add_vector(self, name: str, dimension: int) -> None:
        """Let points have a vector of this name; it takes space for all points. Twice is allowed."""
        operation = edge.UpdateOperation.create_dense_vector(name, dimension, edge.Distance.Cosine)
        self._call(lambda shard: shard.update(operation))

    def add_parts(self, name: str, dimension: int) -> None:
        """Let points have several vectors of this name, of which the nearest counts. Twice is allowed."""
        nearest = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
        operation = edge.UpdateOperation.create_dense_vector(name, dimension, edge.Distance.Cosine, nearest)
        self._call(lambda shard: shard.update(operation))

    def drop_vector(self, name: str) -> None:
        """Take the vector of this name from all points. Twice is allowed."""
        operation = edge.UpdateOperation.delete_vector_name(name)
        self._call(lambda shard: shard.update(operation))

    def add_words(self) -> None:
        """Let points have words. Twice is allowed."""
        operation = edge.UpdateOperation.create_sparse_vector(WORDS, edge.Modifier.Idf)
        self._call(lambda shard: shard.update(operation))

    def set_vectors(self, name: str, keys: Iterable[uuid.UUID], vectors: Iterable[list[float]]) -> None:
        """Set one vector of points, all of which must be there; the rest of them stays."""
        self.update_vectors((key, {name: vector}) for key, vector in zip(keys, vectors, strict=True))

    def update_vectors(self, vectors: Iterable[tuple[uuid.UUID, dict[str, Any]]]) -> None:
        """Set those vectors of points that are named, all of which must be there; the rest of them stays."""
        changes = [edge.PointVectors(key, named) for key, named in vectors]
        operation = edge.UpdateOperation.update_vectors(changes)
        self._call(lambda shard: shard.update(operation))

    def vectors(self, keys: Sequence[uuid.UUID], names: Sequence[str]) -> dict[uuid.UUID, dict[str, list[float]]]:
        """Those of the named vectors that the points have; of those points that are there."""
        records = self._call(lambda shard: shard.retrieve([*keys], False, [*names]))
        return {key: named for key, named, _ in map(_record, records)}

    def indexed_vectors(self) -> int:
        """How many vectors the search graphs hold."""
        return self._call(lambda shard: shard.info()).indexed_vectors_count

    def index(self, field: str, kind: FieldKind) -> None:
        """Index a payload field."""
        operation = edge.UpdateOperation.create_field_index(field, _KINDS[kind])
        self._call(lambda shard: shard.update(operation))

    def indexed_fields(self) -> Collection[str]:
        """The payload fields that are indexed."""
        return self._call(lambda shard: shard.info()).payload_schema.keys()

    def flush(self) -> None:
        """Make all writes durable."""
        self._call(lambda shard: shard.flush())

    def exchange(self, path: Path, catch_up: Callable[["Shard"], None]) -> None:
        """Serve from another folder from now on; calls wait meanwhile, a fraction of a second.

        The shard that served is closed first, because both at once would take twice the memory.

        Args:
            path: the folder.
            catch_up: brings the other shard up to date before it serves; if it fails, the old one serves on.
        """
        self._ready.clear()
        try:
            self._close()
            try:
                fresh = Shard(path)
                try:
                    catch_up(fresh)
                except BaseException:
                    fresh.close()
                    raise
            except BaseException:
                self._open = Shard(self._path)._open
                raise
            self._open, self._path = fresh._open, path
        finally:
            self._ready.set()

    def close(self) -> None:
        """Flush, and let go of the files. Twice is allowed."""
        self._close()

    def _close(self) -> None:
        shard, self._open = self._open, None
        if shard is not None:
            shard.close()

    def _call(self, ask: Callable[[edge.EdgeShard], Answer]) -> Answer:
        """Ask the shard; once more if it was exchanged meanwhile."""
        while True:
            self._ready.wait()
            shard = self._open
            if shard is None:
                raise self._closed()
            try:
                return ask(shard)
            except Exception as error:
                if shard is not self._open:
                    continue
                if _FULL in str(error):
                    raise _disk_full(self._path.parent, error) from error
                raise StoreError(f"store {self._path.parent} failed: {error}", "see its cause") from error


def _disk_full(folder: Path, error: Exception) -> DiskFullError:
    return DiskFullError(f"store {folder} failed: {error}", "free space on its disk; reads go on meanwhile")


def _narrowing(query: VectorQuery) -> tuple[int, int, int]:
    """What narrows a search; the searches of one request share it."""
    return id(query.filter), id(query.exclude), id(query.among)


def _params(width: Search, name: str) -> edge.SearchParams:
    """How a vector of this name is searched."""
    rescored = edge.QuantizationSearchParams(rescore=True, oversampling=width.oversampling)
    return edge.SearchParams(hnsw_ef=width.ef * (PARTS_WIDER if of_parts(name) else 1), quantization=rescored)


def _vector(query: VectorQuery) -> Any:
    if isinstance(query.vector, WordVector):
        return edge.SparseVector(query.vector.indices, query.vector.values)
    return np.asarray(query.vector, np.float32).tolist()


def _record(record: edge.Record) -> Record:
    key = record.id if isinstance(record.id, uuid.UUID) else uuid.UUID(str(record.id))
    return key, record.vector, record.payload or {}
