"""Qdrant Edge: the embedded vector store, on disk, in this process.

Vectors are read, and the shard's ids translated, past the shard: through `VectorRows` and a directory in memory,
because the shard's answers in Python objects cost more than its searches.
"""

import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders.types import Floats, Modality
from engine.core.caching import Uses
from engine.core.errors import StoreError
from engine.core.files import disk_errors
from engine.core.filters import Filter, Schema
from engine.core.types import Candidates, ItemId
from engine.store import validate
from engine.store.base import NO_HITS, Hits, Page, Point, Tell, VectorQuery, point_id
from engine.store.columns import points_of
from engine.store.edge_build import Build, EdgeBuilds, Shape
from engine.store.edge_folder import Building, Description, FolderLock, remove_strays
from engine.store.edge_points import entry_of, named_vectors, point_of
from engine.store.edge_read import ID, MORE, ROW, Directory, EdgeReader, Entry
from engine.store.edge_repair import forget_vectors
from engine.store.edge_shard import GRAPH_FROM_BYTES, Shard, create_shard
from engine.store.edge_space import DiskRoom, size_of, size_of_records, size_of_vectors
from engine.store.edge_vectors import EdgeVectors
from engine.store.edge_words import EdgeWords
from engine.store.optimizer import Optimizer
from engine.store.parts import best_of, parts_name, row_starts
from engine.store.quantization import SEARCHES, Quantization, Search
from engine.store.rows import VectorRows
from engine.store.snapshot import read_snapshot, write_snapshot
from engine.store.words import WORDS

_CHUNK = 256
"""Points per write of the shard, which keeps Python's global lock meanwhile: a few milliseconds."""
_OPENING_CHUNK = 4096


