"""How sure a figure is: intervals, paired tests, and what another policy would have earned.

All draws are of people, not of cases: two cases of one person are not independent. Everything repeats by its seed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from engine.events.types import Served
from engine.learn.log import Doubles, Ints
from engine.learn.metrics import Mask
from engine.types import EventKind

SAMPLES = 2000
"""Draws of a bootstrap or a permutation test."""
_CELLS = 1 << 22
"""Cells of a matrix of draws that is held at once."""


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


@dataclass(frozen=True, slots=True)
class Logged:
    """What was shown in n places of logged lists, and what came of it."""

    person: Ints
    """(n,): whose list it was; draws are of these."""
    reward: Doubles
    """(n,): 1 for a click, or what it was worth."""
    propensity: Doubles
    """(n,), in (0, 1]: the probability with which the logging policy put this item into this place."""


@dataclass(frozen=True, slots=True)
class OffPolicy:
    """Estimates of the mean reward per place of a policy that did not choose what was logged."""

    ips: Interval
    snips: Interval
    dr: Interval | None
    """None where there is no model of the reward."""
    effective: float
    """The effective sample size (Σw)² / Σw²: with only a few, no estimate is to be believed."""


def bootstrap(
    values: Doubles,
    people: Ints | None = None,
    *,
    level: float = 0.95,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Interval:
    """The percentile bootstrap interval of a mean (Efron & Tibshirani, 1993, chapter 13).

    Args:
        values: (n,); NaN is left out.
        people: (n,), whose value each is; None takes each as a person's own.
        level: of the interval, in (0, 1).
        samples: draws.
        seed: of the draws.

    Returns:
        All NaN where there is no value.
    """
    return _ratio(values, np.ones(len(values)), people, level, samples, seed)


def paired(
    ours: Doubles,
    theirs: Doubles,
    people: Ints | None = None,
    *,
    level: float = 0.95,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Difference:
    """The difference of two rankers on the same cases: a bootstrap interval, and a paired permutation test.

    The test flips the sign of each person's differences (Smucker et al., CIKM 2007); the p value counts the
    observed one among the draws, so it is never 0.

    Args:
        ours: (n,); a case where either is NaN is left out.
        theirs: (n,), of the same cases.
        people: (n,), whose case each is; None takes each as a person's own.
        level: of the interval.
        samples: draws.
        seed: of the draws.

    Raises:
        ValueError: if the two are not of the same length.
    """
    if ours.shape != theirs.shape:
        raise ValueError(f"{len(ours)} values are paired with {len(theirs)}: score the same cases with both rankers")
    apart = ours - theirs
    interval = bootstrap(apart, people, level=level, samples=samples, seed=seed)
    there = np.isfinite(apart)
    total = _sums(apart[there], None if people is None else people[there])
    if not len(total):
        return Difference(np.nan, np.nan, np.nan, np.nan, 0)
    random = np.random.default_rng([seed, 1])
    observed, extreme = abs(total.sum()), 0
    for size in _parts(samples, len(total)):
        signs = random.integers(0, 2, (size, len(total)), np.int8) * 2.0 - 1.0
        extreme += int((np.abs(signs @ total) >= observed * (1 - 1e-12)).sum())
    return Difference(interval.mean, interval.low, interval.high, (extreme + 1) / (samples + 1), interval.count)


def off_policy(
    logged: Logged,
    probability: Doubles,
    *,
    foretold: Doubles | None = None,
    expected: Doubles | None = None,
    clip: float = np.inf,
    level: float = 0.95,
    samples: int = SAMPLES,
    seed: int = 0,
) -> OffPolicy:
    """What a policy would have earned per place, from lists that another one showed.

    w = probability / propensity. IPS: the mean of w·r (Horvitz & Thompson, 1952); SNIPS: Σ w·r / Σ w (Swaminathan &
    Joachims, NeurIPS 2015); DR: the mean of expected + w·(r - foretold) (Dudík et al., ICML 2011).

    Args:
        logged: n places.
        probability: (n,), with which the policy in question would put the logged item into that place.
        foretold: (n,), the reward that a model foretells of the logged item; None makes no DR.
        expected: (n,), the reward that the model expects of the policy in question in that place.
        clip: the largest weight w that is used.
        level: of the intervals.
        samples: draws.
        seed: of the draws.

    Raises:
        ValueError: if a propensity is not in (0, 1], a probability not in [0, 1], or only one of `foretold` and
            `expected` is given.
    """
    if not ((logged.propensity > 0) & (logged.propensity <= 1)).all():
        raise ValueError("a propensity is not in (0, 1]: log the probability that the policy chose with")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("a probability of the policy in question is not in [0, 1]: give the chance of each place")
    if (foretold is None) != (expected is None):
        raise ValueError("DR needs both what is foretold of the logged item and what is expected: give both or none")
    weight = np.minimum(probability / logged.propensity, clip)
    ones = np.ones(len(weight))
    doubly = None
    if foretold is not None and expected is not None:
        doubly = _ratio(expected + weight * (logged.reward - foretold), ones, logged.person, level, samples, seed)
    squares = float(np.square(weight).sum())
    return OffPolicy(
        _ratio(weight * logged.reward, ones, logged.person, level, samples, seed),
        _ratio(weight * logged.reward, weight, logged.person, level, samples, seed),
        doubly,
        float(weight.sum()) ** 2 / squares if squares else 0.0,
    )


def logged_places(served: Iterable[Served], kinds: frozenset[EventKind]) -> Logged:
    """The places of served lists, in columns; the reward is 1 where an event of these kinds on the item followed.

    Lists that were served to nobody named count as people of their own.
    """
    people: dict[str, int] = {}
    person: list[int] = []
    reward: list[float] = []
    propensity: list[float] = []
    for one in served:
        shown = one.impression
        number = people.setdefault(shown.user or f"\0{shown.request_id}", len(people))
        taken = {event.item for event in one.followed if event.kind in kinds}
        person.extend([number] * len(shown.items))
        reward.extend(float(item in taken) for item in shown.items)
        propensity.extend(shown.propensities)
    return Logged(np.array(person, np.int64), np.array(reward, np.float64), np.array(propensity, np.float64))


def rate(logged: Logged, *, level: float = 0.95, samples: int = SAMPLES, seed: int = 0) -> Interval:
    """The reward per place shown: the click-through rate where it is a click, conversion where it is a purchase."""
    return bootstrap(logged.reward, logged.person, level=level, samples=samples, seed=seed)


def _ratio(above: Doubles, below: Doubles, people: Ints | None, level: float, samples: int, seed: int) -> Interval:
    """Σ above / Σ below, with its interval over draws of people."""
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: give one in (0, 1), such as 0.95")
    there: Mask = np.isfinite(above) & np.isfinite(below)
    who = None if people is None else people[there]
    tops, bottoms = _sums(above[there], who), _sums(below[there], who)
    if not bottoms.sum():
        return Interval(np.nan, np.nan, np.nan, int(there.sum()))
    random = np.random.default_rng(seed)
    drawn = []
    for size in _parts(samples, len(tops)):
        rows = random.integers(0, len(tops), (size, len(tops)))
        total = bottoms[rows].sum(axis=1)
        drawn.append(np.divide(tops[rows].sum(axis=1), total, out=np.full(size, np.nan), where=total != 0))
    low, high = np.nanquantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(tops.sum() / bottoms.sum()), float(low), float(high), int(there.sum()))


def _sums(values: Doubles, people: Ints | None) -> Doubles:
    """The values, summed per person."""
    if people is None:
        return values
    _, number = np.unique(people, return_inverse=True)
    return np.bincount(number, weights=values).astype(np.float64) if len(values) else values


def _parts(samples: int, width: int) -> list[int]:
    """The draws in parts that fit into memory."""
    size = max(1, _CELLS // max(width, 1))
    return [min(size, samples - start) for start in range(0, samples, size)]
