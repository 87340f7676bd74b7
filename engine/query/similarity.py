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

Of an item with several parts of a modality, five pictures, say, the part counts that gives the most. That has as many
chances to be near by accident; so its z is read as that of one content which is as improbable, see `best_of_chances`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, ndtri_exp

from encoders.spaces.space import LOWEST_WEIGHT, Calibration, PairCalibration
from encoders.types import Doubles, Floats, Modality, Rows
from engine.core.types import Candidates, Parts


class Columns(Protocol):
    """Vectors of n things in columns; `Candidates` is one."""

    @property
    def vectors(self) -> Mapping[Modality, Floats]:
        """Per modality unit vectors (n, d); a row is zeros where `present` is False."""

    @property
    def present(self) -> Mapping[Modality, npt.NDArray[np.bool_]]:
        """Per modality (n,)."""


def parts_of(items: Columns) -> Parts | None:
    """What items have besides the first part of each modality; None for things that have no parts."""
    return items.parts if isinstance(items, Candidates) else None


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


def best_of_chances(z: Floats, chances: Doubles) -> Floats:
    """The z value that is as improbable as that the best of several reaches `z`: 1 - (1 - p)^k for p (Šidák, 1967).

    What is below an even chance is shifted as that is: parts that are all unlike are of one kind, no coincidence.

    Args:
        z: of the best, (n, p).
        chances: k of each column, (p,), at least 1: so many contents that have nothing to do with one another.
            k that correlate by r are as k^(1 - r).
    """
    above = np.maximum(z, 0).astype(np.float64)
    none = chances * log_ndtr(above)  # ln of the probability that none reaches it
    tiny = np.log(chances) + log_ndtr(-above)  # ln of that one does, where it is all but 0
    some = np.where(none > -1e-9, tiny, np.log(-np.expm1(np.minimum(none, -1e-9))))
    found = np.where(none < -1, ndtri_exp(np.minimum(none, -1)), -ndtri_exp(np.minimum(some, -1e-3)))
    return np.asarray(found + np.minimum(z, 0), np.float32)


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
        terms, scale = self._first(items, recognised=True)
        if (parts := parts_of(items)) is not None:
            self._raise(terms, parts, scale, recognised=True)
        return terms

    def relatedness(self, items: Columns) -> Floats:
        """The similarity without recognition, (n, N): how related things are, copies or not."""
        if (parts := parts_of(items)) is None:
            return np.asarray(self._linear(items).sum(axis=0) / self.scale(items), np.float32)
        terms, scale = self._first(items, recognised=False)
        self._raise(terms, parts, scale, recognised=False)
        return np.asarray(terms.sum(axis=0), np.float32)

    def answering(self, items: Columns) -> Rows:
        """Which part of each item gives its term, (M, n, N): 0 for the first of the modality."""
        terms, scale = self._first(items, recognised=True)
        found = np.zeros(terms.shape, np.intp)
        parts = parts_of(items)
        for column, number, best in () if parts is None else self._others(parts, scale, recognised=True):
            for place, owner in enumerate(parts.owners.tolist() if parts is not None else ()):
                more = best[:, place] > terms[column, :, owner]  # a part must give more than those before it
                terms[column, more, owner], found[column, more, owner] = best[more, place], number[place]
        return found

    def _first(self, items: Columns, *, recognised: bool) -> tuple[Floats, Floats]:
        """The terms of the items' first parts (M, n, N), and what they were divided by (n, N)."""
        products, scale = self._products(items) if recognised else None, self.scale(items)
        terms = self._linear(items, products)
        if (parts := parts_of(items)) is not None:
            for column, counts in self._counts(parts, terms.shape[2]):
                several = np.flatnonzero(counts > 1)
                terms[column][:, several] = self._of_best(column, terms[column][:, several], counts[several])
        terms /= scale
        for modality, positions, added in () if products is None else self._recognised(items, products):
            terms[self.modalities.index(modality)][positions] += added
        return terms, scale

    def _others(self, parts: Parts, scale: Floats, *, recognised: bool) -> Iterator[tuple[int, Rows, Floats]]:
        """Per item modality what each of p further parts gives.

        Args:
            parts: of the items.
            scale: of the items; see `scale`.
            recognised: whether recognition counts.

        Yields:
            The place in `modalities`, the parts' numbers (p,), from 1, and terms (n, p), -inf where there is none.
        """
        products = self._products(parts) if recognised else None
        terms = self._linear(parts, products)
        counted = list(self._counts(parts, 1 + int(parts.owners[-1])))
        for column, counts in counted:
            terms[column] = self._of_best(column, terms[column], counts[parts.owners])
        terms /= scale[:, parts.owners]
        for modality, positions, added in () if products is None else self._recognised(parts, products):
            terms[self.modalities.index(modality)][positions] += added
        number = 1 + np.arange(len(parts.owners)) - np.searchsorted(parts.owners, parts.owners)
        for column, _ in counted:
            terms[column][:, ~parts.present[self.modalities[column]]] = -np.inf
            yield column, number, terms[column]

    def _raise(self, terms: Floats, parts: Parts, scale: Floats, *, recognised: bool) -> None:
        """Raise the terms of items (M, n, N) to the most that their further parts give; see `_others`.

        Of parts that are not recognised the one with the greatest z gives the most, so that only it is reckoned.
        """
        starts = np.flatnonzero(np.diff(parts.owners, prepend=-1))
        items = parts.owners[starts]
        products = self._products(parts) if recognised else None
        linear, counted = self._linear(parts, products), dict(self._counts(parts, terms.shape[2]))
        for column, counts in counted.items():
            linear[column][:, ~parts.present[self.modalities[column]]] = -np.inf
            best = np.maximum.reduceat(linear[column], starts, axis=1)
            best = self._of_best(column, best, counts[items]) / scale[:, items]
            terms[column][:, items] = np.maximum(terms[column][:, items], best)
        for modality, (signals, rows), added in () if products is None else self._recognised(parts, products):
            column, owners = self.modalities.index(modality), parts.owners[rows]
            if len(owners):
                given = self._of_best(column, linear[column][signals, rows], counted[column][owners], signals)
                np.maximum.at(terms[column], (signals, owners), given / scale[signals, owners] + added)

    def _counts(self, parts: Parts, size: int) -> Iterator[tuple[int, Rows]]:
        """Per item modality of which there are further parts: its place, and how many parts each of N items has."""
        for column, modality in enumerate(self.modalities):
            there = parts.present.get(modality)
            if there is not None and there.any():
                yield column, 1 + np.bincount(parts.owners[there], minlength=size)

    def _of_best(self, column: int, linear: Floats, counts: Rows, signals: Rows | None = None) -> Floats:
        """Weighted z of one item modality (n, p), as of the best of so many parts (p,); or (p,), each of a signal."""
        variance = (1 - self.correlation) * self.squares[:, column]
        variance = variance + self.correlation * np.square(self.weights[:, column])
        each = np.sqrt(np.maximum(variance, np.float32(1e-12)))
        deviation = each[:, None] if signals is None else each[signals]
        chances = np.asarray(counts ** (1 - self.correlation), np.float64)
        z = best_of_chances(np.asarray(linear / deviation, np.float32), chances)
        return np.asarray(z * deviation, np.float32)

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
        if parts_of(items) is not None:
            return np.asarray(self.terms(items).sum(axis=0), np.float32)
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
