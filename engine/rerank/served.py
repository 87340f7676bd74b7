"""A version of the model as the engine serves it: its tiers, and the candidates that it adds."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from engine.learn.card import ModelCard
from engine.rerank.itemcache import ItemCache
from engine.rerank.learned import LearnedReranker, now
from engine.rerank.version import Version, load_version
from engine.store.base import VectorStore
from engine.types import ItemId, Query


class LearnedModel:
    """A loaded version. Any number of threads use it at once.

    Args:
        version: the network and what belongs to it.
        name: the version's name.
        fingerprint: the space that it is of.
        store: the catalogue.
        clock: tells the time, with a time zone.
    """

    def __init__(
        self,
        version: Version,
        name: str,
        fingerprint: str,
        store: VectorStore,
        *,
        clock: Callable[[], datetime] = now,
    ) -> None:
        identity = np.zeros(len(version.items), np.intp)
        identity[np.flatnonzero(version.known)] = np.arange(1, int(version.known.sum()) + 1)
        rows = {item: row for row, item in enumerate(version.items)}
        self._items = ItemCache(store, version.scales, rows, identity)
        self._full = LearnedReranker(version, name, self._items, clock=clock)
        self._name, self._fingerprint = name, fingerprint

    @property
    def version(self) -> str:
        """Its name in the registry."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """The space that it is of."""
        return self._fingerprint

    @property
    def rerankers(self) -> tuple[LearnedReranker, ...]:
        """Its tiers, the best first."""
        return (self._full,)

    def candidates(self, query: Query, exclude: Sequence[ItemId]) -> list[ItemId]:
        """Items that what people did speaks for."""
        return self._full.candidates(query, exclude)

    def close(self) -> None:
        """Nothing is held but memory."""


def load_model(folder: Path, card: ModelCard, store: VectorStore) -> LearnedModel:
    """Load a version from its folder."""
    return LearnedModel(load_version(folder), card.version, card.fingerprint, store)
