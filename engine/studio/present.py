"""Which modalities the catalogue really has: a space may know sounds where no item has one."""

import numpy as np

from encoders.types import Modality
from engine.store.base import VectorQuery, VectorStore
from engine.studio.kept import Kept


class Present:
    """Asks the store, and remembers for a moment what it said; any number of threads may ask.

    Args:
        store: the catalogue.
        keep_seconds: how long an answer is taken for true.
    """

    def __init__(self, store: VectorStore, keep_seconds: float = 5.0) -> None:
        self._store = store
        self._kept: Kept[tuple[Modality, ...]] = Kept(keep_seconds)

    def read(self) -> tuple[Modality, ...]:
        """The modalities of which any item has a vector: one search for one hit in each of the store's."""
        return self._kept.get(self._look)

    def _look(self) -> tuple[Modality, ...]:
        modalities, anywhere = self._store.modalities, np.eye(1, self._store.dimension, dtype=np.float32)[0]
        hits = self._store.query([VectorQuery(anywhere, modality, 1) for modality in modalities])
        return tuple(one for one, found in zip(modalities, hits, strict=True) if found.ids)
