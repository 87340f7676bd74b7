"""The gate: a new version serves only if it beats the one that serves, on the same cases of held-out time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.errors import SettingsError
from engine.learn.evaluation.stats import paired

MIN_CASES = 100
"""Fewer people than this are not judged on: the bootstrap's interval is too narrow for small samples."""
RESAMPLES = 5000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says, and from what."""

    promote: bool
    reason: str
    metric: str
    cases: int
    """Cases that both were judged on."""
    difference: float = 0.0
    """The candidate's mean minus the serving version's."""
    low: float = 0.0
    """The interval of the difference: from."""
    high: float = 0.0
    """The interval of the difference: to."""
    confidence: float = 0.95


def judge_candidate(
    candidate: npt.ArrayLike,
    serving: npt.ArrayLike,
    *,
    metric: str = "ndcg_at_10",
    people: npt.ArrayLike | None = None,
    confidence: float = 0.95,
    min_cases: int = MIN_CASES,
    seed: int = 0,
) -> Verdict:
    """Whether a candidate is better than what serves: whether the interval of the difference lies above zero.

    The interval is that of the paired bootstrap in engine/learn/evaluation/stats.py. Cases of one person are drawn
    together, since they are not independent.

    Args:
        candidate: (b,), the metric of each case, higher is better.
        serving: (b,), the same cases' under the serving version, or the untrained engine.
        metric: its name, for the verdict.
        people: (b,), the person of each case; None takes every case for a person of its own.
        confidence: of the interval, two-sided.
        min_cases: fewer people are not judged on.
        seed: of the resampling.

    Raises:
        SettingsError: if the arrays are not of one length, or hold a value that is no number.
    """
    new, old = np.asarray(candidate, np.float64), np.asarray(serving, np.float64)
    who = np.arange(len(new)) if people is None else np.asarray(people, np.int64)
    if new.ndim != 1 or new.shape != old.shape or who.shape != new.shape:
        raise SettingsError(
            f"cases do not match: {new.shape} of the candidate, {old.shape} of what serves, {who.shape} people",
            "judge both on the same cases",
        )
    if not (np.isfinite(new).all() and np.isfinite(old).all()):
        raise SettingsError(f"a value of {metric} is not finite", "leave cases without a value out of both")
    count, persons = len(new), len(np.unique(who))
    if persons < min_cases:
        problem = f"{persons} people in the held-out cases are too few, {min_cases} are needed"
        said = f"{problem}: collect events of more people, or hold out more of them (learn.held_out)"
        return Verdict(False, said, metric, count, confidence=confidence)
    gap = paired(new, old, who, level=confidence, samples=RESAMPLES, seed=seed)
    figures = (
        f"{metric} {gap.mean:+.4f} on {count} cases, {confidence:.0%} interval {gap.low:+.4f} to {gap.high:+.4f}"
    )
    better = gap.low > 0
    reason = f"better: {figures}" if better else f"not better: {figures} does not lie above zero"
    return Verdict(better, reason, metric, count, gap.mean, gap.low, gap.high, confidence)
