"""Calibrated similarity of contents and items: the one formula that all similarity scores are made of.

A signal is a query part or a history event. It has one vector, or, if it is an item, one
per modality. The cosine s of a signal's vector of modality a with an item's of modality m is read as
z = (s - mean[a, m]) / std[a, m], which is comparable between pairs of modalities where cosines are not. The
pairs at hand are added with weights w[a, m] (how far the pair can be trusted) and scaled to unit variance:

    e = sum w z / sqrt((1 - r) sum w² + r (sum w)²)

This is Stouffer's weighted combination for z values that correlate by r (Strube, Psychological Bulletin 97, 1985).
So a similarity is in standard deviations above an unrelated item, whatever modalities the item has: one that
is missing drops out of all sums. The same formula combines the events of an interest and the parts of a query.

To that recognition is added. The same content in the same modality is the strongest sign there is, but a sum that is
linear in the cosine lets middling z values of two other modalities outweigh a cosine of 1. How often an unrelated
content comes closer than s falls like a power of 1 - s in the tail, so the surprise at a coincidence that close grows
like its logarithm, without bound:

    e += SURPRISE ln((1 - near) / (1 - s))    for a cosine s > near of signal and item in one modality
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from encoders.spaces.space import LOWEST_WEIGHT, Calibration, PairCalibration
from encoders.types import Doubles, Floats, Modality, Rows


class Columns(Protocol):
    """Vectors of n things in columns; `Candidates` is one."""

    @property
    def vectors(self) -> Mapping[Modality, Floats]:
        """Per modality unit vectors (n, d); a row is zeros where `present` is False."""

    @property
    def present(self) -> Mapping[Modality, npt.NDArray[np.bool_]]:
        """Per modality (n,)."""


NEARER = 1.0
"""A copy is nearer than what is merely related: by at least so many standard deviations of an unrelated cosine."""
NEAREST = 0.95
"""A cosine that speaks for a copy in any space; of texts no smaller one does: near texts say the like in other
words."""
SURPRISE = 3.0
"""How steeply the similarity grows towards a copy, in standard deviations for each e-fold of the distance."""
EXACT = 1e-4
"""What lies between two vectors of one content, by rounding, is of this order: it ends the growth."""


def nearness(pair: PairCalibration, modality: Modality) -> float:
    """The cosine in one modality above which two contents may be copies of each other."""
    related = pair.mean + (pair.weight + NEARER) * pair.std
    return NEAREST if modality is Modality.TEXT else min(max(related, 0.0), NEAREST)


def recognition(cosines: Floats, near: float) -> Floats:
    """What is added to the similarity for cosines close to 1 within one modality; any shape, 0 up to `near`."""
    far = np.maximum(1 - cosines, 0) + np.float32(EXACT)
    return np.asarray(np.float32(SURPRISE) * np.log(np.maximum((1 - near + EXACT) / far, 1)), np.float32)


def spread(weights: Doubles, correlation: float) -> float:
    """The standard deviation of a weighted sum of z values (n,) that all correlate by `correlation`."""
    return math.sqrt((1 - correlation) * np.square(weights).sum() + correlation * np.square(weights.sum()))


@dataclass(frozen=True, slots=True)
class CalibratedSignals:
    """n signals made ready to be held against items: linear per item modality. M item modalities."""

    modalities: tuple[Modality, ...]
    directions: Mapping[Modality, Floats]
    """Per item modality (n, d): sum over a of w/std times the signal's vector of modality a."""
    offsets: Floats
    """(n, M): sum over a of w mean/std."""
    weights: Floats
    """(n, M): sum over a of w."""
    squares: Floats
    """(n, M): sum over a of w²."""
    correlation: float
    near: Mapping[Modality, float]
    """See `nearness`."""
    stacked: Mapping[Modality, Floats]
    """Per item modality (2n, d): the directions, then the signals' own vectors, so that one product gives both."""

    def terms(self, items: Columns) -> Floats:
        """(M, n, N): the similarity that each item modality gives, 0 where an item lacks it; their sum is it all."""
        products = self._products(items)
        terms = np.asarray(self._linear(items, products) / self.scale(items), np.float32)
        for modality, positions, added in self._recognised(items, products):
            terms[self.modalities.index(modality)][positions] += added
        return terms

    def relatedness(self, items: Columns) -> Floats:
        """The similarity without recognition, (n, N): how related things are, copies or not."""
        return np.asarray(self._linear(items).sum(axis=0) / self.scale(items), np.float32)

    def _products(self, items: Columns) -> dict[Modality, Floats]:
        """Per item modality (2n, N): the dot products of `stacked` with the items."""
        return {m: self.stacked[m] @ items.vectors[m].T for m in self.modalities if m in items.vectors}

    def _recognised(
        self, items: Columns, products: Mapping[Modality, Floats]
    ) -> Iterator[tuple[Modality, tuple[Rows, ...], Floats]]:
        """Per modality which signals and items may be copies of each other, and what recognition adds there."""
        for modality, near in self.near.items():
            if modality in items.vectors:
                cosines = products[modality][len(self.offsets) :]  # (n, N)
                positions = np.nonzero(cosines > near)  # few; a missing modality is zeros, and near is not below 0
                yield modality, positions, recognition(cosines[positions], near)

    def _linear(self, items: Columns, products: Mapping[Modality, Floats] | None = None) -> Floats:
        """Weighted z per item modality, before scaling: (M, n, N), 0 where an item lacks the modality."""
        size = len(next(iter(items.present.values())))
        terms = np.zeros((len(self.modalities), len(self.offsets), size), np.float32)
        for column, modality in enumerate(self.modalities):
            if modality in items.vectors:
                if products is None:
                    np.matmul(self.directions[modality], items.vectors[modality].T, out=terms[column])
                else:
                    terms[column] = products[modality][: len(self.offsets)]
                terms[column] -= self.offsets[:, column, None]
                terms[column] *= items.present[modality]
        return terms

    def scale(self, items: Columns) -> Floats:
        """What the sum of the terms is divided by: (n, N)."""
        size = len(next(iter(items.present.values())))
        absent = np.zeros(size, np.bool_)
        mask = np.stack([items.present.get(m, absent) for m in self.modalities]).astype(np.float32)  # (M, N)
        variance = (1 - self.correlation) * (self.squares @ mask) + self.correlation * np.square(self.weights @ mask)
        return np.asarray(np.sqrt(np.maximum(variance, np.float32(1e-12))), np.float32)

    def similarity(self, items: Columns) -> Floats:
        """The similarity of each signal for each item: (n, N)."""
        products = self._products(items)
        similarity = np.asarray(self._linear(items, products).sum(axis=0) / self.scale(items), np.float32)
        for _, positions, added in self._recognised(items, products):
            similarity[positions] += added
        return similarity

    def search_vectors(self, weights: Floats) -> dict[Modality, tuple[Floats, Floats]]:
        """Search vectors for mixtures of signals, each over one item modality.

        For an item that has only modality m, `mix @ related` is exactly `vector · item - offset`.

        Args:
            weights: (c, n), a mixture of the signals in each row.

        Returns:
            Per item modality the vectors (c, d) and offsets (c,).
        """
        found = {}
        for column, modality in enumerate(self.modalities):
            variance = (1 - self.correlation) * self.squares[:, column]
            variance = variance + self.correlation * np.square(self.weights[:, column])
            scaled = weights / np.sqrt(np.maximum(variance, np.float32(1e-12)))  # (c, n)
            found[modality] = (
                np.asarray(scaled @ self.directions[modality], np.float32),
                np.asarray(scaled @ self.offsets[:, column], np.float32),
            )
        return found


