"""Which modalities the catalogue really has: a space may know sounds where no item has one."""

import threading
import time

import numpy as np

from encoders.types import Modality
from engine.store.base import VectorQuery, VectorStore


class Present:
    """Asks the store, and remembers for a moment what it said; any number of threads may ask.

    Args:
        store: the catalogue.
        keep_seconds: how long an answer is taken for true.
    """

    def __init__(self, store: VectorStore, keep_seconds: float = 5.0) -> None:
        self._store, self._keep = store, keep_seconds
        self._lock = threading.Lock()
        self._seen: tuple[Modality, ...] = ()
        self._until = float("-inf")

    def read(self) -> tuple[Modality, ...]:
        """The modalities of which any item has a vector: one search for one hit in each of the store's."""
        with self._lock:
            if time.monotonic() >= self._until:
                modalities, anywhere = self._store.modalities, np.eye(1, self._store.dimension, dtype=np.float32)[0]
                hits = self._store.query([VectorQuery(anywhere, modality, 1) for modality in modalities])
                self._seen = tuple(one for one, found in zip(modalities, hits, strict=True) if found.ids)
                self._until = time.monotonic() + self._keep
            return self._seen
