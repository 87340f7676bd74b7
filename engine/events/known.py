"""Which items an event may name: those of the catalogue."""

from collections.abc import Collection, Sequence

from engine.core.types import ItemId
from engine.store.base import VectorStore


class CatalogItems:
    """A `KnownItems` that asks the vector store.

    Args:
        store: the catalogue.
    """

    def __init__(self, store: VectorStore) -> None:
        self._store = store

    def __call__(self, items: Sequence[ItemId], /) -> Collection[ItemId]:
        """Those of the items that are there."""
        points = self._store.retrieve(items, with_vectors=False, with_payload=False)
        return {point.id for point in points if point is not None}
