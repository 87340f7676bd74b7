"""Kernel ridge regression from the features of a picture to the texts of captioned drawings, packed small."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from encoders.types import Floats

LEVELS = 15
"""The highest level of a feature that is kept in 4 bits."""


@dataclass(frozen=True, slots=True, eq=False)
class KernelRidge:
    """Kernel ridge regression with k(a, b) = exp(-‖a - b‖² / width), from features to the space.

    Features are the square roots of the pooled features, scaled to length 1 (a Hellinger map). The support
    is kept in 4 bits and the coefficients in 8, so that thousands of captioned pictures take a few MB.
    """

    support: npt.NDArray[np.uint8]
    """(m, f): levels 0 to 15 of the features of the pictures that it was fitted on."""
    step: Floats
    """(f,): the size of a level."""
    coefficients: npt.NDArray[np.int8]
    """(m, d)."""
    scale: Floats
    """(d,): the size of one step of the coefficients."""
    width: float
    points: Floats = field(init=False, repr=False)
    """(m, f): the support as numbers."""
    targets: Floats = field(init=False, repr=False)
    """(m, d): the coefficients as numbers."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", self.support.astype(np.float32) * self.step)
        object.__setattr__(self, "targets", self.coefficients.astype(np.float32) * self.scale)

    def __call__(self, pooled: Floats) -> Floats:
        """Pooled features (n, f), none negative → predicted centred texts (n, d), the longer the surer."""
        return kernel(hellinger(pooled), self.points, self.width) @ self.targets


def hellinger(pooled: Floats) -> Floats:
    """Square roots of features (n, f), each row scaled to length 1."""
    roots = np.sqrt(np.maximum(pooled, 0))
    return np.asarray(roots / np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), 1e-6), np.float32)


def kernel(left: Floats, right: Floats, width: float) -> Floats:
    """exp(-‖a - b‖² / width) of all rows of (n, f) and (m, f): float32 (n, m)."""
    distances = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2 * left @ right.T
    return np.asarray(np.exp(-np.maximum(distances, 0) / np.float32(width)), np.float32)
