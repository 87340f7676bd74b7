"""Another rate for a sound, block by block."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from encoders.types import Floats

BLOCK = 1 << 17
"""Samples of a block."""


class Resampler:
    """Changes the rate of a sound block by block, by polyphase filtering (scipy, Kaiser window).

    The result is that of `scipy.signal.resample_poly` over the whole sound: each block is filtered with as much of
    its neighbours as the filter reaches. An odd ratio is replaced by the nearest with a denominator up to 1000: the
    pitch moves by less than 1e-3 of itself (two hundredths of a semitone).

    Args:
        rate: of the sound, in Hz.
        wanted: in Hz.
    """

    def __init__(self, rate: int, wanted: int) -> None:
        ratio = Fraction(wanted, rate).limit_denominator(1000)
        self._up, self._down = ratio.numerator, ratio.denominator
        self._filter: Any = None
        self._reach = 0
        """Samples before and behind a block, a multiple of `down`, so that every block begins at a new sample."""
        self._held = np.empty(0, np.float32)
        """What came last: `before` samples that are done, and the rest."""
        self._before = 0
        if self._up != self._down:
            from scipy.signal import firwin  # slow to import; pictures and texts never need it

            larger = max(self._up, self._down)
            self._filter = firwin(20 * larger + 1, 1 / larger, window=("kaiser", 5.0)).astype(np.float32)
            self._reach = self._down * math.ceil((10 * larger / self._up + 1) / self._down)

    def length(self, count: int) -> int:
        """Samples that come of `count` samples."""
        return math.ceil(count * self._up / self._down) if self._filter is not None else count

    def add(self, block: Floats) -> Floats:
        """Take the next samples (n,), and give those that can be made of what came so far."""
        if self._filter is None:
            return block
        self._held = np.concatenate([self._held, block])
        ready = (len(self._held) - self._before - self._reach) // self._down * self._down
        if ready < max(BLOCK // 2, self._down):
            return np.empty(0, np.float32)
        made = self._made(self._held[: self._before + ready + self._reach])[: ready * self._up // self._down]
        keep = max(self._before + ready - self._reach, 0)  # a multiple of down, too
        self._before += ready - keep
        self._held = self._held[keep:].copy()
        return made

    def end(self) -> Floats:
        """The samples that are left."""
        return np.empty(0, np.float32) if self._filter is None else self._made(self._held)

    def _made(self, samples: Floats) -> Floats:
        from scipy.signal import resample_poly

        if not len(samples):
            return samples
        made = resample_poly(samples, self._up, self._down, window=self._filter)
        return np.asarray(made[self._before * self._up // self._down :], np.float32)
