"""The gate: decides by figures whether a new version, the challenger, is to serve; `judging` beside it makes them.

It serves only if it beats what serves on the same cases of held-out time, and only if it does not harm users of whom
nothing is known: their lists are neither worse than what serves gives them, nor worse than the most popular items.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.types import Doubles, Ints
from engine.core.errors import SettingsError
from engine.learn.evaluation.stats import Draws, paired
from engine.models.verdict import Verdict

MIN_CASES = 100
"""Fewer people than this are not judged on: the bootstrap's interval is too narrow for small samples."""
MIN_NEW = 20
"""Fewer people without a history are not judged on. It is less than `MIN_CASES`, for a harm is to be seen soon, and a
version that is refused in vain only comes later."""
RESAMPLES = 5000


@dataclass(frozen=True, slots=True)
class NewUsers:
    """Cases of people of whom nothing was known: k cases."""

    challenger: Doubles
    """(k,), the metric of each case, higher is better."""
    others: Mapping[str, Doubles]
    """(k,) each: the same cases' by what the challenger must not be worse than, by its name."""
    users: Ints
    """(k,), the person of each case."""


def judge_challenger(
    challenger: npt.ArrayLike,
    serving: npt.ArrayLike,
    *,
    metric: str = "ndcg_at_10",
    users: npt.ArrayLike | None = None,
    new_users: NewUsers | None = None,
    confidence: float = 0.95,
    min_cases: int = MIN_CASES,
    seed: int = 0,
) -> Verdict:
    """Whether a challenger is better than what serves: whether the interval of the difference lies above zero.

    It harms new people if the interval of a difference on their cases lies below zero; then it is not promoted,
    however much better it is on the whole.

    The interval is that of the paired bootstrap in engine/learn/evaluation/stats.py. Cases of one person are drawn
    together, since they are not independent.

    Args:
        challenger: (b,), the metric of each case, higher is better.
        serving: (b,), the same cases' under the serving version, or the untrained engine.
        metric: its name, for the verdict.
        users: (b,), the person of each case; None takes every case for a person of its own.
        new_users: cases of people of whom nothing was known; None does not look at them.
        confidence: of the interval, two-sided.
        min_cases: fewer people are not judged on.
        seed: of the resampling.

    Raises:
        SettingsError: if the arrays are not of one length, or hold a value that is no number.
    """
    new, old = np.asarray(challenger, np.float64), np.asarray(serving, np.float64)
    who = np.arange(len(new)) if users is None else np.asarray(users, np.int64)
    if new.ndim != 1 or new.shape != old.shape or who.shape != new.shape:
        raise SettingsError(
            f"cases do not match: {new.shape} of the challenger, {old.shape} of what serves, {who.shape} users",
            "judge both on the same cases",
        )
    if not (np.isfinite(new).all() and np.isfinite(old).all()):
        raise SettingsError(f"a value of {metric} is not finite", "leave cases without a value out of both")
    count, distinct = len(new), len(np.unique(who))
    if distinct < min_cases:
        problem = f"{distinct} users in the held-out cases are too few, {min_cases} are needed"
        said = f"{problem}: collect events of more users, or hold out more of them (learn.held_out)"
        return Verdict(False, said, metric, count, confidence=confidence)
    draws = Draws(confidence, RESAMPLES, seed)
    gap = paired(new, old, who, draws)
    figures = (
        f"{metric} {gap.mean:+.4f} on {count} cases, {confidence:.0%} interval {gap.low:+.4f} to {gap.high:+.4f}"
    )
    better = gap.low > 0
    reason = f"better: {figures}" if better else f"not better: {figures} does not lie above zero"
    harm, said = ("", "") if new_users is None else _harm(new_users, metric, draws)
    if harm:
        reason = f"{harm}; on the whole {reason}"
    elif said:
        reason = f"{reason}; {said}"
    return Verdict(better and not harm, reason, metric, count, gap.mean, gap.low, gap.high, confidence)


def _harm(new: NewUsers, metric: str, draws: Draws) -> tuple[str, str]:
    """What harm is done to new people, and else how they fare; "" for the other."""
    users = len(np.unique(new.users))
    if users < MIN_NEW:
        return "", f"{users} new users are too few to judge on, {MIN_NEW} are needed"
    gaps = {name: paired(new.challenger, values, new.users, draws) for name, values in new.others.items()}
    said = {name: f"{gap.mean:+.4f} ({gap.low:+.4f} to {gap.high:+.4f}) against {name}" for name, gap in gaps.items()}
    harms = " and ".join(said[name] for name, gap in gaps.items() if gap.high < 0)
    if harms:
        about = f"harms new users: {metric} of {users} users without a history {harms} lies below zero"
        return f"{about} (raise learn.first_steps, or see what is shown to them)", ""
    return "", f"{users} new users: {', '.join(said.values())}"
