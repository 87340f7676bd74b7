"""What a version of the model knows of the person who asks: read once per request, for all that is done with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from encoders.types import Audio, Floats, Image, Modality, Rows
from engine.core.types import Candidates, Event, EventKind, ItemId, Query, ReasonKind, VectorInput
from engine.query.resolve import QuerySignals
from engine.rerank.counts import RecentPopularity, count_scores
from engine.rerank.features import DenseFeatures, Inputs, feature_names
from engine.rerank.fields import Fields
from engine.rerank.itemcache import ItemCache
from engine.rerank.table import RankingInput, Table, Tokens
from engine.rerank.version import Version

_LARGEST = 1e30
"""A price beyond it says no more."""


@dataclass(frozen=True, slots=True)
class UserFeatures:
    """One person at the moment of a request: h tokens, m items that are counted."""

    moment: float
    """Seconds since 1970."""
    tokens: Tokens
    """All of them, oldest first; their rows are those of `table`."""
    table: Table
    """Of the tokens."""
    positive: Rows
    """The tokens that speak for an item."""
    negative: Rows
    """The tokens that speak against an item."""
    by_counts: Floats
    """(s, m): what each of the s counts says of the version's items."""
    embedding: Floats | None
    """(t,): the learned query vector; None where the version has none."""


class FeatureReader:
    """Reads people and candidates for a version.

    Args:
        version: the network, its counts and scales.
        items: what is known of items.
        clock: tells the time, with a time zone.
    """

    def __init__(self, version: Version, items: ItemCache, clock: Callable[[], datetime]) -> None:
        self._version, self._items, self._clock = version, items, clock
        self._recent = RecentPopularity(version.statistics)
        modalities = [Modality(name) for name in version.network.config.modalities]
        self._dense = DenseFeatures(version.features, feature_names(modalities, version.scales))
        self._row_of = {name: row for row, name in enumerate(version.items)}

    def user(self, query: Query, given: QuerySignals) -> UserFeatures:
        """The person who asks.

        Args:
            query: the request.
            given: its parts and events, with their vectors.
        """
        now = self._clock()
        events, signals = self._tokens(query, given, now)
        size, moment = len(events), now.timestamp()
        rows = np.full(size, -1, np.intp)
        of_items = np.array([event.item is not None for event in events], np.bool_)
        rows[of_items] = self._items.rows([event.item for event in events if event.item is not None])
        values = [float("nan") if event.value is None else event.value for event in events]
        times = [moment if event.time is None else event.time.timestamp() for event in events]
        tokens = Tokens(
            np.arange(size, dtype=np.intp),
            np.array([self._version.token_kinds.row(event.kind) for event in events], np.intp),
            np.clip(values, -_LARGEST, _LARGEST).astype(np.float32),
            np.maximum(moment - np.array(times, np.float64), 0),
        )
        modalities = [Modality(name) for name in self._version.network.config.modalities]
        table = Table(
            {m: given.vectors[m][signals] for m in modalities},
            {m: given.present[m][signals] for m in modalities},
            self._items.fields(rows),
            self._items.since(rows),
            self._items.identity(rows),
        )
        favoured = of_items & np.array([self._version.favours(event) for event in events], np.bool_)
        turned = of_items & np.array([event.kind in self._version.token_kinds.negative for event in events], np.bool_)
        liked = self._items.count_rows(rows[favoured])
        by_counts = count_scores(self._version.statistics, liked[liked >= 0], moment, self._recent)
        embedding = None if self._version.towers is None else self._version.towers.user_embedding(tokens, table)
        return UserFeatures(
            moment, tokens, table, np.flatnonzero(favoured), np.flatnonzero(turned), by_counts, embedding
        )

    def ranking_input(self, user: UserFeatures, candidates: Candidates) -> tuple[RankingInput, Table]:
        """A person and candidates as numbers: the table's rows are the candidates, then the tokens."""
        size = len(candidates)
        rows, positions = self._items.rows(candidates.ids), np.arange(size, dtype=np.intp)
        known = self._items.count_rows(rows)
        by_counts = np.where(known >= 0, user.by_counts[:, known], np.float32(0)) if size else user.by_counts[:, :0]
        modalities = user.table.vectors
        own = Table(
            {m: _column(candidates.vectors, m, size, modalities[m].shape[1]) for m in modalities},
            {m: candidates.present.get(m, np.zeros(size, np.bool_)) for m in modalities},
            self._items.fields(rows),
            self._items.since(rows),
            self._items.identity(rows),
        )
        towers = np.zeros(size, np.float32)
        if self._version.towers is not None and user.embedding is not None:
            towers = self._version.towers.scores(
                self._version.towers.item_embeddings(own, positions), user.embedding, own.identity > 0
            )
        table = _joined(own, user.table)
        tokens = replace(user.tokens, rows=user.tokens.rows + size)
        inputs = Inputs(
            by_counts,
            tokens,
            user.positive + size,
            user.negative + size,
            positions,
            own.identity,
            table,
            candidates.scores,
            towers,
            user.moment,
        )
        return RankingInput(tokens.newest(), positions, own.identity, self._dense(inputs)), table

    def hidden(self, exclude: Sequence[ItemId]) -> Rows:
        """The rows in the counts of items that are not to be candidates."""
        rows = (self._row_of.get(name, -1) for name in exclude)
        return np.array([row for row in rows if row >= 0], np.intp)

    def _tokens(self, query: Query, given: QuerySignals, now: datetime) -> tuple[list[Event], Rows]:
        """The events that became signals, oldest first, then the query's parts as events; and their signals' rows."""
        found: list[tuple[float, int, int, Event]] = []
        for row, (kind, index) in enumerate(zip(given.kinds, given.indexes.tolist(), strict=True)):
            if kind is ReasonKind.EVENT:
                event = query.history[index]
                if event.kind != EventKind.IMPRESSION:
                    time = now if event.time is None else event.time
                    found.append((time.timestamp(), index, row, event))
            else:
                found.append((float("inf"), index, row, _as_event(query, index)))
        found.sort(key=lambda one: one[:2])
        return [one[3] for one in found], np.array([one[2] for one in found], np.intp)


def _joined(candidates: Table, tokens: Table) -> Table:
    """The rows of both; only candidates have an age."""
    return Table(
        {m: np.concatenate([matrix, tokens.vectors[m]]) for m, matrix in candidates.vectors.items()},
        {m: np.concatenate([mask, tokens.present[m]]) for m, mask in candidates.present.items()},
        Fields(
            {
                name: np.concatenate([column, tokens.fields.categories[name]])
                for name, column in candidates.fields.categories.items()
            },
            {
                name: np.concatenate([column, tokens.fields.numbers[name]])
                for name, column in candidates.fields.numbers.items()
            },
        ),
        candidates.since,
        np.concatenate([candidates.identity, tokens.identity]),
    )


def _column(vectors: Mapping[Modality, Floats], modality: Modality, size: int, dimension: int) -> Floats:
    found = vectors.get(modality)
    return np.zeros((size, dimension), np.float32) if found is None else found


def _as_event(query: Query, index: int) -> Event:
    """A part of the query as an event that happens now."""
    part = query.parts[index]
    if part.weight < 0:
        kind = EventKind.DISLIKE
    elif isinstance(part.source, str):
        kind = EventKind.CLICK
    elif isinstance(part.source, Image | Audio) or (
        isinstance(part.source, VectorInput) and part.source.modality is not Modality.TEXT
    ):
        kind = EventKind.UPLOAD
    else:
        kind = EventKind.SEARCH
    return Event(kind, item=part.source if isinstance(part.source, str) else None)
