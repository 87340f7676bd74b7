"""What the interests of a request are, for whoever wants to see them."""

import numpy as np

from engine.core.types import Candidates, Interest, Reason, ReasonKind
from engine.query.fuse import Intent
from engine.query.resolve import QuerySignals

NEAREST = 10
"""Candidates that say where an interest lies."""


def interests(intent: Intent, signals: QuerySignals, candidates: Candidates) -> tuple[Interest, ...]:
    """The interests of a history with the candidates nearest to them.

    Args:
        intent: of n signals.
        signals: the same n.
        candidates: what was found for them.
    """
    groups = intent.combinations()[len(intent.groups) - len(intent.interests) :]  # (c, n)
    similarity = groups @ intent.calibrated.similarity(candidates)  # (c, N)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :NEAREST]
    history = np.array([kind is ReasonKind.EVENT for kind in signals.kinds], np.bool_)
    all_liked = intent.weights[history & (intent.weights > 0)].sum()
    made = []
    for members, near in zip(intent.interests, nearest.tolist(), strict=True):
        heaviest = members[np.argsort(-intent.weights[members], kind="stable")]
        weights = intent.weights[heaviest]
        shares = (weights / weights.sum()).tolist()
        events = [
            Reason(ReasonKind.EVENT, index, share=share)
            for index, share in zip(signals.indexes[heaviest].tolist(), shares, strict=True)
        ]
        ids = tuple(candidates.ids[row] for row in near)
        made.append(Interest(float(weights.sum() / all_liked), tuple(events), ids))
    return tuple(made)
