"""What the counts say of items to a user: sources of candidates, and features, each declared once in `COUNTS`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from encoders.types import Doubles, Floats, Rows
from engine.rerank.statistics import DAY, FAR_LAGS, NEAR_LAGS, RECENT_DAYS, Statistics

_PRIOR = 5.0
"""Added to counts that are divided by, so that rare items promise nothing."""


class RecentPopularity:
    """How often items were acted on in the last days; counted anew only where a step came or went meanwhile.

    Args:
        statistics: the counts.
    """

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics
        self._last: tuple[tuple[int, ...], Floats] = ((), np.zeros((0, 0), np.float32))
        self._shared: tuple[Floats, Floats] = (self._last[1], self._last[1])

    def shared(self, now: float) -> Floats:
        """(len(_SHARED), m) float32: all counts that are the same for all users at a time."""
        lately, last = self.at(now), self._shared
        if last[0] is not lately:
            rows = [one.of(self._statistics, lately) for one in _SHARED]
            self._shared = last = (lately, np.stack(rows).astype(np.float32, copy=False))
        return last[1]

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


class History:
    """One user's history before the counts; what several counts are made of is made once.

    Args:
        statistics: the counts, over m items.
        rows: (k,), the items of the user, oldest first; at least one.
    """

    def __init__(self, statistics: Statistics, rows: Rows) -> None:
        self.statistics, self.rows = statistics, rows
        self.last, self.recent = rows[::-1][:NEAR_LAGS], rows[::-1][:FAR_LAGS]
        self.decay = (1 / np.arange(1, len(self.last) + 1)).astype(np.float32)

    @cached_property
    def rarity(self) -> Floats:
        """(m,)."""
        return np.asarray(np.sqrt(self.statistics.popularity + _PRIOR), np.float32)

    @cached_property
    def near_share(self) -> Floats:
        """(m,): the part of what followed the last items."""
        return mixed(self.statistics.near, self.last, self.decay / (self.statistics.popularity[self.last] + _PRIOR))

    def far_share(self) -> Floats:
        """(m,): the part of what followed the recent items, in a wider window."""
        slow = (1 / np.sqrt(np.arange(1, len(self.recent) + 1))).astype(np.float32)
        return mixed(self.statistics.far, self.recent, slow / (self.statistics.popularity[self.recent] + _PRIOR))

    def linear(self, rows: Rows) -> Floats:
        """(m,): what the linear model says to some of the items."""
        found, known = np.zeros(self.statistics.size, np.float32), self.statistics.linear_items
        wanted = np.unique(rows)
        places = np.searchsorted(known, wanted)  # they rise
        there = places < len(known)
        there[there] = known[places[there]] == wanted[there]
        found[known] = self.statistics.linear[places[there]].sum(axis=0)
        return found


def mixed(matrix: sparse.csr_matrix, rows: Rows, weights: Floats | Doubles) -> Floats:
    """(m,) float32: the sum of rows (k,) of a matrix (…, m), each times its weight (k,).

    What SciPy does as a product with a matrix of these rows, without making that: for few rows it is far faster.
    """
    found = np.zeros(matrix.shape[1], np.float32)
    starts, columns, values = matrix.indptr, matrix.indices, matrix.data
    for row, weight in zip(rows.tolist(), np.asarray(weights, np.float32), strict=True):
        span = slice(starts[row], starts[row + 1])
        found[columns[span]] += values[span] * weight  # a row names each column once
    return found


@dataclass(frozen=True, slots=True)
class Count:
    """A feature that is counted: what it says of every item to a user with a history."""

    name: str
    of: Callable[[History], Floats]
    """(m,); a user without a history gets zeros."""


@dataclass(frozen=True, slots=True)
class ItemCount:
    """A feature that is counted, the same for all users at a moment."""

    name: str
    of: Callable[[Statistics, Floats], Floats]
    """(m,), of the counts and `RecentPopularity.at`."""


def _recent_popularity(row: int, days: float) -> ItemCount:
    return ItemCount(f"popularity_{days:g}d", lambda _, recent: recent[row])


_PERSONAL = (
    Count("transitions", lambda one: mixed(one.statistics.near, one.last, one.decay)),
    Count("transitions_last", lambda one: mixed(one.statistics.near, one.last[:1], one.decay[:1])),
    Count("transitions_share", lambda one: one.near_share),
    Count("transitions_lift", lambda one: one.near_share / one.rarity),
    Count("transitions_far", History.far_share),
    Count("linear", lambda one: one.linear(one.rows)),
    Count("linear_recent", lambda one: one.linear(one.rows[-10:])),
    Count("cooccurrences", lambda one: mixed(one.statistics.cooccurrences, one.recent, np.ones(len(one.recent)))),
    Count(
        "cooccurrences_share",
        lambda one: mixed(one.statistics.cooccurrences, one.recent, 1 / one.rarity[one.recent]) / one.rarity,
    ),
)
_SHARED = (
    ItemCount("popularity", lambda counts, _: counts.popularity),
    *(_recent_popularity(row, days) for row, days in enumerate(RECENT_DAYS)),
    ItemCount("attractiveness", lambda counts, _: np.log1p(counts.attractiveness)),
)
COUNTS: tuple[Count | ItemCount, ...] = (*_PERSONAL, *_SHARED)
"""All features that are counted; see `engine.rerank.features.FEATURES`, whose first family they are."""
NAMES = tuple(one.name for one in COUNTS)
"""The rows of `scores`."""


def count_scores(statistics: Statistics, history: Rows, now: float, recent: RecentPopularity | None = None) -> Floats:
    """What every count says of every item.

    Args:
        statistics: the counts.
        history: (k,), the items of a user, oldest first; may be empty.
        now: seconds since 1970; recent popularity is that before it.
        recent: of the same counts, where they are asked often.

    Returns:
        (len(NAMES), m) float32.
    """
    found = np.zeros((len(NAMES), statistics.size), np.float32)
    if len(history):
        known = History(statistics, history)
        for row, personal in enumerate(_PERSONAL):
            found[row] = personal.of(known)
    found[len(_PERSONAL) :] = (recent or RecentPopularity(statistics)).shared(now)
    return found
