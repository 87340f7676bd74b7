"""A log, laid over an item table: what is known of each person and of the items at each moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from encoders.types import Bools, Floats, Modality, Rows
from engine.catalog.items import ItemTable
from engine.core.types import EventKind, VectorInput
from engine.events.types import Impression
from engine.learn.log import KIND_OF, EventLog
from engine.learn.rows.attractiveness import attractiveness, exposures_of
from engine.learn.splits import Positives
from engine.query.settings import FuseSettings
from engine.rerank.candidates import content_candidates, count_candidates, fresh_candidates, tower_candidates
from engine.rerank.content import ContentScorer
from engine.rerank.counts import NAMES, count_scores
from engine.rerank.features import DenseFeatures, Inputs, feature_names
from engine.rerank.fields import FieldScales
from engine.rerank.statistics import Sequences, Statistics, count
from engine.rerank.table import MAX_TOKENS, STANDARD_TOKENS, RankingInput, Table, TokenKinds, Tokens
from engine.rerank.two_towers import TowerScores

_NONE = np.zeros(0, np.intp)
_POPULARITY = NAMES.index("popularity")


@dataclass(frozen=True, slots=True)
class Known:
    """What may be known of the items at some moments."""

    counts: Statistics
    towers: TowerScores | None = None
    """What the learned query vector says of them; None where it learned nothing yet."""
    until: float = np.inf
    """Nothing that happened then or later is in it; infinite with cross-fitting by people."""


class PointInTimeFeatures:
    """A log, laid over an item table: what is known of each person at each moment.

    Args:
        log: the events.
        items: the catalogue.
        scales: of the payload fields.
        known: (m,) bool, the items that the model has an id of.
        positives: which events speak for an item.
        content: gives the engine's own opinion of items; None where the space has no calibration.
        impressions: lists that were served to people of the log.
        features: the names of the features that a network reads, in its order; None for all that are made.
        kinds: the kinds of events that a network reads.
        counted: whether anything is counted over people; else each is known by what they did themselves alone.

    Raises:
        CheckpointError: if some of the features are not made.
    """

    def __init__(
        self,
        log: EventLog,
        items: ItemTable,
        scales: FieldScales,
        known: Bools,
        positives: Positives,
        content: ContentScorer | None = None,
        impressions: Sequence[Impression] = (),
        features: Sequence[str] | None = None,
        kinds: TokenKinds = STANDARD_TOKENS,
        *,
        counted: bool = True,
    ) -> None:
        made = feature_names(list(items.vectors), scales)
        self.features = made if features is None else tuple(features)
        """The names of the columns of a request's dense features."""
        self._dense = DenseFeatures(self.features, made)
        self.size, self.ids, self.content = len(items), items.ids, content
        self._max_events = (FuseSettings() if content is None else content.fuse).max_events
        rows = items.rows(log.items)
        item = np.where(log.item >= 0, rows[log.item] if len(rows) else -1, -1)
        self.token_rows, extra = _with_contents(log, item, items)
        self.table = table_of(items, scales, known, extra)
        self.log, self.item = log, item
        self.positive = positives.of(log) & (item >= 0)
        self.negative = log.is_of(kinds.negative) & (item >= 0)
        self.of_user = log.of_user()
        codes = [-1 if kind == EventKind.IMPRESSION else kinds.row(kind) for kind in log.kinds]
        self.kinds = np.array(codes, np.intp)[log.kind]
        users = {user: number for number, user in enumerate(log.users)}
        chosen: dict[tuple[str, int], float] = {}
        for row in np.flatnonzero(self.positive & (log.request >= 0)).tolist():
            chosen.setdefault((log.requests[log.request[row]], int(item[row])), float(log.time[row]))
        self._counted = counted
        self.exposures = exposures_of(impressions if counted else (), items.row_of, users, chosen)

    def tokens(self, history: Rows, now: float) -> Tokens:
        """The tokens of events, rows of the log; impressions, and events on items without a row, are left out."""
        kept = self._newest(history)[-MAX_TOKENS:]
        return Tokens(
            self.token_rows[kept],
            self.kinds[kept],
            self.log.value[kept].astype(np.float32),
            now - self.log.time[kept],
        )

    def _newest(self, history: Rows) -> Rows:
        """The newest events of a history, as many as serving reads; see `engine.query.resolve`."""
        usable = (self.token_rows[history] >= 0) & (self.kinds[history] >= 0)
        return history[usable][-self._max_events :]

    def before(self, row: int) -> Rows:
        """The rows of the log of the same person before a row."""
        mine = self.of_user[int(self.log.user[row])]
        return mine[: int(np.searchsorted(mine, row))]

    def until(self, user: int, now: float) -> Rows:
        """The rows of the log of a person before a time, seconds since 1970."""
        mine = self.of_user[user]
        return mine[: int(np.searchsorted(self.log.time[mine], now))]

    def liked(self, history: Rows) -> Rows:
        """The items of the positive events among rows of the log, oldest first."""
        return self.item[history[self.positive[history]]]

    def disliked(self, history: Rows) -> Rows:
        """The items of the negative events among rows of the log, oldest first."""
        return self.item[history[self.negative[history]]]

    def seen(self, history: Rows) -> Rows:
        """The items of all events among rows of the log, but of impressions."""
        shown = self.log.kind[history] == KIND_OF[EventKind.IMPRESSION]
        rows = self.item[history[~shown]]
        return np.unique(rows[rows >= 0])

    def sequences(self) -> Sequences:
        """Everybody's positive steps; nobody's if nothing is counted."""
        kept = [rows[self.positive[rows]] if self._counted else _NONE for rows in self.of_user]
        return Sequences(tuple(self.item[rows] for rows in kept), tuple(self.log.time[rows] for rows in kept))

    def counts(self) -> Statistics:
        """All that can be counted."""
        return count(self.sequences(), self.size, attractiveness=attractiveness(self.exposures, self.size))

    def user_embeddings(
        self, known: Known, histories: Sequence[Rows], times: Sequence[float]
    ) -> Sequence[Floats | None]:
        """Per person the user embedding (t,); None where there are no towers.

        Args:
            known: what is known.
            histories: per person rows of the log, oldest first.
            times: per person the moment, seconds since 1970.
        """
        if known.towers is None or not len(histories):
            return (None,) * len(histories)
        tokens = [self.tokens(history, now) for history, now in zip(histories, times, strict=True)]
        return tuple(known.towers.model.user_embeddings(tokens, self.table))

    def ranking_input(
        self,
        known: Known,
        history: Rows,
        now: float,
        *,
        embedding: Floats | None = None,
        shown: Rows = _NONE,
        withheld: Rows | None = None,
    ) -> RankingInput:
        """The request of a person at a moment.

        Args:
            known: what is known of the items.
            history: rows of the log that are known, oldest first.
            now: seconds since 1970.
            embedding: (t,), the user embedding, see `user_embeddings`.
            shown: items that are candidates in any case, besides those that the sources find.
            withheld: items that the model is not to know, as if they were new.
        """
        hidden, history = self.seen(history), self._newest(history)
        positive, tokens = self.liked(history), self.tokens(history, now)
        by_counts = count_scores(known.counts, positive, now)  # (s, m)
        if withheld is not None:
            by_counts[:, withheld] = 0
        new = by_counts[_POPULARITY] == 0
        parts: tuple[Rows, ...] = (
            shown,
            count_candidates(by_counts, hidden),
            content_candidates(self.table, positive, new, hidden),
            fresh_candidates(self.table, now, hidden),
        )
        towers = np.zeros(self.size, np.float32)
        if known.towers is not None and embedding is not None:
            towers = known.towers.scores(embedding, withheld)
            parts += (tower_candidates(towers, hidden),)
        candidates = np.unique(np.concatenate(parts))
        ids = np.where(new[candidates], 0, self.table.identity[candidates])
        disliked = self.disliked(history)
        content = np.zeros(len(candidates), np.float32)
        if self.content is not None:
            kinds = [self.log.kinds[code] for code in self.log.kind[history[-MAX_TOKENS:]]]
            content = self.content.scores(tokens, kinds, candidates, self.table)
        inputs = Inputs(
            by_counts[:, candidates],
            tokens,
            positive,
            disliked,
            candidates,
            ids,
            self.table,
            content,
            towers[candidates],
            now,
        )
        return RankingInput(tokens, candidates, ids, self._dense(inputs).astype(np.float16))


