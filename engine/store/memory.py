"""Exact search in numpy, in memory: the oracle that the other stores are held against."""

import bisect
import copy
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.types import Floats, Modality, Rows
from engine.core.errors import StoreError
from engine.core.filters import Filter, Schema
from engine.core.types import Candidates, ItemId
from engine.store import extra, validate
from engine.store.base import Hits, Page, Point, Tell, VectorQuery, point_id
from engine.store.columns import columns_of
from engine.store.match import matches, values
from engine.store.parts import more_of, row_starts
from engine.store.snapshot import read_snapshot, write_snapshot
from engine.store.words import WordVector, rarity, words_of


class MemoryStore:
    """Points in a dictionary; every search compares all of them.

    Args:
        fingerprint: of the space whose vectors it keeps.
        dimension: of every vector.
        modalities: the named vectors.
    """

    def __init__(self, *, fingerprint: str, dimension: int, modalities: Sequence[Modality]) -> None:
        self.fingerprint = fingerprint
        self.dimension = dimension
        self.modalities = tuple(modalities)
        self._schema: Schema = {}
        self._lock = threading.RLock()
        self._points: dict[ItemId, Point] = {}
        self._words: tuple[str, ...] = ()
        self._extra: dict[str, int] = {}
        self._named: dict[str, dict[ItemId, Floats]] = {}
        self._columns: dict[str, tuple[list[ItemId], Floats, Rows]] = {}
        self._order: list[tuple[str, ItemId]] = []
        self._closed = False

    @property
    def schema(self) -> Schema:
        """The payload fields that can be filtered on."""
        return dict(self._schema)

    @property
    def vectors(self) -> Mapping[str, int]:
        """The extra vectors that there are, with their dimensions."""
        return dict(self._extra)

    @property
    def words(self) -> tuple[str, ...]:
        """The payload fields by whose words items are found; empty if words are not kept."""
        return self._words

    def index_words(self, fields: Sequence[str], written: Callable[[int], None] = lambda _: None) -> None:
        """Let items be found by the words in some payload fields; see `VectorStore.index_words`."""
        with self._opened():
            if self._words != tuple(fields):
                self._words = tuple(fields)
                written(len(self._points))

    def add_vector(self, name: str, dimension: int) -> None:
        """Make room for an extra vector; see `VectorStore.add_vector`."""
        with self._opened():
            if extra.is_new(name, dimension, self._extra):
                self._extra[name], self._named[name] = dimension, {}

    def put_vectors(self, name: str, ids: Sequence[ItemId], matrix: Floats) -> int:
        """Set an extra vector of points that are there; see `VectorStore.put_vectors`."""
        with self._opened():
            vectors = extra.check_matrix(name, extra.dimension_of(name, self._extra), ids, matrix)
            there = {item: vector.copy() for item, vector in vectors.items() if item in self._points}
            self._named[name].update(there)
            self._columns.pop(name, None)
            return len(there)

    def read_vectors(self, name: str, ids: Sequence[ItemId]) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """An extra vector of these items, and which of them have it; see `VectorStore.read_vectors`."""
        with self._opened():
            matrix = np.zeros((len(ids), extra.dimension_of(name, self._extra)), np.float32)
            present = np.array([item in self._named[name] for item in ids], np.bool_)
            for row in np.flatnonzero(present).tolist():
                matrix[row] = self._named[name][ids[row]]
            return matrix, present

    def drop_vector(self, name: str) -> None:
        """Remove an extra vector; see `VectorStore.drop_vector`."""
        with self._opened():
            self._extra.pop(name, None)
            self._named.pop(name, None)
            self._columns.pop(name, None)

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points; one that is there is replaced whole; see `VectorStore.upsert`."""
        starts = row_starts(points)
        vectors: list[dict[Modality, Floats]] = [{} for _ in range(starts[-1])]
        for modality, (positions, matrix) in validate.check_points(points, self.dimension, self.modalities).items():
            for position, vector in zip(positions, matrix, strict=True):
                vectors[position][modality] = vector
        with self._opened():
            for point, start, stop in zip(points, starts, starts[1:], strict=False):
                more = more_of(vectors[start + 1 : stop])
                payload = copy.deepcopy(dict(point.payload))
                self._points[point.id] = Point(point.id, vectors[start], payload, more)
            self._changed()

    def delete(self, ids: Sequence[ItemId]) -> int:
        """Delete points, and say how many of them were there."""
        with self._opened():
            before = len(self._points)
            for item in ids:
                self._points.pop(item, None)
                for named in self._named.values():
                    named.pop(item, None)
            self._changed()
            return before - len(self._points)

    def retrieve(
        self, ids: Sequence[ItemId], *, with_vectors: bool = True, with_payload: bool = True, once: bool = False
    ) -> list[Point | None]:
        """The points with these ids, in this order; None where there is none."""
        with self._opened():
            found = [self._points.get(item) for item in ids]
        return [
            point
            and Point(
                point.id,
                point.vectors if with_vectors else {},
                point.payload if with_payload else {},
                point.more if with_vectors else {},
            )
            for point in found
        ]

    def candidates(self, ids: Sequence[ItemId], *, with_payload: bool = True) -> Candidates:
        """The same in columns, for ranking: ids that are not there are left out, scores are zero."""
        points = self.retrieve(ids, with_payload=with_payload)
        return columns_of([point for point in points if point is not None], self.dimension, self.modalities)

    def query(self, queries: Sequence[VectorQuery]) -> list[Hits]:
        """Search by several vectors, exactly; see `VectorStore.query`."""
        with self._opened():
            validate.check_queries(queries, self.dimension, self.modalities, self._schema, self._extra)
            return [self._search(query) for query in queries]

    def _search(self, query: VectorQuery) -> Hits:
        ids, scores = self._scores(query)
        excluded = frozenset(query.exclude)
        wanted = None if query.among is None else frozenset(query.among)
        passing: npt.NDArray[np.intp] = np.array(
            [
                row
                for row, item in enumerate(ids)
                if item not in excluded
                and (wanted is None or item in wanted)
                and (query.filter is None or matches(query.filter, self._points[item].payload, self._schema))
            ],
            np.intp,
        )
        best = passing[np.argsort(-scores[passing], kind="stable")][: query.limit]
        return Hits(tuple(ids[row] for row in best), scores[best])

    def _scores(self, query: VectorQuery) -> tuple[list[ItemId], Floats]:
        if isinstance(query.vector, WordVector):
            return self._word_scores(query.vector)
        ids, matrix, starts = self._column(query.modality)
        vector = np.asarray(query.vector, np.float32)
        cosines = np.asarray(matrix @ (vector / np.linalg.norm(vector)), np.float32)
        return ids, cosines if len(ids) == len(cosines) else np.maximum.reduceat(cosines, starts)

    def _word_scores(self, asked: WordVector) -> tuple[list[ItemId], Floats]:
        """The items that have any of the words, and the sum of how rare they are."""
        made = {item: words_of(point.payload, self._words) for item, point in self._points.items()}
        have = {item: dict(zip(one.indices, one.values, strict=True)) for item, one in made.items() if one.indices}
        having = Counter(word for one in have.values() for word in one)
        wanted = {
            word: value * rarity(len(have), having[word])
            for word, value in zip(asked.indices, asked.values, strict=True)
        }
        scores = {
            item: sum(wanted[word] * one[word] for word in wanted.keys() & one.keys())
            for item, one in have.items()
            if wanted.keys() & one.keys()
        }
        return [*scores], np.array([*scores.values()], np.float32)

    def _column(self, name: str) -> tuple[list[ItemId], Floats, Rows]:
        """The items that have a vector, the vectors of all their parts, and where those of each item begin."""
        if name not in self._columns:
            if name in self._extra:
                dimension, vectors = self._extra[name], self._named[name]
            else:
                modality, dimension = Modality(name), self.dimension
                owners = [point for point in self._points.values() if modality in point.vectors]
                vectors = {point.id: point.parts(modality) for point in owners}
            matrix = np.vstack([*vectors.values()]) if vectors else np.zeros((0, dimension), np.float32)
            counts = [1 if one.ndim == 1 else len(one) for one in vectors.values()]
            self._columns[name] = [*vectors], matrix, np.cumsum([0, *counts[:-1]], dtype=np.intp)
        return self._columns[name]

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
        validate.check_scroll(self._schema, filter_, cursor, limit, order_by)
        with self._opened():
            if not self._order:
                self._order = sorted((point_id(item), item) for item in self._points)
            start = bisect.bisect_left(self._order, (cursor or "", ""))
            ids = [
                item
                for _, item in self._order[start:]
                if filter_ is None or matches(filter_, self._points[item].payload, self._schema)
            ]
            if order_by is not None:
                keys = {item: list(values(self._points[item].payload, order_by, self._schema)) for item in ids}
                ids = sorted((item for item in ids if keys[item]), key=lambda item: max(keys[item]), reverse=True)
            points = self.retrieve(ids[:limit], with_vectors=with_vectors, with_payload=with_payload)
        more = point_id(ids[limit]) if len(ids) > limit and order_by is None else None
        return Page(tuple(point for point in points if point is not None), more)

    def count(self, filter_: Filter | None = None) -> int:
        """How many points there are, exactly."""
        with self._opened():
            if filter_ is None:
                return len(self._points)
            validate.check_filter(filter_, self._schema)
            return sum(matches(filter_, point.payload, self._schema) for point in self._points.values())

    def index_fields(self, schema: Schema) -> None:
        """Make payload fields filterable; those that already are stay; see `VectorStore.index_fields`."""
        with self._opened():
            self._schema = {**self._schema, **validate.new_fields(schema, self._schema)}

    def flush(self) -> None:
        """Nothing is on disk."""

    def optimize(self, tell: Tell | None = None) -> None:
        """Nothing is indexed: every search is exact."""

    def snapshot(self, path: Path) -> None:
        """Write all points, the schema and the fingerprint to a file at `path`, atomically."""
        with self._opened():
            write_snapshot(self, path)

    def restore(self, path: Path) -> None:
        """Replace all points by those of a snapshot; see `VectorStore.restore`."""
        with self._opened():
            read_snapshot(self, path)

    def close(self) -> None:
        """Forget all points. Twice is allowed."""
        self._closed = True
        self._points, self._named = {}, {}
        self._changed()

    def _changed(self) -> None:
        self._columns = {}
        self._order = []

    def _opened(self) -> threading.RLock:
        if self._closed:
            raise StoreError("the memory store is closed", "make another")
        return self._lock
