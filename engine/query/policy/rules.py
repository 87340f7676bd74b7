"""Rules over scored candidates: what a deployment leaves out or moves, before the list is made of them."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from encoders.errors import TriveniError
from engine.core.plugins import Parts
from engine.core.types import Query
from engine.query.scored import Scored


@runtime_checkable
class PolicyRule(Protocol):
    """Leaves candidates out, or gives them other scores. Any number of threads use it at once."""

    @property
    def reads_payloads(self) -> bool:
        """Whether it needs the candidates' payloads; else they may be empty."""

    def apply(self, query: Query, scored: Scored) -> Scored:
        """Some or all of the candidates; see `Scored.take` and `Scored.rescored`.

        Args:
            query: the request.
            scored: n candidates that reached the threshold, in no order.
        """


RULES: Parts[PolicyRule] = Parts("triveni.policies", "policy rule", PolicyRule)
"""What the settings `policy.rules` name."""


def apply_rules(rules: Mapping[str, PolicyRule], query: Query, scored: Scored) -> Scored:
    """What all rules leave, one after another.

    A rule that fails ends the request: it may be there for what must not be shown.

    Raises:
        PluginError: if a rule fails.
    """
    for name, rule in rules.items():
        try:
            scored = _checked(rule.apply(query, scored))
        except TriveniError:
            raise
        except Exception as error:
            raise RULES.broken(name, "failed", error) from error
    return scored


def _checked(scored: object) -> Scored:
    """What a rule gave, if it can be shown.

    Raises:
        TypeError: if it is something else.
        ValueError: if its columns are not of one length, a score is not finite, a row is not in the pool, or one is
            there twice.
    """
    if not isinstance(scored, Scored):
        raise TypeError(f"it gave a {type(scored).__name__}, not Scored")
    count, scores = len(scored.candidates), scored.candidates.scores
    if not (scores.shape == scored.rows.shape == scored.interest.shape == (count,)):
        raise ValueError(f"it gave {count} candidates with scores {scores.shape} and rows {scored.rows.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("it gave a score that is not finite")
    rows, times = np.unique(scored.rows, return_counts=True)
    if outside := rows[(rows < 0) | (rows >= len(scored.pool))].tolist():
        raise ValueError(f"it gave row {outside[0]} of a pool of {len(scored.pool)} candidates")
    if twice := rows[times > 1].tolist():
        raise ValueError(f"it gave {scored.pool.ids[twice[0]]!r} more than once")
    return scored
