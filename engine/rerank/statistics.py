"""What people did with items, counted: popularity, what follows what, what goes with what.

Counts are plain, fast to make and hard to beat: on MovieLens-100K a Markov chain over the last five items ranks
better than a self-attentive sequence model. They are candidates' sources and features of the reranker.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from encoders.types import Floats

Rows = npt.NDArray[np.intp]
Doubles = npt.NDArray[np.float64]

NEAR_LAGS = 5
"""A follower counts 1/lag up to this many steps after an item."""
FAR_LAGS = 20
EASE_ITEMS = 5000
"""The linear model is fitted over at most so many items, the most popular: its cost grows with their cube."""
DAY = 86400.0
RECENT_DAYS = (1.0, 7.0, 30.0)
_PRIOR = 5.0
"""Added to counts that are divided by, so that rare items promise nothing."""


@dataclass(frozen=True, slots=True)
class Sequences:
    """The steps of p people, each theirs oldest first: what is counted."""

    items: tuple[Rows, ...]
    """Per person the rows of items."""
    times: tuple[Doubles, ...]
    """Per person when, seconds since 1970."""

    def of(self, people: Iterable[int]) -> "Sequences":
        """Those of some people."""
        chosen = list(people)
        return Sequences(tuple(self.items[p] for p in chosen), tuple(self.times[p] for p in chosen))

    def before(self, time: float) -> "Sequences":
        """The steps before a time; people without any stay, with none."""
        ends = [int(np.searchsorted(times, time)) for times in self.times]
        return Sequences(
            tuple(items[:end] for items, end in zip(self.items, ends, strict=True)),
            tuple(times[:end] for times, end in zip(self.times, ends, strict=True)),
        )


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts over m items."""

    popularity: Floats
    """(m,): how often anybody acted on an item."""
    near: sparse.csr_matrix
    """(m, m): how often column followed row within `NEAR_LAGS` steps, each time 1/lag."""
    far: sparse.csr_matrix
    """(m, m): the same within `FAR_LAGS` steps."""
    together: sparse.csr_matrix
    """(m, m): how many people acted on both."""
    linear_items: Rows
    """(e,): the items of the linear model."""
    linear: Floats
    """(e, e): EASE (Steck, WWW 2019): how much having row speaks for column."""
    event_times: Doubles
    """(n,): the times of all steps, rising, seconds since 1970."""
    event_items: Rows
    """(n,): their items."""
    attractiveness: Floats
    """(m,): how probably an item is chosen if it is looked at, 1 being an average item; 0 where nothing was shown."""
    until: float
    """Nothing that happened then or later is counted."""

    @property
    def size(self) -> int:
        """m."""
        return len(self.popularity)


def count(
    sequences: Sequences,
    size: int,
    *,
    attractiveness: Floats | None = None,
    scale: float = 1.0,
    regularisation: float = 500.0,
) -> Statistics:
    """Count.

    Args:
        sequences: what people did; each item once per person is what the linear model takes.
        size: m.
        attractiveness: (m,), see `Statistics.attractiveness`; None where no lists were served.
        scale: what all counts are multiplied by, so that counts of a part of the people compare with those of all.
        regularisation: λ of the linear model.
    """
    popularity = np.zeros(size, np.float32)
    for items in sequences.items:
        np.add.at(popularity, items, np.float32(scale))
    times = np.concatenate([np.zeros(0), *sequences.times])
    items = np.concatenate([np.zeros(0, np.intp), *sequences.items])
    order = np.argsort(times, kind="stable")
    owned = _owned(sequences.items, size)
    together = sparse.csr_matrix((owned.T @ owned) * np.float32(scale))
    chosen, linear = _ease(together, popularity, regularisation)
    return Statistics(
        popularity,
        _followers(sequences.items, size, NEAR_LAGS, scale),
        _followers(sequences.items, size, FAR_LAGS, scale),
        together,
        chosen,
        linear,
        times[order],
        items[order],
        np.zeros(size, np.float32) if attractiveness is None else attractiveness,
        float(np.nextafter(times.max(initial=0.0), np.inf)),
    )


def _owned(people: Sequence[Rows], size: int) -> sparse.csr_matrix:
    """(p, m) of ones: who acted on what."""
    unique = [np.unique(items) for items in people]
    starts = np.concatenate([[0], np.cumsum([len(items) for items in unique])])
    columns = np.concatenate([np.zeros(0, np.intp), *unique])
    return sparse.csr_matrix((np.ones(len(columns), np.float32), columns, starts), shape=(len(people), size))


def _followers(people: Sequence[Rows], size: int, lags: int, scale: float) -> sparse.csr_matrix:
    total = sparse.csr_matrix((size, size), dtype=np.float32)
    for lag in range(1, lags + 1):
        before = np.concatenate([np.zeros(0, np.intp), *(items[:-lag] for items in people)])
        after = np.concatenate([np.zeros(0, np.intp), *(items[lag:] for items in people)])
        weights = np.full(len(before), scale / lag, np.float32)
        total = total + sparse.csr_matrix((weights, (before, after)), shape=(size, size))
    return sparse.csr_matrix(total)


