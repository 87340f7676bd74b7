"""Training rows: what people did becomes requests with what followed.

A row may know only what was known at its moment. Its history ends before its label; the counts that are its features
are cross-fitted, so that no count holds the label:

- `time`: the log is cut into blocks of time, and the rows of a block are counted from the blocks before it. Nothing
  in a row is younger than its label. This is what a served version is trained with.
- `people`: the people are cut into folds, and the rows of a fold are counted from the other folds. Other people's
  later events are in it, so it is only for evaluations whose protocol has them too (leave-last-out).

Leaving only a row's own person out of the counts leaks: an item's count that is one lower than for everybody else
says that this person is about to act on it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from encoders.types import Floats, Modality, Text
from engine.items import ItemTable
from engine.learn.errors import LeakError
from engine.learn.log import KIND_OF, KINDS, Doubles, EventLog, Ints
from engine.learn.splits import Positives
from engine.rerank import features, sources, statistics
from engine.rerank.content import ContentScorer
from engine.rerank.features import NEGATIVE, Bools, FieldScales, Request, Table, Tokens, dense_features
from engine.rerank.statistics import Rows, Sequences, Statistics, count, scores
from engine.types import EventKind, VectorInput

CrossFit = Literal["time", "people"]

_NONE = np.zeros(0, np.intp)
_POPULARITY = statistics.NAMES.index("popularity")


@dataclass(frozen=True, slots=True)
class Example:
    """A request and what followed."""

    request: Request
    positive: Bools
    """(c,): the candidates that were acted on."""
    negative: Bools
    """(c,): the candidates that were disliked or skipped."""
    positions: Rows
    """(c,): the places they were shown in, from 1; 0 for a candidate that was only retrieved."""
    person: int
    label_time: float
    """Seconds since 1970."""
    known_until: float
    """The counts know nothing that happened then or later; infinite with cross-fitting by people."""

    @property
    def judged(self) -> Bools:
        """(c,): the candidates that the person's answer tells of: what was shown, or all where nothing was."""
        return self.positions > 0 if self.positions.any() else np.ones(len(self.positions), np.bool_)


class Situations:
    """A log, laid over an item table: what is known of each person at each moment.

    Args:
        log: the events.
        items: the catalogue.
        scales: of the payload fields.
        known: (m,) bool, the items that the model has an id of.
        positives: which events speak for an item.
        content: gives the engine's own opinion of items; None where the space has no calibration.
    """

    def __init__(
        self,
        log: EventLog,
        items: ItemTable,
        scales: FieldScales,
        known: Bools,
        positives: Positives,
        content: ContentScorer | None = None,
    ) -> None:
        self.size, self.ids, self.content = len(items), items.ids, content
        rows = items.rows(log.items)
        item = np.where(log.item >= 0, rows[log.item] if len(rows) else -1, -1)
        self.token_rows, extra = _with_contents(log, item, items)
        self.table = table_of(items, scales, known, extra)
        self.log, self.item = log, item
        self.positive = positives.of(log) & (item >= 0)
        self.negative = np.isin(log.kind, [KIND_OF[kind] for kind in NEGATIVE]) & (item >= 0)
        self.of_user = log.of_user()
        codes = [features.KINDS.index(kind) if kind in features.KINDS else -1 for kind in KINDS]
        self.kinds = np.array(codes, np.intp)[log.kind]

    def tokens(self, history: Rows, now: float) -> Tokens:
        """The tokens of events, rows of the log; impressions, and events on items without a row, are left out."""
        usable = (self.token_rows[history] >= 0) & (self.kinds[history] >= 0)
        kept = history[usable][-features.MAX_TOKENS :]
        return Tokens(
            self.token_rows[kept],
            self.kinds[kept],
            self.log.value[kept].astype(np.float32),
            now - self.log.time[kept],
        )

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
        """Everybody's positive steps."""
        kept = [rows[self.positive[rows]] for rows in self.of_user]
        return Sequences(tuple(self.item[rows] for rows in kept), tuple(self.log.time[rows] for rows in kept))

    def request(
        self,
        counts: Statistics,
        history: Rows,
        now: float,
        *,
        shown: Rows = _NONE,
        withheld: Rows | None = None,
    ) -> Request:
        """The request of a person at a moment.

        Args:
            counts: what is known of the items.
            history: rows of the log that are known, oldest first.
            now: seconds since 1970.
            shown: items that are candidates in any case, besides those that the sources find.
            withheld: items that the model is not to know, as if they were new.
        """
        positive, tokens = self.liked(history), self.tokens(history, now)
        counted = scores(counts, positive, now)  # (s, m)
        if withheld is not None:
            counted[:, withheld] = 0
        hidden = self.seen(history)
        new = counted[_POPULARITY] == 0
        parts = (
            shown,
            sources.counted_candidates(counted, hidden),
            sources.content_candidates(self.table, positive, new, hidden),
            sources.fresh_candidates(self.table, now, hidden),
        )
        candidates = np.unique(np.concatenate(parts))
        ids = self.table.identity[candidates]
        if withheld is not None:
            ids = np.where(np.isin(candidates, withheld), 0, ids)
        disliked = self.disliked(history)
        content = np.zeros(len(candidates), np.float32)
        if self.content is not None:
            content = self.content.scores(tokens, candidates, self.table)
        dense = dense_features(
            counted[:, candidates], tokens, positive, disliked, candidates, ids, self.table, content, now
        )
        return Request(tokens, candidates, ids, dense.astype(np.float16))


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


