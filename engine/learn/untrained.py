"""The untrained engine as a `Ranker`: what a trained version is held against first."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from encoders.spaces.space import SpaceManifest
from encoders.types import Floats
from engine.catalog.items import ItemTable
from engine.core.deadline import Deadline
from engine.core.errors import InvalidQueryError
from engine.core.types import PolicyOptions, Query
from engine.encode.encoding import ContentEncoder
from engine.learn.log import EventLog, events_of
from engine.learn.ranker import Cases
from engine.query.pipeline import Engine
from engine.query.settings import FuseSettings, PolicySettings, RetrieveSettings
from engine.store.base import Point
from engine.store.memory import MemoryStore

DEPTH = 100
"""Positions that are asked for; deeper ones count as not shown."""


class UntrainedRanker:
    """Answers each case as the engine would, over the same items in memory.

    Args:
        manifest: of the items' space.
        encoder: encodes searched texts.
        fuse: how a history becomes query vectors.
        retrieve: how many candidates are fetched.
        policy: what may be shown.
        name: the name in reports.
    """

    def __init__(
        self,
        manifest: SpaceManifest,
        encoder: ContentEncoder,
        *,
        fuse: FuseSettings | None = None,
        retrieve: RetrieveSettings | None = None,
        policy: PolicySettings | None = None,
        name: str = "untrained",
    ) -> None:
        self._manifest, self._encoder, self._name = manifest, encoder, name
        steady = (policy or PolicySettings()).model_copy(update={"explore": 0.0})  # chance is no opinion
        self._settings = fuse, retrieve, steady

    @property
    def name(self) -> str:
        """The name in reports."""
        return self._name

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """Nothing is learned: the items go into a store in memory."""
        made = self._manifest
        store = MemoryStore(fingerprint=made.fingerprint, dimension=made.dimension, modalities=tuple(made.encoders))
        there = {modality: items.present[modality] for modality in items.vectors}
        store.upsert(
            [
                Point(name, {m: items.vectors[m][row] for m in items.vectors if there[m][row]}, items.payloads[row])
                for row, name in enumerate(items.ids)
                if any(mask[row] for mask in there.values())  # without a vector, nothing finds it
            ]
        )
        self._log, self._items, self._store = log, items, store

    def read(self, items: ItemTable) -> None:
        """See `Reads.read`."""
        self.fit(self._log, items)

    def score(self, cases: Cases) -> Floats:
        """(b, m): the position that the engine gives an item, negative; -inf beyond `DEPTH`."""
        found = np.full((len(cases), len(self._items)), -np.inf, np.float32)
        for row, (history, now) in enumerate(zip(cases.history, cases.time.tolist(), strict=True)):
            engine = self._engine(now)
            policy = PolicyOptions(include_seen=cases.shown is not None)
            depth = DEPTH if cases.shown is None else len(self._items)
            query = Query(history=events_of(self._log, history), limit=depth, policy=policy)
            try:
                results = engine.recommend(query, Deadline()).results
            except InvalidQueryError:
                continue
            for position, result in enumerate(results):
                found[row, self._items.row_of[result.item]] = -float(position)
        return found

    def _engine(self, now: float) -> Engine:
        fuse, retrieve, policy = self._settings
        deep = (retrieve or RetrieveSettings()).model_copy(update={"max_limit": max(len(self._items), 1000)})
        moment = datetime.fromtimestamp(now, UTC)
        clock: Callable[[], datetime] = lambda: moment  # noqa: E731
        return Engine(
            self._encoder,
            self._manifest,
            self._store,
            fuse_settings=fuse,
            retrieve_settings=deep,
            policy_settings=policy,
            clock=clock,
        )
