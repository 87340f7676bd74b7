"""Payload fields become columns: the scales are fixed in training, so that a value means the same in serving."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from encoders.types import Floats
from engine.core.types import Payload

FieldUse = Literal["category", "number"]
_FARTHEST = 1e12
"""So many deviations from the mean, a number is a mistake; what a network makes of it would not be finite."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The payload fields of m items that are declared as features."""

    categories: Mapping[str, Floats]
    """Per field (m, v), unit rows: which of the v known values an item has; zeros for none."""
    numbers: Mapping[str, Floats]
    """Per field (m,), standardised by the training items' mean and deviation; NaN for none or an absurd one."""


@dataclass(frozen=True, slots=True)
class FieldScales:
    """What turns payload fields into numbers, fixed in training: values of categories, mean and deviation."""

    categories: Mapping[str, tuple[str, ...]]
    numbers: Mapping[str, tuple[float, float]]

    def apply(self, payloads: Sequence[Payload]) -> Fields:
        """The fields of items."""
        return Fields(
            {name: _one_hot(name, values, payloads) for name, values in self.categories.items()},
            {
                name: _standardised(_numbers(name, payloads), mean, deviation)
                for name, (mean, deviation) in self.numbers.items()
            },
        )


def fit_scales(payloads: Sequence[Payload], uses: Mapping[str, FieldUse], *, most: int = 64) -> FieldScales:
    """Find the commonest values of the categories, and the mean and deviation of the numbers.

    Args:
        payloads: of the items.
        uses: the fields, and what each is.
        most: values of a category that are told apart.
    """
    categories: dict[str, tuple[str, ...]] = {}
    numbers: dict[str, tuple[float, float]] = {}
    for name, use in uses.items():
        if use == "category":
            counts: dict[str, int] = {}
            for payload in payloads:
                for value in _values(payload.get(name)):
                    counts[value] = counts.get(value, 0) + 1
            categories[name] = tuple(sorted(counts, key=lambda value: (-counts[value], value))[:most])
        else:
            column = _numbers(name, payloads)
            known = column[np.isfinite(column)]
            numbers[name] = (float(known.mean()), float(known.std()) or 1.0) if len(known) else (0.0, 1.0)
    return FieldScales(categories, numbers)


def _values(value: object) -> list[str]:
    if isinstance(value, list):
        return [str(one) for one in value]
    return [] if value is None else [str(value)]


def _one_hot(name: str, values: tuple[str, ...], payloads: Sequence[Payload]) -> Floats:
    position = {value: column for column, value in enumerate(values)}
    found = np.zeros((len(payloads), len(values)), np.float32)
    for row, payload in enumerate(payloads):
        for value in _values(payload.get(name)):
            if value in position:
                found[row, position[value]] = 1
    unit: Floats = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.float32(1e-6))
    return unit


def _standardised(column: npt.NDArray[np.float64], mean: float, deviation: float) -> Floats:
    away = (column - mean) / deviation
    return np.where(np.abs(away) <= _FARTHEST, away, np.nan).astype(np.float32)


def _numbers(name: str, payloads: Sequence[Payload]) -> npt.NDArray[np.float64]:
    def number(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
            return float(value)
        return float("nan")

    return np.array([number(payload.get(name)) for payload in payloads], np.float64)
