"""The policy stage: which of the candidates are shown, and in which order.

Three things are weighed at every position of the list:

- *slots*: where the history has several interests, positions go to them by D'Hondt's method, so that a strong one
  does not crowd out the others. What an interest claims is its weight times the similarity of its best candidate
  beyond a merely related one: an interest for which a filter left nothing good claims little, and one for which
  nothing is related claims nothing before the others have had theirs;
- *diversity*: within the interest whose turn it is, maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998)
  between the score and the likeness to what was chosen. It is sought among the best 1 + 2 d times as many as there
  are positions: among what is relevant, not away from it;
- *caps*: at most so many results with one value of a payload field.

So scores fall from rank to rank only where there is one interest and no diversity.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from encoders.spaces.space import Calibration
from encoders.types import Doubles, Floats, Rows
from engine.core.types import Candidates, PolicyOptions
from engine.query.policy.caps import CappedRows
from engine.query.settings import PolicySettings
from engine.query.similarity import Columns, calibrate_signals

CAPPED = 100
"""Candidates among which is chosen where there are caps, at least; twice the limit if that is more."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be shown, and how varied: a request's options over the settings."""

    diversity: float
    max_per_value: Mapping[str, int]
    min_score: float | None
    explore: float = 0.0
    """How probably a position shows another candidate."""
    max_false_positive_rate: float | None = None

    @classmethod
    def of(cls, options: PolicyOptions, settings: PolicySettings) -> "Policy":
        """The request's own where it says so, else the settings'."""
        return cls(
            settings.diversity if options.diversity is None else options.diversity,
            options.max_per_value or settings.max_per_value,
            settings.min_score if options.min_score is None else options.min_score,
            settings.explore,
            settings.max_false_positive_rate
            if options.max_false_positive_rate is None
            else options.max_false_positive_rate,
        )


def select(
    candidates: Candidates,
    interest: Rows,
    shares: Doubles,
    limit: int,
    policy: Policy,
    calibration: Calibration,
    correlation: float,
    related: float = 0.0,
    shown: Sequence[int] | Rows = (),
) -> Rows:
    """Choose at most `limit` candidates: their rows, in the order in which they are shown.

    Args:
        candidates: n, scored.
        interest: (n,), the interest that each is for.
        shares: (c,), the part of each interest, positive; empty to take all as one.
        limit: positions in the list.
        policy: the rules.
        calibration: of the space.
        correlation: see `engine.query.similarity`.
        related: the score from which on a candidate counts for its interest's claim.
        shown: rows that earlier pages of the list showed: where the order depends on what is chosen, they come first.
    """
    if not len(shares):
        interest, shares = np.zeros(len(candidates), np.intp), np.ones(1, np.float32)
    order = _by_slots(candidates.scores, interest, shares, related)
    if policy.diversity == 0 and not policy.max_per_value:
        return order[:limit]
    caps = CappedRows(policy.max_per_value, candidates.payloads)
    pool = order[: math.ceil(limit * (1 + 2 * policy.diversity))]
    if policy.max_per_value:  # caps take much of it away again
        pool = order[: max(len(pool), CAPPED, 2 * limit)]
    alike = (
        likeness(replace(candidates.take(pool), parts=None), calibration, correlation)
        if policy.diversity > 0
        else None
    )
    first = np.asarray(shown, np.intp).tolist()
    return _greedy(
        candidates.scores, interest, shares, related, order, len(pool), limit, policy.diversity, alike, caps, first
    )


def _claims(shares: Doubles, scores: Floats, positions: Doubles | Rows, related: float) -> Doubles:
    """D'Hondt's quotients, any shape: what an interest claims whose best is such, if it gets so many positions."""
    return np.asarray(shares * np.maximum(scores - np.float32(related), 0) / positions, np.float64)


def _by_slots(scores: Floats, interest: Rows, shares: Doubles, related: float) -> Rows:
    """All rows in D'Hondt's order; those that claim nothing by their score."""
    order: Rows = np.lexsort((-scores, interest))  # by interest, then by score
    counts = np.bincount(interest, minlength=len(shares))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rank = np.arange(1, len(order) + 1) - starts[interest[order]]
    claims = _claims(shares[interest[order]], scores[order], rank, related)
    return order[np.lexsort((-scores[order], -claims))]


def _greedy(
    scores: Floats,
    interest: Rows,
    shares: Doubles,
    related: float,
    order: Rows,
    pool: int,
    limit: int,
    diversity: float,
    alike: Floats | None,
    caps: CappedRows,
    first: Sequence[int],
) -> Rows:
    """Fill position after position, behind the `first` rows, from the first `pool` rows of `order`, then, if caps
    emptied it, from the rest."""
    rows = order[:pool]
    value = (1 - diversity) * _relevance(scores[rows], limit)
    nearest = np.zeros(pool, np.float32)
    owner = interest[rows]
    alive = np.ones(len(scores), np.bool_)  # by candidate
    taken = np.zeros(len(shares))
    chosen = list(first)
    alive[chosen] = False
    np.add.at(taken, interest[chosen], 1)
    for row in chosen:
        alive[caps.take(row)] = False
    if alike is not None:
        np.maximum(nearest, alike[np.isin(rows, chosen)].max(axis=0, initial=0), out=nearest)
    while len(chosen) < limit:
        mine = alive[rows]
        if not mine.any():
            break
        if len(shares) > 1:
            tops = np.full(len(shares), -np.inf, np.float32)
            np.maximum.at(tops, owner[mine], scores[rows][mine])
            claims = np.where(np.isfinite(tops), _claims(shares, tops, taken + 1, related), -1.0)
            mine &= owner == np.lexsort((-tops, -claims))[0]
        best = int(np.where(mine, value - diversity * nearest, -np.inf).argmax())
        row = int(rows[best])
        chosen.append(row)
        taken[owner[best]] += 1
        alive[row] = False
        alive[caps.take(row)] = False
        if alike is not None:
            np.maximum(nearest, alike[best], out=nearest)
    for row in order[pool:].tolist():
        if len(chosen) >= limit:
            break
        if alive[row]:
            chosen.append(row)
            alive[caps.take(row)] = False
    return np.array(chosen, np.intp)


def _relevance(scores: Floats, limit: int) -> Floats:
    """(pool,): 0 for the least, 1 three quarters down the best `limit` or, if that is the least, for the best.

    So a few copies far above the rest change nothing between the others.
    """
    if not len(scores):
        return scores
    best = np.sort(scores)[::-1][:limit]
    low, typical = scores.min(), best[3 * len(best) // 4]
    span = float(typical - low) or float(best[0] - low)
    return np.asarray((scores - low) / max(span, 1e-9), np.float32)


def likeness(items: Columns, calibration: Calibration, correlation: float) -> Floats:
    """How alike items are, (n, n): 1 with itself, 0 if unrelated, whatever modalities the two have.

    Of a candidate with several parts the first counts here: all of them with all would be many times as much.
    """
    modalities = tuple(items.vectors)
    similarity = calibrate_signals(items, calibration, modalities, correlation).relatedness(items)
    own = np.sqrt(np.maximum(similarity.diagonal(), np.float32(1e-6)))
    scaled = (similarity + similarity.T) / (2 * own[:, None] * own[None, :])
    return np.asarray(np.clip(scaled, 0, 1), np.float32)
