"""What people did with items, counted: popularity, what follows what, what goes with what.

Counts are plain, fast to make and hard to beat: on MovieLens-100K a Markov chain over the last five items ranks
better than a self-attentive sequence model. They are candidates' sources and features of the reranker.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

from encoders.types import Doubles, Floats, Rows

NEAR_LAGS = 5
"""A follower counts 1/lag up to this many steps after an item."""
FAR_LAGS = 20
EASE_ITEMS = 5000
"""The linear model is fitted over at most so many items, the most popular: its cost grows with their cube."""
DAY = 86400.0
RECENT_DAYS = (1.0, 7.0, 30.0)


@dataclass(frozen=True, slots=True)
class Sequences:
    """The steps of p people, each theirs oldest first: what is counted."""

    items: tuple[Rows, ...]
    """Per person the rows of items."""
    times: tuple[Doubles, ...]
    """Per person when, seconds since 1970."""

    def of(self, users: Iterable[int]) -> "Sequences":
        """Those of some people."""
        chosen = list(users)
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
    cooccurrences: sparse.csr_matrix
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
    """Count popularity, transitions and co-occurrences over all users.

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
    cooccurrences = sparse.csr_matrix((owned.T @ owned) * np.float32(scale))
    chosen, linear = _ease(cooccurrences, popularity, regularisation)
    return Statistics(
        popularity,
        transitions(sequences.items, size, NEAR_LAGS, scale),
        transitions(sequences.items, size, FAR_LAGS, scale),
        cooccurrences,
        chosen,
        linear,
        times[order],
        items[order],
        np.zeros(size, np.float32) if attractiveness is None else attractiveness,
        float(np.nextafter(times.max(initial=0.0), np.inf)),
    )


def _owned(users: Sequence[Rows], size: int) -> sparse.csr_matrix:
    """(p, m) of ones: who acted on what."""
    unique = [np.unique(items) for items in users]
    starts = np.concatenate([[0], np.cumsum([len(items) for items in unique])])
    columns = np.concatenate([np.zeros(0, np.intp), *unique])
    return sparse.csr_matrix((np.ones(len(columns), np.float32), columns, starts), shape=(len(users), size))


def transitions(users: Sequence[Rows], size: int, lags: int, scale: float = 1.0) -> sparse.csr_matrix:
    """(m, m): how often column followed row within so many steps, each time `scale` / lag: a Markov chain's counts.

    Args:
        users: per person the rows of items, oldest first.
        size: m.
        lags: the most steps.
        scale: what all counts are multiplied by.
    """
    total = sparse.csr_matrix((size, size), dtype=np.float32)
    for lag in range(1, lags + 1):
        before = np.concatenate([np.zeros(0, np.intp), *(items[:-lag] for items in users)])
        after = np.concatenate([np.zeros(0, np.intp), *(items[lag:] for items in users)])
        weights = np.full(len(before), scale / lag, np.float32)
        total = total + sparse.csr_matrix((weights, (before, after)), shape=(size, size))
    return sparse.csr_matrix(total)


def _ease(cooccurrences: sparse.csr_matrix, popularity: Floats, regularisation: float) -> tuple[Rows, Floats]:
    chosen = np.sort(np.argsort(-popularity, kind="stable")[:EASE_ITEMS])
    chosen = chosen[popularity[chosen] > 0]
    if not len(chosen):
        return chosen, np.zeros((0, 0), np.float32)
    gram = np.asarray(cooccurrences[chosen][:, chosen].todense(), np.float64)
    return chosen, ease(gram, regularisation)


def ease(gram: Doubles, regularisation: float) -> Floats:
    """EASE: the linear autoencoder with a zero diagonal, in closed form (Steck, WWW 2019).

    Args:
        gram: (m, m), how many people acted on both items; it is overwritten.
        regularisation: λ, the penalty.

    Returns:
        (m, m): how much having row speaks for column.
    """
    gram[np.diag_indices_from(gram)] += regularisation
    inverse: Doubles = linalg.inv(gram, overwrite_a=True, check_finite=False)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights.astype(np.float32)


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
        sparse.csr_matrix(pick @ statistics.cooccurrences @ pick.T),
        linear[kept],
        statistics.linear[np.ix_(kept, kept)],
        statistics.event_times[events >= 0],
        events[events >= 0],
        np.asarray(pick @ statistics.attractiveness, np.float32),
        statistics.until,
    )