def _with_contents(log: EventLog, item: Rows, items: ItemTable) -> tuple[Rows, Mapping[Modality, dict[int, Floats]]]:
    """(n,): each event's row in the table; and the vectors of the rows behind the items."""
    token_rows = item.copy()
    extra: dict[Modality, dict[int, Floats]] = {modality: {} for modality in items.vectors}
    behind = len(items)
    for row, content in sorted(log.contents.items()):
        if isinstance(content, VectorInput) and content.modality in extra:
            token_rows[row] = behind
            extra[content.modality][behind] = np.asarray(content.values, np.float32)
            behind += 1
    return token_rows, extra


def table_of(
    items: ItemTable,
    scales: FieldScales,
    known: np.ndarray,
    extra: Mapping[Modality, Mapping[int, Floats]] | None = None,
) -> Table:
    """An item table with what features need.

    Args:
        items: the catalogue.
        scales: of the payload fields.
        known: (m,) bool, the items that the model has an id of.
        extra: per modality the vectors of the rows behind the items.
    """
    more = sum(len(rows) for rows in (extra or {}).values())
    size = len(items) + more
    vectors: dict[Modality, Floats] = {}
    present: dict[Modality, np.ndarray] = {}
    for modality, matrix in items.vectors.items():
        vectors[modality] = np.concatenate([matrix, np.zeros((more, matrix.shape[1]), np.float32)])
        present[modality] = np.concatenate([items.present[modality], np.zeros(more, np.bool_)])
        for row, vector in (extra or {}).get(modality, {}).items():
            vectors[modality][row], present[modality][row] = vector, True
    identity = np.zeros(size, np.intp)
    identity[np.flatnonzero(known)] = np.arange(1, int(known.sum()) + 1)
    return Table(vectors, present, scales.apply(items.payloads), items.indexed_at, identity)
