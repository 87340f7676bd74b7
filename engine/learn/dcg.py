"""Discounted cumulative gain (Järvelin and Kekäläinen, TOIS 2002): what every NDCG here is made of."""

import numpy as np

from encoders.types import Doubles


def discounts(positions: int) -> Doubles:
    """(positions,): how much each position of a list counts, 1 / log2(rank + 1) with ranks from 1."""
    return np.asarray(1 / np.log2(np.arange(positions) + 2), np.float64)


def dcg(gains: Doubles) -> float:
    """The discounted cumulative gain of a list.

    Args:
        gains: (k,), of the item in each position, from the first on.
    """
    return float(gains @ discounts(len(gains)))
