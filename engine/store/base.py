"""The protocol of a vector store, and what goes in and comes out."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from encoders.types import Floats, Modality
from engine.filters import Filter, Schema
from engine.types import Candidates, ItemId, Payload

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
    """Per modality a unit vector (d,)."""
    payload: Payload = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VectorQuery:
    """A search by one vector over one modality of the items."""

    vector: Floats
    """(d,); its length does not matter."""
    modality: Modality
    limit: int
    filter: Filter | None = None
    exclude: tuple[ItemId, ...] = ()
    """Items that must not be among the hits."""


@dataclass(frozen=True, slots=True)
class Hits:
    """The answer to a `VectorQuery`: ids and their cosines (n,), best first."""

    ids: tuple[ItemId, ...]
    scores: Floats


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a scroll. `next_cursor` is None on the last page."""

    points: tuple[Point, ...]
    next_cursor: str | None


@runtime_checkable
class VectorStore(Protocol):
    """Keeps points of one space, and finds the nearest.

    Reads may run in many threads at once, beside one writer; the store serialises writers itself. What a
    write has acknowledged is there after kill -9.
    """

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the space whose vectors it keeps."""

    @property
    def dimension(self) -> int:
        """The dimension of every vector."""

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that it keeps vectors of."""

    @property
    def schema(self) -> Schema:
        """The payload fields that can be filtered on."""

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points; one that is there is replaced whole. Idempotent.

        Raises:
            VectorError: if a vector has the wrong dimension, or NaN, infinity or only zeros. Nothing is written.
        """

    def delete(self, ids: Sequence[ItemId]) -> int:
        """Delete points, and say how many of them were there."""

    def retrieve(
        self, ids: Sequence[ItemId], *, with_vectors: bool = True, with_payload: bool = True
    ) -> list[Point | None]:
        """The points with these ids, in this order; None where there is none."""

    def candidates(self, ids: Sequence[ItemId], *, with_payload: bool = True) -> Candidates:
        """The same in columns, for ranking: ids that are not there are left out, scores are zero."""

    def query(self, queries: Sequence[VectorQuery]) -> list[Hits]:
        """Search by several vectors in one batch; hits come in the order of the queries.

        Raises:
            InvalidQueryError: if a filter names a field that is not in the schema, or one of the wrong kind.
            VectorError: if a vector has the wrong dimension or is not finite.
        """

    def scroll(
        self,
        *,
        filter_: Filter | None = None,
        cursor: str | None = None,
        limit: int = 256,
        with_vectors: bool = False,
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

    def optimize(self) -> None:
        """Build the search indexes over what was written. Searches before it are exact, but slower."""

    def snapshot(self, path: Path) -> None:
        """Write all points, the schema and the fingerprint to a file at `path`, atomically."""

    def restore(self, path: Path) -> None:
        """Replace all points by those of a snapshot.

        Raises:
            SpaceError: if the snapshot is of another space.
        """

    def close(self) -> None:
        """Flush and let go of files and connections. Twice is allowed."""
