"""From logits to probabilities."""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression

from encoders.types import Doubles
from engine.learn.rows.dataset import Example
from engine.rerank.model import OUTCOMES

_CERTAIN_ROWS = 20
"""Outcomes that calibration wants to see at least; an outcome seen less often is taken to never happen."""

_LEAST_SLOPE = 1e-3


def calibrate(
    examples: Sequence[Example], logits: Sequence[np.ndarray], silent: Doubles
) -> tuple[tuple[float, float], ...]:
    """Per outcome (slope, intercept) that make the held-out logits probabilities (Platt 1999).

    Of what was shown, if anything was: a candidate that was only retrieved was never offered to anybody. Lists
    without a reaction are no rows, so what was not chosen weighs for their positions too.

    Args:
        examples: the held-out rows.
        logits: of each (c, outcomes).
        silent: (n,), when each position of a list without a reaction was shown, seconds since 1970.
    """
    shown = [position for position, one in enumerate(examples) if one.positions.any()]
    quiet = int((silent >= min(examples[position].label_time for position in shown)).sum()) if shown else 0
    positions = shown or range(len(examples))
    found: list[tuple[float, float]] = []
    for column, name in enumerate(OUTCOMES):
        scores = np.concatenate(
            [np.zeros(0), *(logits[position][examples[position].judged, column] for position in positions)]
        )
        labels = np.concatenate(
            [
                np.zeros(0, np.bool_),
                *(getattr(examples[position], name)[examples[position].judged] for position in positions),
            ]
        )
        yes, no = int(labels.sum()), int((~labels).sum())
        if min(yes, no) < _CERTAIN_ROWS:
            found.append((0.0, -20.0) if column else (1.0, 0.0))
            continue
        line = LogisticRegression().fit(scores[:, None], labels, np.where(labels, 1.0, (no + quiet) / no))
        slope, intercept = float(line.coef_[0, 0]), float(line.intercept_[0])
        if slope < _LEAST_SLOPE:  # the order says nothing: the base rate remains
            slope, intercept = _LEAST_SLOPE, float(np.log(yes / (no + quiet)) - _LEAST_SLOPE * scores.mean())
        found.append((slope, intercept))
    return tuple(found)