def calibrate_signals(
    signals: Columns, calibration: Calibration, modalities: Sequence[Modality], correlation: float
) -> CalibratedSignals:
    """Make signals ready to be held against items.

    Args:
        signals: n signals; vectors of modalities that the calibration does not know are not used.
        calibration: of the space.
        modalities: the item modalities that count.
        correlation: between the z values of one signal and item, 0 to 1.
    """
    size = len(next(iter(signals.present.values())))
    stacked: dict[Modality, Floats] = {}
    offsets = np.zeros((size, len(modalities)), np.float32)
    weights, squares = np.zeros_like(offsets), np.zeros_like(offsets)
    for column, item_modality in enumerate(modalities):
        stacked[item_modality] = np.zeros((2 * size, next(iter(signals.vectors.values())).shape[1]), np.float32)
        total, own = stacked[item_modality][:size], stacked[item_modality][size:]  # each (n, d)
        if item_modality in signals.vectors:
            own[:] = signals.vectors[item_modality]
        for modality, vectors in signals.vectors.items():
            pair = calibration.get((modality, item_modality))
            if pair is None:
                continue
            weight = np.float32(max(pair.weight, LOWEST_WEIGHT))
            there = signals.present[modality].astype(np.float32)  # (n,)
            total += vectors * (there * (weight / np.float32(pair.std)))[:, None]
            offsets[:, column] += there * (weight * np.float32(pair.mean / pair.std))
            weights[:, column] += there * weight
            squares[:, column] += there * weight * weight
    near = {m: nearness(calibration[m, m], m) for m in modalities if m in signals.vectors and (m, m) in calibration}
    directions = {modality: both[:size] for modality, both in stacked.items()}
    return CalibratedSignals(tuple(modalities), directions, offsets, weights, squares, correlation, near, stacked)