def encode_texts(log: EventLog, encode: Callable[[Sequence[Text]], Sequence[Floats]]) -> EventLog:
    """The log with its searched texts as vectors, each text encoded once."""
    places = [row for row, content in log.contents.items() if isinstance(content, Text)]
    texts = list(dict.fromkeys(log.contents[row] for row in places))
    vectors = dict(zip(texts, encode(texts) if texts else (), strict=True))  # type: ignore[arg-type]
    found = {row: VectorInput(Modality.TEXT, vectors[log.contents[row]]) for row in places}
    return replace(log, contents={**log.contents, **found})


@dataclass(frozen=True, slots=True)
class RowSettings:
    """Which rows are made."""

    cross_fit: CrossFit = "time"
    steps: int = 30
    """The newest so many positive steps of each person become rows."""
    skip: int = 2
    """The first so many steps of a person are no rows: too little is known."""
    folds: int = 10
    withheld: float = 0.15
    """The share of rows in which the label's item is treated as new, with as large a share of all others."""
    seed: int = 0


def next_step_rows(
    situations: Situations, settings: RowSettings, progress: Callable[[float], None] = lambda _: None
) -> Iterator[Example]:
    """Rows of the people's positive steps: what did they do next? The candidates are what the sources find.

    Steps that answer a served list are left out: they tell what was shown as much as what is liked, and have rows of
    their own (`shown_rows`). So are those that no source finds: no order of the candidates could be right.
    """
    random = np.random.default_rng(settings.seed)
    places = _places(situations, settings)
    log, done = situations.log, 0
    people, times = log.user[places], log.time[places]
    for counts, known_until, block in blocks(situations, settings, people, times):
        for place in block.tolist():
            done += 1
            row, person, now = int(places[place]), int(people[place]), float(times[place])
            item = int(situations.item[row])
            mine = situations.of_user[person]
            history = mine[: int(np.searchsorted(mine, row))]
            withheld = _withheld(random, settings.withheld, situations.size, item)
            request = situations.request(counts, history, now, withheld=withheld)
            positive = request.candidates == item
            if positive.any():
                none = np.zeros(len(positive), np.intp)
                yield Example(request, positive, none.astype(np.bool_), none, person, now, known_until)
            if done % 256 == 0:
                progress(done / len(places))


def _places(situations: Situations, settings: RowSettings) -> Rows:
    """The steps that become rows: rows of the log, rising."""
    found = [np.zeros(0, np.intp)]
    for rows in situations.of_user:
        steps = rows[situations.positive[rows]][settings.skip :]
        found.append(steps[situations.log.request[steps] < 0][-settings.steps :])
    return np.sort(np.concatenate(found))


def blocks(
    situations: Situations, settings: RowSettings, people: Ints, times: Doubles
) -> Iterator[tuple[Statistics, float, Rows]]:
    """Cross-fitting: counts, until when they know, and which moments may use them.

    Args:
        situations: the log.
        settings: how it is cut.
        people: (k,), of the moments.
        times: (k,), of the moments, rising, seconds since 1970.
    """
    everybody = situations.sequences()
    if settings.cross_fit == "people":
        fold = np.random.default_rng(settings.seed).integers(0, settings.folds, len(everybody.items))
        for number in range(settings.folds):
            others = everybody.of(np.flatnonzero(fold != number).tolist())
            scale = len(fold) / max(len(others.items), 1)
            inside = np.flatnonzero(fold[people] == number)
            yield count(others, situations.size, scale=scale), float("inf"), inside
        return
    for number in range(settings.folds):
        first, last = (len(times) * n // settings.folds for n in (number, number + 1))
        if first < last:
            start = float(times[first])
            yield count(everybody.before(start), situations.size), start, np.arange(first, last, dtype=np.intp)


def _withheld(random: np.random.Generator, share: float, size: int, item: int) -> Rows | None:
    if random.random() >= share:
        return None
    return np.union1d(np.flatnonzero(random.random(size) < share), [item]).astype(np.intp)


def check_rows(examples: Sequence[Example], cross_fit: CrossFit) -> None:
    """Refuse rows that know the future.

    Raises:
        LeakError: if a history reaches its label's time, or counts hold what is as young as the label.
    """
    for place, one in enumerate(examples):
        if len(one.request.tokens.gaps) and one.request.tokens.gaps.min() < 0:
            raise LeakError(f"training row {place} has a history younger than its label", "cut it at the label")
        if cross_fit == "time" and one.known_until > one.label_time:
            raise LeakError(
                f"training row {place} of {one.label_time:.0f} uses counts until {one.known_until:.0f}",
                "count only what happened before the row's block",
            )
