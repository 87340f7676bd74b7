"""Exploration: now and then a position shows another candidate, at random: the log tells what the order never shows.

Without it nothing is learned of what is not shown, and no estimate of another order can be made from the log (Bottou
et al., *Counterfactual reasoning and learning systems*, JMLR 2013).
"""

import numpy as np

from encoders.types import Doubles, Rows


def explore(chosen: Rows, allowed: Rows, share: float, random: np.random.Generator) -> tuple[Rows, Doubles]:
    """A list in which each position by itself shows another candidate with a small probability.

    Beside the list of k items, k of the others are drawn, all alike probable, one for each position. So an item of
    the list has its position with probability 1 - `share`, and each other candidate has it with `share` / others. A
    list stays as it is where there are fewer others than positions.

    Args:
        chosen: (k,), the list.
        allowed: the candidates that may be shown, the list's among them or not.
        share: how probably a position shows another, 0 to 1.
        random: draws.

    Returns:
        (k,) rows, and (k,) the probabilities with which each position shows what it shows.
    """
    others, positions = np.setdiff1d(allowed, chosen), len(chosen)
    if share <= 0 or len(others) < positions or not positions:
        return chosen, np.ones(positions)
    drawn = random.choice(others, positions, replace=False)
    swap = random.random(positions) < share
    return np.where(swap, drawn, chosen), np.where(swap, share / len(others), 1 - share)
