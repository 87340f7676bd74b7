"""A version of the model as the engine serves it: its tiers, and the candidates that it adds."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from encoders.types import Rows
from engine.core.caching import Uses
from engine.core.times import now_utc
from engine.core.types import ItemId, Query
from engine.models.card import ModelCard
from engine.query.models import Contribution, ExtraSearch
from engine.query.resolve import QuerySignals
from engine.rerank.candidates import TOWER_CANDIDATES, count_candidates
from engine.rerank.drift import DriftWindow
from engine.rerank.itemcache import ItemCache
from engine.rerank.learned import LearnedReranker, tiers_of
from engine.rerank.tower_index import TowerIndex
from engine.rerank.user import FeatureReader
from engine.rerank.version import Version, load_version
from engine.store.base import VectorStore


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
        clock: Callable[[], datetime] = now_utc,
    ) -> None:
        identity = np.zeros(len(version.items), np.intp)
        identity[np.flatnonzero(version.known)] = np.arange(1, int(version.known.sum()) + 1)
        rows = {item: row for row, item in enumerate(version.items)}
        self._version, self._name, self._fingerprint = version, name, fingerprint
        self._items = ItemCache(store, version.scales, rows, identity)
        self.reader = FeatureReader(version, self._items, clock)
        """Makes numbers of people and candidates."""
        self.tiers = tiers_of(version, name)
        """Its ways of scoring, the best first."""
        self._drift = DriftWindow(version.reference)
        self._towers: TowerIndex | None = None
        if version.towers is not None:
            self._towers = TowerIndex(store, name, version.towers, self._identity)

    @property
    def version(self) -> str:
        """Its name in the registry."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """The space that it is of."""
        return self._fingerprint

    @property
    def ready(self) -> bool:
        """Whether a started version does all that it can: its item embeddings are in the store."""
        return self._towers is None or self._towers.ready

    def start(self) -> None:
        """Write the item embeddings into the store, in the background; until then nobody searches for them."""
        if self._towers is not None:
            self._towers.start()

    def contribute(self, query: Query, signals: QuerySignals, exclude: Sequence[ItemId]) -> Contribution:
        """The person who asks, the items that what people did speaks for, and what is near their embedding."""
        user = self.reader.user(query, signals)
        self._drift.asked(user.tokens.newest(), user.table)
        found = count_candidates(user.by_counts, self.reader.hidden(exclude))
        searches: tuple[ExtraSearch, ...] = ()
        if self._towers is not None and self._towers.ready and user.embedding is not None:
            searches = (ExtraSearch(self._towers.name, user.embedding, TOWER_CANDIDATES),)
        return Contribution(
            tuple(LearnedReranker(self._version, tier, self.reader, user, self._drift) for tier in self.tiers),
            [self._version.items[row] for row in found.tolist()],
            searches,
        )

    def drift(self) -> Mapping[str, float]:
        """By figure, how far requests are from those of training; see `engine.rerank.drift`."""
        return self._drift.stability()

    def caches(self) -> Mapping[str, Uses]:
        """How the columns of items that are kept were used; see `Caching`."""
        return {"items": self._items.uses}

    def changed(self, ids: Sequence[ItemId]) -> None:
        """Items were written or deleted: nothing that is remembered of them holds."""
        self._items.forget(ids)
        if self._towers is not None:
            self._towers.changed(ids)

    def close(self) -> None:
        """Stop writing item embeddings; those that are written stay."""
        if self._towers is not None:
            self._towers.close()

    def _identity(self, ids: Sequence[ItemId]) -> Rows:
        return self._items.identity(self._items.rows(ids))


def load_model(folder: Path, card: ModelCard, store: VectorStore) -> LearnedModel:
    """Load a version from its folder, and begin to write its item embeddings."""
    model = LearnedModel(load_version(folder), card.version, card.fingerprint, store)
    model.start()
    return model
