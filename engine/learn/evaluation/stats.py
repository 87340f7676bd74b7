"""How sure a figure is: intervals, and tests of differences, paired and not.

All draws are of people, not of cases: two cases of one person are not independent. Everything repeats by its seed.
"""

from dataclasses import dataclass

import numpy as np

from encoders.types import Doubles, Ints
from engine.learn.evaluation.metrics import Mask

_CELLS = 1 << 22
"""Cells of a matrix of draws that is held at once."""


@dataclass(frozen=True, slots=True)
class Draws:
    """What intervals and tests are drawn with."""

    level: float = 0.95
    """Of intervals, in (0, 1)."""
    samples: int = 2000
    """Draws of a bootstrap or a permutation test."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"level is {self.level}: give one in (0, 1), such as 0.95")

    @property
    def tails(self) -> tuple[float, float]:
        """The quantiles between which the interval lies."""
        return (1 - self.level) / 2, (1 + self.level) / 2


DRAWS = Draws()


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and how far it may be off."""

    mean: float
    low: float
    high: float
    count: int
    """The values that it is the mean of."""

    def __str__(self) -> str:
        return f"{self.mean:.4f} ({self.low:.4f} to {self.high:.4f})"


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of one ranker less that of another, on the same cases."""

    mean: float
    low: float
    high: float
    p_value: float
    """Of the paired permutation test, two-sided: how often chance alone gives a difference as large."""
    count: int


def bootstrap(
    values: Doubles,
    users: Ints | None = None,
    draws: Draws = DRAWS,
) -> Interval:
    """The percentile bootstrap interval of a mean (Efron & Tibshirani, 1993, chapter 13).

    Args:
        values: (n,); NaN is left out.
        users: (n,), whose value each is; None takes each as a person's own.
        draws: how.

    Returns:
        All NaN where there is no value.
    """
    return ratio(values, np.ones(len(values)), users, draws)


def paired(
    ours: Doubles,
    theirs: Doubles,
    users: Ints | None = None,
    draws: Draws = DRAWS,
) -> Difference:
    """The difference of two rankers on the same cases: a bootstrap interval, and a paired permutation test.

    The test flips the sign of each person's differences (Smucker et al., CIKM 2007); the p value counts the
    observed one among the draws, so it is never 0.

    Args:
        ours: (n,); a case where either is NaN is left out.
        theirs: (n,), of the same cases.
        users: (n,), whose case each is; None takes each as a person's own.
        draws: how.

    Raises:
        ValueError: if the two are not of the same length.
    """
    if ours.shape != theirs.shape:
        raise ValueError(f"{len(ours)} values are paired with {len(theirs)}: score the same cases with both rankers")
    apart = ours - theirs
    interval = bootstrap(apart, users, draws)
    there = np.isfinite(apart)
    total = _sums(apart[there], None if users is None else users[there])
    if not len(total):
        return Difference(np.nan, np.nan, np.nan, np.nan, 0)
    random = np.random.default_rng([draws.seed, 1])
    observed, extreme = abs(total.sum()), 0
    for size in _parts(draws.samples, len(total)):
        signs = random.integers(0, 2, (size, len(total)), np.int8) * 2.0 - 1.0
        extreme += int((np.abs(signs @ total) >= observed * (1 - 1e-12)).sum())
    return Difference(interval.mean, interval.low, interval.high, (extreme + 1) / (draws.samples + 1), interval.count)


def unpaired(
    ours: Doubles,
    our_users: Ints,
    theirs: Doubles,
    their_users: Ints,
    draws: Draws = DRAWS,
) -> Difference:
    """The difference of two means of different people: a bootstrap interval, and a permutation test.

    People of each group are drawn by themselves; the test deals all people anew into groups of the same sizes (Good,
    Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005). The p value is never 0.

    Args:
        ours: (n,).
        our_users: (n,), whose value each is.
        theirs: (k,).
        their_users: (k,); nobody is in both groups.
        draws: how.

    Returns:
        All NaN where a group is empty. Its count is that of all values.
    """
    if not len(ours) or not len(theirs):
        return Difference(np.nan, np.nan, np.nan, np.nan, len(ours) + len(theirs))
    groups = [(_sums(v, who), _sums(np.ones(len(v)), who)) for v, who in ((ours, our_users), (theirs, their_users))]
    observed = _mean(*groups[0]) - _mean(*groups[1])
    random = np.random.default_rng(draws.seed)
    drawn, dealt = [], []
    tops, bottoms = (np.concatenate(column) for column in zip(*groups, strict=True))
    first = len(groups[0][0])
    for size in _parts(draws.samples, len(tops)):
        means = []
        for above, below in groups:
            rows = random.integers(0, len(above), (size, len(above)))
            means.append(_mean(above[rows], below[rows]))
        drawn.append(means[0] - means[1])
        order = random.permuted(np.tile(np.arange(len(tops)), (size, 1)), axis=1)
        mine, other = order[:, :first], order[:, first:]
        dealt.append(_mean(tops[mine], bottoms[mine]) - _mean(tops[other], bottoms[other]))
    low, high = np.quantile(np.concatenate(drawn), draws.tails)
    extreme = int((np.abs(np.concatenate(dealt)) >= abs(observed) * (1 - 1e-12)).sum())
    count = len(ours) + len(theirs)
    return Difference(float(observed), float(low), float(high), (extreme + 1) / (draws.samples + 1), count)


def ratio(above: Doubles, below: Doubles, users: Ints | None, draws: Draws = DRAWS) -> Interval:
    """Σ above / Σ below, with its interval over draws of people; see `bootstrap`.

    Args:
        above: (n,).
        below: (n,); where either is NaN, both are left out.
        users: (n,), whose value each is; None takes each as a person's own.
        draws: how.
    """
    there: Mask = np.isfinite(above) & np.isfinite(below)
    who = None if users is None else users[there]
    tops, bottoms = _sums(above[there], who), _sums(below[there], who)
    if not bottoms.sum():
        return Interval(np.nan, np.nan, np.nan, int(there.sum()))
    random = np.random.default_rng(draws.seed)
    drawn = []
    for size in _parts(draws.samples, len(tops)):
        rows = random.integers(0, len(tops), (size, len(tops)))
        total = bottoms[rows].sum(axis=1)
        drawn.append(np.divide(tops[rows].sum(axis=1), total, out=np.full(size, np.nan), where=total != 0))
    low, high = np.nanquantile(np.concatenate(drawn), draws.tails)
    return Interval(float(tops.sum() / bottoms.sum()), float(low), float(high), int(there.sum()))


def _mean(above: Doubles, below: Doubles) -> Doubles:
    """Σ above / Σ below, along the last axis."""
    return np.asarray(above.sum(axis=-1) / below.sum(axis=-1))


def _sums(values: Doubles, users: Ints | None) -> Doubles:
    """The values, summed per person."""
    if users is None:
        return values
    _, number = np.unique(users, return_inverse=True)
    return np.bincount(number, weights=values).astype(np.float64) if len(values) else values


def _parts(samples: int, width: int) -> list[int]:
    """The draws in parts that fit into memory."""
    size = max(1, _CELLS // max(width, 1))
    return [min(size, samples - start) for start in range(0, samples, size)]
