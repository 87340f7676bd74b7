"""Values in standard deviations from their mean."""

import numpy as np

from encoders.types import Floats

_LEAST = 1e-6
"""Added to the deviation: values that are all the same become zeros."""


def standardised(values: Floats) -> Floats:
    """(…, n) float32 → the same: each row with mean 0 and standard deviation 1; nothing stays nothing."""
    if not values.size:
        return values
    mean, deviation = values.mean(axis=-1, keepdims=True), values.std(axis=-1, keepdims=True)
    return np.asarray((values - mean) / (deviation + _LEAST), np.float32)
