"""The protocol of a vector store, and what goes in and comes out."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from encoders.types import Floats, Modality
from engine.core.filters import Filter, Schema
from engine.core.types import Candidates, ItemId, Payload
from engine.store.quantization import Search
from engine.store.words import WordVector

Tell = Callable[[float, str], None]
"""Is told the share that is done, 0 to 1, and what is being done."""
_NAMESPACE = uuid.UUID("7e1b2f0c-6a55-5d0e-9a39-0d8f5d2c4b11")


def point_id(item_id: ItemId) -> str:
    """The store's id of an item: uuid5 of the item's id, the same on every machine."""
    return str(uuid.uuid5(_NAMESPACE, item_id))


@dataclass(frozen=True, slots=True)
class Point:
    """An item as it is stored.

    The payload holds the item's own fields and the engine's, which begin with `_`; stores keep the item's id
    under `_id`.
    """

    id: ItemId
    vectors: Mapping[Modality, Floats]
    """Per modality a unit vector (d,): that of its first part."""
    payload: Payload = field(default_factory=dict)
    more: Mapping[Modality, Floats] = field(default_factory=dict)
    """Of modalities with several parts, pictures say, the unit vectors of the others (k, d), k ≥ 1."""

    def parts(self, modality: Modality) -> Floats:
        """The vectors of all parts of a modality (k, d); k is 0 where it has none."""
        if modality not in self.vectors:
            return np.zeros((0, 0), np.float32)
        first = self.vectors[modality][None]
        return np.concatenate([first, self.more[modality]]) if modality in self.more else first


@dataclass(frozen=True, slots=True)
class VectorQuery:
    """A search by one vector over one modality of the items, over one of the store's extra vectors, or by words.

    Of an item with several parts of the modality the nearest counts.
    """

    vector: Floats | WordVector
    """(d,); its length does not matter. Or the words that are asked for."""
    modality: Modality | str
    """A modality, the name of an extra vector, or `WORDS`. Items that have no such vector, or none of the words, are
    not found."""
    limit: int
    filter: Filter | None = None
    exclude: tuple[ItemId, ...] = ()
    """Items that must not be among the hits."""
    among: tuple[ItemId, ...] | None = None
    """The only items that may be among the hits; None for all."""
    width: Search | None = None
    """How widely the graph is searched; None for as widely as the first ten hits need."""


@dataclass(frozen=True, slots=True)
class Hits:
    """The answer to a `VectorQuery`: ids, each once, and their scores (n,), best first: cosines of the nearest part,
    or of words the sum of how rare those are that the item has, each times its weight."""

    ids: tuple[ItemId, ...]
    scores: Floats


NO_HITS = Hits((), np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a scroll. `next_cursor` is None on the last page."""

    points: tuple[Point, ...]
    next_cursor: str | None