def _ease(together: sparse.csr_matrix, popularity: Floats, regularisation: float) -> tuple[Rows, Floats]:
    chosen = np.sort(np.argsort(-popularity, kind="stable")[:EASE_ITEMS])
    chosen = chosen[popularity[chosen] > 0]
    if not len(chosen):
        return chosen, np.zeros((0, 0), np.float32)
    gram = np.asarray(together[chosen][:, chosen].todense(), np.float64)
    gram[np.diag_indices_from(gram)] += regularisation
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(weights, 0)
    return chosen, weights.astype(np.float32)


def over(statistics: Statistics, rows: Rows) -> Statistics:
    """The counts over other items.

    Args:
        statistics: over m items.
        rows: (k,), the old row of each new item, -1 for one that the counts do not know.
    """
    if len(rows) == statistics.size and (rows == np.arange(len(rows))).all():
        return statistics
    there = np.flatnonzero(rows >= 0)
    shape = (len(rows), statistics.size)
    pick = sparse.csr_matrix((np.ones(len(there), np.float32), (there, rows[there])), shape=shape)  # (k, m)
    back = np.full(statistics.size, -1, np.intp)
    back[rows[there]] = there
    linear = back[statistics.linear_items]
    kept = np.flatnonzero(linear >= 0)
    kept = kept[np.argsort(linear[kept])]
    events = back[statistics.event_items]
    return Statistics(
        np.asarray(pick @ statistics.popularity, np.float32),
        sparse.csr_matrix(pick @ statistics.near @ pick.T),
        sparse.csr_matrix(pick @ statistics.far @ pick.T),
        sparse.csr_matrix(pick @ statistics.together @ pick.T),
        linear[kept],
        statistics.linear[np.ix_(kept, kept)],
        statistics.event_times[events >= 0],
        events[events >= 0],
        np.asarray(pick @ statistics.attractiveness, np.float32),
        statistics.until,
    )


NAMES = (
    "follows",
    "follows_last",
    "follows_share",
    "follows_lift",
    "follows_far",
    "linear",
    "linear_recent",
    "together",
    "together_share",
    "popularity",
    *(f"popularity_{days:g}d" for days in RECENT_DAYS),
    "attraction",
)
"""The rows of `scores`."""


class Recent:
    """How often items were acted on in the last days; counted anew only where a step came or went meanwhile.

    Args:
        statistics: the counts.
    """

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics
        self._last: tuple[tuple[int, ...], Floats] = ((), np.zeros((0, 0), np.float32))

    def at(self, now: float) -> Floats:
        """(len(RECENT_DAYS), m) float32, at a time in seconds since 1970."""
        times, items = self._statistics.event_times, self._statistics.event_items
        ends = tuple(int(np.searchsorted(times, now - days * DAY)) for days in (0.0, *RECENT_DAYS))
        last = self._last
        if last[0] != ends:
            size = self._statistics.size
            found = [np.bincount(items[start : ends[0]], minlength=size) for start in ends[1:]]
            self._last = last = (ends, np.stack(found).astype(np.float32))
        return last[1]


def scores(statistics: Statistics, history: Rows, now: float, counted: Recent | None = None) -> Floats:
    """Every count's opinion of every item.

    Args:
        statistics: the counts.
        history: (k,), the items of a person, oldest first; may be empty.
        now: seconds since 1970; recent popularity is that before it.
        counted: of the same counts, where they are asked often.

    Returns:
        (len(NAMES), m) float32.
    """
    found = np.zeros((len(NAMES), statistics.size), np.float32)
    put = dict(zip(NAMES, found, strict=True))
    popularity = statistics.popularity
    if len(history):
        last = history[::-1][:NEAR_LAGS]
        decay = (1 / np.arange(1, len(last) + 1)).astype(np.float32)
        rows = statistics.near[last]
        put["follows"][:] = rows.T @ decay
        put["follows_last"][:] = rows[0].toarray()[0]
        put["follows_share"][:] = rows.T @ (decay / (popularity[last] + _PRIOR))
        put["follows_lift"][:] = put["follows_share"] / np.sqrt(popularity + _PRIOR)
        recent = history[::-1][:FAR_LAGS]
        slow = (1 / np.sqrt(np.arange(1, len(recent) + 1))).astype(np.float32)
        put["follows_far"][:] = statistics.far[recent].T @ (slow / (popularity[recent] + _PRIOR))
        both = statistics.together[recent]
        put["together"][:] = both.T @ np.ones(len(recent), np.float32)
        put["together_share"][:] = both.T @ (1 / np.sqrt(popularity[recent] + _PRIOR)) / np.sqrt(popularity + _PRIOR)
        chosen = statistics.linear_items
        if len(chosen):
            put["linear"][chosen] = _linear(statistics, history)
            put["linear_recent"][chosen] = _linear(statistics, history[-10:])
    put["popularity"][:] = popularity
    put["attraction"][:] = np.log1p(statistics.attractiveness)
    for days, column in zip(RECENT_DAYS, (counted or Recent(statistics)).at(now), strict=True):
        put[f"popularity_{days:g}d"][:] = column
    return found


def _linear(statistics: Statistics, history: Rows) -> Floats:
    inside = np.flatnonzero(np.isin(statistics.linear_items, history))
    return np.asarray(statistics.linear[inside].sum(axis=0), np.float32)