class EdgeStore:
    """A collection of points in a folder, open in one process at a time.

    Args:
        folder: of this collection alone; made if missing.
        fingerprint: of the space whose vectors it keeps.
        dimension: of every vector.
        modalities: the named vectors.
        m: edges per node of the search graph (HNSW, Malkov and Yashunin 2018); for a new collection.
        ef_construct: how widely the graph is searched while it is built; for a new collection.
        ef: how widely a query searches the graph, at least; its limit is a lower bound. 0 is what was measured.
        quantization: of the vectors that searches compare; a collection that has another is built anew by `optimize`.
        build_memory: bytes that building the graphs may take; 0 is a quarter of what there is.
        optimize_after: after so many written points the graph is built in the background; 0 leaves it to
            `optimize`.
        room: refuses writes where the disk is almost full; None keeps `RESERVE` free.

    Raises:
        DiskFullError: if there is no room for a new collection, or hardly any to open one.
        DiskError: if the folder may not be written.
        StoreInUseError: if it is open already.
        SpaceError: if the folder keeps vectors of another space.
        StoreError: if the folder cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fingerprint: str,
        dimension: int,
        modalities: Sequence[Modality],
        m: int = 16,
        ef_construct: int = 100,
        ef: int = 0,
        quantization: Quantization = "none",
        build_memory: int = 0,
        optimize_after: int = 20_000,
        room: DiskRoom | None = None,
    ) -> None:
        self._room = room or DiskRoom(folder)
        self._folder = folder
        best = SEARCHES[quantization]
        self._search = Search(ef or best.ef, best.oversampling)
        self._writing = threading.RLock()
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(folder)
        try:
            about = Description(fingerprint, dimension, tuple(modalities), {}, unused=tuple(modalities))
            self._about = about.found_in(folder)
            path = folder / self._about.shard
            if not path.exists():
                self._room.check(0, "a new collection")
                create_shard(path, m, ef_construct)
            self._room.check_least("opening the store")
            remove_strays(folder, self._about.shard)
            with disk_errors(path):
                forget_vectors(path, self._about.unneeded)
            self._shard = Shard(path)
            self._rows = VectorRows(folder / "rows", dimension, modalities)
            self._directory = Directory()
            self._read_directory()
            self._reader = EdgeReader(self._directory, self._rows, self._shard.payloads, self._writing)
            steps = self._copy_shard, self._adopt_shard, self._tell, self._told
            self._optimizer = Optimizer(optimize_after, self._writing, *steps)
            graphed = self._about.graphed if self._about.quantization == quantization else 0
            self._optimizer.count(max(0, len(self._directory.entries) - graphed))
            what = self._shard, self._directory, self._writing, lambda: self._about, self._describe
            self._extra = EdgeVectors(*what, self._optimizer.wrote, self._room, _CHUNK)
            self._words = EdgeWords(*what, self._optimizer.wrote, self._room, _CHUNK)
            shape = Shape(m, ef_construct, quantization, build_memory)
            self._builds = EdgeBuilds(folder, *what, self._extra, self._room, shape, self.flush)
        except BaseException:
            self._lock.release()
            raise

    def _read_directory(self) -> None:
        """Fill the directory from the shard's payloads; after a power cut the rows as well."""
        rebuild = not self._rows.whole
        chunk = _CHUNK if rebuild else _OPENING_CHUNK  # records with vectors are large
        cursor: str | None = None
        while True:
            page, cursor = self._shard.scroll(cursor, chunk, payload=(ID, ROW, MORE), vectors=rebuild)
            items = [ItemId(str(payload[ID])) for _, _, payload in page]
            entries = [entry_of(key, payload) for key, _, payload in page]
            for item, entry in zip(items, entries, strict=True):
                self._directory.put(item, entry)
            if rebuild:
                self._room.check(size_of_records(page), "writing the rows again after a power cut")
                points = [point_of(item, vectors) for (_, vectors, _), item in zip(page, items, strict=True)]
                rows = [row for entry in entries for row in entry.rows]
                self._rows.put(rows, validate.check_points(points, self.dimension, self.modalities))
            if cursor is None:
                break
        self._rows.adopt([row for entry in self._directory.entries.values() for row in entry.rows])
        if rebuild:
            self._rows.sync()
            self._rows.synced()

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the space whose vectors it keeps."""
        return self._about.fingerprint

    @property
    def dimension(self) -> int:
        """The dimension of every vector."""
        return self._about.dimension

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that it keeps."""
        return self._about.modalities

    @property
    def schema(self) -> Schema:
        """The payload fields that can be filtered on."""
        return dict(self._about.schema)

    @property
    def vectors(self) -> Mapping[str, int]:
        """The extra vectors that there are, with their dimensions."""
        return dict(self._extra.dimensions)

    @property
    def words(self) -> tuple[str, ...]:
        """The payload fields by whose words items are found; empty if words are not kept."""
        return self._words.fields

    def index_words(self, fields: Sequence[str], written: Callable[[int], None] = lambda _: None) -> None:
        """Let items be found by the words in some payload fields; see `VectorStore.index_words`."""
        self._words.index(fields, written)

    def add_vector(self, name: str, dimension: int) -> None:
        """Make room for an extra vector; see `VectorStore.add_vector`."""
        self._extra.add(name, dimension)

    def put_vectors(self, name: str, ids: Sequence[ItemId], matrix: Floats) -> int:
        """Set an extra vector of points that are there; see `VectorStore.put_vectors`."""
        count = self._extra.put(name, ids, matrix)
        self.optimize_if_due()
        return count

    def read_vectors(self, name: str, ids: Sequence[ItemId]) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """An extra vector of these items, and which of them have it; see `VectorStore.read_vectors`."""
        return self._extra.read(name, ids)

    def drop_vector(self, name: str) -> None:
        """Remove an extra vector; see `VectorStore.drop_vector`."""
        self._extra.drop(name)

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points; one that is there is replaced whole; see `VectorStore.upsert`."""
        points = list({point.id: point for point in points}.values())
        columns, starts = validate.check_points(points, self.dimension, self.modalities), row_starts(points)
        for first in range(0, len(points), _CHUNK):
            last = min(first + _CHUNK, len(points))
            self._write(points[first:last], validate.slice_columns(columns, starts[first], starts[last]))
        self.optimize_if_due()

    def _write(self, points: Sequence[Point], columns: validate.Columns) -> None:
        starts = row_starts(points)
        vectors, several = named_vectors(columns, starts)
        keys = [uuid.UUID(point_id(point.id)) for point in points]
        with self._writing:
            self._shard.check_open()
            fresh = columns.keys() & self._about.unused  # takes space for all points
            room = len(fresh) * size_of_vectors(len(self._directory.entries), self.dimension)
            self._room.check(size_of(points, self.dimension) + room, "writing items")
            self._extra.keep([point.id for point in points], keys, vectors)
            self._words.put((point.payload for point in points), vectors)
            for modality in fresh:
                self._shard.add_vector(modality.value, self.dimension)
                self._describe(unused=tuple(name for name in self._about.unused if name != modality))
            for modality in several - {*self._about.parts}:
                self._shard.add_parts(parts_name(modality), self.dimension)
                self._describe(parts=(*self._about.parts, modality))
            with disk_errors(self._folder):
                rows = self._rows.write(starts[-1], columns)
            entries = [
                Entry(rows[first], key, tuple(rows[first + 1 : last]))
                for key, first, last in zip(keys, starts, starts[1:], strict=False)
            ]
            payloads: list[dict[str, Any]] = [
                {**point.payload, ID: point.id, ROW: entry.row, **({MORE: [*entry.more]} if entry.more else {})}
                for point, entry in zip(points, entries, strict=True)
            ]
            try:
                self._shard.upsert(zip(keys, vectors, payloads, strict=True))
            except StoreError:
                self._rows.release(rows)
                raise
            old = [self._directory.put(point.id, entry) for point, entry in zip(points, entries, strict=True)]
            self._rows.release([row for one in old for row in one])
            self._optimizer.wrote(point.id for point in points)
            self._flush_if_due()

    def delete(self, ids: Sequence[ItemId]) -> int:
        """Delete points, and say how many of them were there."""
        with self._writing:
            known = [item for item in dict.fromkeys(ids) if item in self._directory.entries]
            self._room.check_least("deleting items")
            for start in range(0, len(known), _CHUNK):
                chunk = known[start : start + _CHUNK]
                self._shard.delete(self._directory.entries[item].key for item in chunk)
                self._rows.release([row for item in chunk for row in self._directory.pop(item)])
                self._optimizer.wrote(chunk)
            self._flush_if_due()
        return len(known)

    def caches(self) -> Mapping[str, Uses]:
        """How the payloads that are kept were used; see `Caching`."""
        return self._reader.caches()

    def retrieve(
        self, ids: Sequence[ItemId], *, with_vectors: bool = True, with_payload: bool = True, once: bool = False
    ) -> list[Point | None]:
        """The points with these ids, in this order; None where there is none."""
        found = self._reader.fetch(ids, with_vectors=with_vectors, with_payload=with_payload, once=once)
        return points_of(found, ids)

    def candidates(self, ids: Sequence[ItemId], *, with_payload: bool = True) -> Candidates:
        """The same in columns, for ranking: ids that are not there are left out, scores are zero."""
        return self._reader.fetch(ids, with_vectors=True, with_payload=with_payload, once=False)

    def query(self, queries: Sequence[VectorQuery]) -> list[Hits]:
        """Search by several vectors in one batch; see `VectorStore.query`."""
        self._check(queries)
        self._shard.check_open()
        nowhere = {*self._about.unused, *(() if self.words else (WORDS,))}
        asked = [(row, query) for row, query in enumerate(queries) if query.modality not in nowhere]
        others = [
            (row, replace(query, modality=parts_name(query.modality)))
            for row, query in asked
            if isinstance(query.modality, Modality) and query.modality in self._about.parts
        ]
        asked += others
        hits = [NO_HITS] * len(queries)
        try:
            points = len(self._directory.items)
            answers = self._shard.search([one for _, one in asked], self._search, points, self._keys) if asked else []
        except StoreError:
            self._check(queries)  # an extra vector may have been dropped meanwhile
            raise
        for (row, query), found in zip(asked, answers, strict=True):
            ids = list(map(self._directory.items.get, found.keys))
            there = tuple(filter(None, ids))
            whole = len(there) == len(ids)  # unless some were deleted while we searched
            new = Hits(there, found.scores if whole else found.scores[[item is not None for item in ids]])
            hits[row] = new if hits[row] is NO_HITS else best_of(hits[row], new, query.limit)
        return hits

    def _keys(self, items: Iterable[ItemId]) -> set[uuid.UUID]:
        """The points of those items that are there; making their ids would take longer than most searches."""
        entries = self._directory.entries
        return {entry.key for item in items if (entry := entries.get(item)) is not None}

    def _check(self, queries: Sequence[VectorQuery]) -> None:
        validate.check_queries(queries, self.dimension, self.modalities, self._about.schema, self._extra.dimensions)

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
        validate.check_scroll(self.schema, filter_, cursor, limit, order_by)
        page, following = self._shard.scroll(cursor, limit, filter_=filter_, order_by=order_by)
        keys = dict.fromkeys(key.int for key, _, _ in page)
        ids = [item for key in keys if (item := self._directory.items.get(key)) is not None]
        points = self.retrieve(ids, with_vectors=with_vectors, with_payload=with_payload, once=True)
        return Page(tuple(point for point in points if point is not None), None if order_by else following)

    def count(self, filter_: Filter | None = None) -> int:
        """How many points there are, exactly."""
        if filter_ is None:
            return len(self._directory.entries)
        validate.check_filter(filter_, self._about.schema)
        return self._shard.count(filter_)

    def index_fields(self, schema: Schema) -> None:
        """Make payload fields filterable; those that already are stay; see `VectorStore.index_fields`."""
        with self._writing:
            for name, kind in validate.new_fields(schema, self._about.schema).items():
                self._room.check(0, f"indexing the field {name}")
                self._shard.index(name, kind)
                self._describe(schema={**self._about.schema, name: kind})

    def flush(self) -> None:
        """Make all writes durable on disk."""
        with self._writing:
            with disk_errors(self._folder):
                self._rows.sync()
            self._shard.flush()
            self._reader.forget_if(self._rows.synced())

    def _flush_if_due(self) -> None:
        """Give rows back to writers now and then: a store that serves for months may never be flushed by others."""
        if self._rows.many_released:
            self.flush()

    def optimize(self, tell: Tell | None = None) -> None:
        """Build the search graphs over what was written; see `VectorStore.optimize`."""
        self._optimizer.run(tell=tell)

    def optimize_if_due(self) -> None:
        """Do so in the background, if much was written or the graphs are of vectors that are quantised otherwise."""
        self._optimizer.start_if_due(len(self._directory.entries))

    def _copy_shard(self, unbuilt: int) -> Build | None:
        """Copy the shard for the optimizer; None where there is too little to build a graph over."""
        widest = max([self.dimension, *self.vectors.values()])
        if len(self._directory.entries) * widest * 4 < GRAPH_FROM_BYTES:
            return None
        return self._builds.prepare(unbuilt)

    def _adopt_shard(self, build: Build, changed: Callable[[], set[ItemId]]) -> None:
        self._builds.adopt(build, changed)

    def _tell(self, share: float, stage: str) -> None:
        with disk_errors(self._folder):
            Building(share, stage).write(self._folder)

    def _told(self) -> None:
        with disk_errors(self._folder):
            Building.end(self._folder)

    def _describe(self, **changes: Any) -> None:
        """Change the description, on disk first."""
        about = replace(self._about, **changes)
        about.write(self._folder)
        self._about = about

    def snapshot(self, path: Path) -> None:
        """Write all points, the schema and the fingerprint to a file at `path`, atomically; writers do not wait."""
        write_snapshot(self, path)

    def restore(self, path: Path) -> None:
        """Replace all points by those of a snapshot; see `VectorStore.restore`."""
        read_snapshot(self, path)

    def announce(self, address: str) -> None:
        """Tell other processes, which cannot open the store meanwhile, where this one answers: HOST:PORT."""
        self._lock.announce(address)

    def close(self) -> None:
        """Flush and let go of files. Twice is allowed."""
        self._optimizer.stop()
        with self._writing:
            if self._shard.closed:
                return
            try:
                self.flush()
            finally:
                self._shard.close()
                self._rows.close()
                self._lock.release()
