"""What another policy would have earned, from lists that were served."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from encoders.types import Doubles, Ints
from engine.core.kinds import EventKinds
from engine.core.types import EventKind
from engine.events.types import Served
from engine.learn.evaluation.stats import DRAWS, Draws, Interval, bootstrap, ratio

_NO_CHOICE = frozenset({EventKind.VIEW, EventKind.RATE})
"""Positive kinds that do not choose: a view may be the list's own doing, and what a rating says is in its stars."""


def rate_kinds(kinds: EventKinds) -> Mapping[str, frozenset[str]]:
    """What is measured per position shown, by the kinds of events that have to follow."""
    return {
        "click-through rate": kinds.positive - _NO_CHOICE,
        "conversion": frozenset({EventKind.PURCHASE}),
        "dislikes": kinds.negative & kinds.explicit,
    }


@dataclass(frozen=True, slots=True)
class Logged:
    """What was shown in n positions of logged lists, and what came of it."""

    user: Ints
    """(n,): whose list it was; draws are of these."""
    reward: Doubles
    """(n,): 1 for a click, or what it was worth."""
    propensity: Doubles
    """(n,), in (0, 1]: the probability with which the logging policy put this item into this position."""


@dataclass(frozen=True, slots=True)
class OffPolicy:
    """Estimates of the mean reward per position of a policy that did not choose what was logged."""

    ips: Interval
    snips: Interval
    dr: Interval | None
    """None where there is no model of the reward."""
    effective: float
    """The effective sample size (Σw)² / Σw²: with only a few, no estimate is to be believed."""


def off_policy(
    logged: Logged,
    probability: Doubles,
    *,
    predicted: Doubles | None = None,
    expected: Doubles | None = None,
    draws: Draws = DRAWS,
) -> OffPolicy:
    """What a policy would have earned per position, from lists that another one showed.

    w = probability / propensity. IPS: the mean of w·r (Horvitz & Thompson, 1952); SNIPS: Σ w·r / Σ w (Swaminathan &
    Joachims, NeurIPS 2015); DR: the mean of expected + w·(r - predicted) (Dudík et al., ICML 2011).

    Args:
        logged: n positions.
        probability: (n,), with which the policy in question would put the logged item into that position.
        predicted: (n,), the reward that a model predicts of the logged item; None makes no DR.
        expected: (n,), the reward that the model expects of the policy in question in that position.
        draws: of the intervals.

    Raises:
        ValueError: if a propensity is not in (0, 1], a probability not in [0, 1], or only one of `predicted` and
            `expected` is given.
    """
    if not ((logged.propensity > 0) & (logged.propensity <= 1)).all():
        raise ValueError("a propensity is not in (0, 1]: log the probability that the policy chose with")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("a probability of the policy in question is not in [0, 1]: give the chance of each position")
    if (predicted is None) != (expected is None):
        raise ValueError("DR needs both what is predicted of the logged item and what is expected: give both or none")
    weight = probability / logged.propensity
    doubly = None
    if predicted is not None and expected is not None:
        doubly = bootstrap(expected + weight * (logged.reward - predicted), logged.user, draws)
    squares = float(np.square(weight).sum())
    return OffPolicy(
        bootstrap(weight * logged.reward, logged.user, draws),
        ratio(weight * logged.reward, weight, logged.user, draws),
        doubly,
        float(weight.sum()) ** 2 / squares if squares else 0.0,
    )


def logged_positions(served: Iterable[Served], kinds: frozenset[str]) -> Logged:
    """The positions of served lists, in columns; the reward is 1 where an event of these kinds on the item followed.

    Lists that were served to nobody named count as people of their own.
    """
    users: dict[str, int] = {}
    user: list[int] = []
    reward: list[float] = []
    propensity: list[float] = []
    for one in served:
        shown = one.impression
        number = users.setdefault(shown.user or f"\0{shown.request_id}", len(users))
        taken = {event.item for event in one.followed if event.kind in kinds}
        user.extend([number] * len(shown.items))
        reward.extend(float(item in taken) for item in shown.items)
        propensity.extend(shown.propensities)
    return Logged(np.array(user, np.int64), np.array(reward, np.float64), np.array(propensity, np.float64))


def rate(logged: Logged, draws: Draws = DRAWS) -> Interval:
    """The reward per position shown: the click-through rate where it is a click, conversion where it is a
    purchase."""
    return bootstrap(logged.reward, logged.user, draws)