@runtime_checkable
class VectorStore(Protocol):
    """Keeps points of one space, and finds the nearest.

    Beside the vectors of the space it keeps *extra* vectors, each under a name of its own with a dimension of its
    own: the item vectors of a learned model, `taste-<version>`. They are written apart from the points, for
    points that are there; they are not part of a `Point`, and go with it when it is deleted.

    Reads may run in many threads at once, beside one writer; the store serialises writers itself. What a
    write has acknowledged is there after kill -9, and every read that begins then sees it. Beside a write:

    - `retrieve`, `candidates`, `read_vectors` and `scroll` find every point that is there, each as one write left it.
    - `query` may miss a point that is being written at that moment: a server searches the segments of a collection
      side by side, and a write may move the point from one that is not searched yet to one that already is. The other
      points it finds, and none twice. The embedded store misses none.
    """

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the space whose vectors it keeps."""

    @property
    def dimension(self) -> int:
        """The dimension of every vector of the space."""

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that it keeps vectors of."""

    @property
    def schema(self) -> Schema:
        """The payload fields that can be filtered on."""

    @property
    def vectors(self) -> Mapping[str, int]:
        """The extra vectors that there are, with their dimensions."""

    @property
    def words(self) -> tuple[str, ...]:
        """The payload fields by whose words items are found; empty if words are not kept."""

    def index_words(self, fields: Sequence[str], written: Callable[[int], None] = ...) -> None:
        """Let items be found by the words in some payload fields, those that are there already too.

        The store keeps a sparse vector of them beside the others, and makes it anew whenever an item is written. It
        costs nothing if these fields' words are kept already; else until it is done, `words` is empty and searches by
        words find nothing. Others may write meanwhile. Cut short, it is done again by the next call.

        Args:
            fields: their names, `a.b` for one within another; the engine's own too.
            written: is told, each time, how many more items have their words.

        Raises:
            StoreError: if the server is too old for a collection that was made without words.
        """

    def add_vector(self, name: str, dimension: int) -> None:
        """Make room for an extra vector. No point has it yet. Idempotent.

        Args:
            name: a word, a hyphen, and a version: `taste-7`; see `engine.store.extra`.
            dimension: of the vectors, which are kept at unit length and compared by cosine.

        Raises:
            StoreError: if the name is malformed, or taken by a vector of another dimension.
        """

    def put_vectors(self, name: str, ids: Sequence[ItemId], matrix: Floats) -> int:
        """Set an extra vector of points that are there; their payloads and other vectors stay. Idempotent.

        A large matrix is written in parts: readers may see some points with the new vector and others without.
        The search graphs do not cover what was written until the next `optimize`.

        Args:
            name: of the extra vector.
            ids: the items (n,); those that are not there are left out. Of a doubled one the last counts.
            matrix: their vectors (n, d), float32.

        Returns:
            How many items it was set for.

        Raises:
            InvalidQueryError: if there is no extra vector of this name.
            VectorError: if the matrix has the wrong shape, or holds NaN or infinity, or only zeros in a row that is
                compared by cosine. Nothing is written.
        """

    def read_vectors(self, name: str, ids: Sequence[ItemId]) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """An extra vector of these items (n, d), as it is kept, and which of them have it (n,); else zeros.

        Raises:
            InvalidQueryError: if there is no extra vector of this name.
        """

    def drop_vector(self, name: str) -> None:
        """Remove an extra vector from all points, and its name. Without effect if there is none."""

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points; one that is there is replaced whole, but keeps its extra vectors. Idempotent.

        Extra vectors stay as they are even if the contents changed, until `put_vectors` writes them again. Where
        several processes write to one server, a put may be lost to an upsert of the same item at the same moment.

        Raises:
            VectorError: if a vector has the wrong dimension, or NaN, infinity or only zeros. Nothing is written.
        """

    def delete(self, ids: Sequence[ItemId]) -> int:
        """Delete points, and say how many of them were there."""

    def retrieve(
        self, ids: Sequence[ItemId], *, with_vectors: bool = True, with_payload: bool = True, once: bool = False
    ) -> list[Point | None]:
        """The points with these ids, in this order; None where there is none.

        Args:
            ids: the items.
            with_vectors: whether the points come with their vectors.
            with_payload: whether they come with their payloads.
            once: that they are not likely to be asked for again soon, so a store need not keep them in memory.
        """

    def candidates(self, ids: Sequence[ItemId], *, with_payload: bool = True) -> Candidates:
        """The same in columns, for ranking: ids that are not there are left out, scores are zero."""

    def query(self, queries: Sequence[VectorQuery]) -> list[Hits]:
        """Search by several vectors in one batch; hits come in the order of the queries.

        Raises:
            InvalidQueryError: if a filter names a field that is not in the schema, or one of the wrong kind, or there
                is no vector of the name asked for.
            VectorError: if a vector has the wrong dimension or is not finite.
        """

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
        """A page of points, each exactly once over all pages.

        Without `order_by` in a fixed order of the store's; with it, by that number or time, largest first, and
        then only the first page is to be had (its cursor is None).
        """

    def count(self, filter_: Filter | None = None) -> int:
        """How many points there are, exactly."""

    def index_fields(self, schema: Schema) -> None:
        """Make payload fields filterable; those that already are stay.

        Raises:
            StoreError: if a field is already indexed as another kind.
        """

    def flush(self) -> None:
        """Make all writes durable on disk."""

    def optimize(self, tell: Tell | None = None) -> None:
        """Build the search indexes over what was written, of vectors quantised as the settings say.

        Searches before it are exact, but slower. Reads and writes go on meanwhile.

        Args:
            tell: is told how far it is.
        """

    def snapshot(self, path: Path) -> None:
        """Write all points, extra vectors, the schema and the fingerprint to a file at `path`, atomically.

        Others may write meanwhile: each point comes as one write left it, and what was acknowledged before is there.
        """

    def restore(self, path: Path) -> None:
        """Replace all points by those of a snapshot, and all extra vectors by its extra vectors.

        Raises:
            SpaceError: if the snapshot is of another space.
        """

    def close(self) -> None:
        """Flush and let go of files and connections. Twice is allowed."""
