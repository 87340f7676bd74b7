"""Candidates and a history become numbers: the one place, for training and for serving, so that the two cannot drift.

A request has tokens (what the person did, each an item or a content of their own), and candidates with features.
The vectors of tokens and candidates are looked up in a `Table`, by row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from encoders.types import Floats, Modality
from engine.core.types import EventKind, Payload
from engine.rerank import statistics
from engine.rerank.statistics import Rows

Bools = npt.NDArray[np.bool_]
FieldUse = Literal["category", "number"]

KINDS = tuple(kind for kind in EventKind if kind is not EventKind.IMPRESSION)
"""Kinds of tokens. The parts of a query are tokens too: a text as a search, a picture or sound as an upload."""
NEGATIVE = frozenset({EventKind.SKIP, EventKind.DISLIKE})
"""Kinds of events that speak against an item."""
GAPS = 28
"""Buckets of time gaps: powers of two of seconds."""
MAX_TOKENS = 50
_RECENT, _LAST = 20, 3


@dataclass(frozen=True, slots=True)
class Fields:
    """The payload fields of m items that are declared as features."""

    categories: Mapping[str, Floats]
    """Per field (m, v), unit rows: which of the v known values an item has; zeros for none."""
    numbers: Mapping[str, Floats]
    """Per field (m,), standardised by the training items' mean and deviation; NaN for none."""


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
                name: ((_numbers(name, payloads) - mean) / deviation).astype(np.float32)
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
    place = {value: column for column, value in enumerate(values)}
    found = np.zeros((len(payloads), len(values)), np.float32)
    for row, payload in enumerate(payloads):
        for value in _values(payload.get(name)):
            if value in place:
                found[row, place[value]] = 1
    unit: Floats = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.float32(1e-6))
    return unit


def _numbers(name: str, payloads: Sequence[Payload]) -> npt.NDArray[np.float64]:
    def number(value: object) -> float:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")

    return np.array([number(payload.get(name)) for payload in payloads], np.float64)


@dataclass(frozen=True, slots=True)
class Table:
    """m items, then contents of people's own: what tokens and candidates are rows of."""

    vectors: Mapping[Modality, Floats]
    """Per modality (r, d), r >= m; zeros where `present` is False."""
    present: Mapping[Modality, Bools]
    fields: Fields
    """Of the m items."""
    since: npt.NDArray[np.float64]
    """(m,): when each item came, seconds since 1970; NaN where unknown."""
    identity: Rows
    """(r,): the row of the model's id embedding, 0 for an item that the model does not know."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a person did, h tokens, oldest first."""

    rows: Rows
    """(h,), rows of a `Table`."""
    kinds: Rows
    """(h,), indexes `KINDS`."""
    values: Floats
    """(h,): stars and the like; NaN for none."""
    gaps: npt.NDArray[np.float64]
    """(h,): seconds until the request, at least 0."""

    def newest(self) -> "Tokens":
        """The last `MAX_TOKENS`."""
        cut = slice(-MAX_TOKENS, None)
        return Tokens(self.rows[cut], self.kinds[cut], self.values[cut], self.gaps[cut])


@dataclass(frozen=True, slots=True)
class Request:
    """One request as numbers: h tokens, c candidates, f features."""

    tokens: Tokens
    candidates: Rows
    """(c,), rows of a `Table`."""
    ids: Rows
    """(c,): the candidates' rows of the id embedding, 0 for one that the model is not to know."""
    dense: Floats
    """(c, f), float16 or float32."""


def gap_buckets(gaps: npt.NDArray[np.float64]) -> Rows:
    """(h,): log2 of the seconds, 0 to GAPS - 1."""
    return np.clip(np.log2(np.maximum(gaps, 1.0)), 0, GAPS - 1).astype(np.intp)


def feature_names(modalities: Sequence[Modality], scales: FieldScales) -> tuple[str, ...]:
    """The columns of `Request.dense`."""
    relations = [f"{m}_{span}" for m in modalities for span in ("recent", "last", "nearest", "disliked")]
    relations += [f"{name}_{span}" for name in scales.categories for span in ("recent", "last")]
    relations += ["content", "taste"]
    compared = [*statistics.NAMES, *relations]
    return (
        *statistics.NAMES,
        *(f"{name}_z" for name in compared),
        *(f"{name}_rank" for name in compared),
        *relations,
        *(f"{name}_{part}" for name in scales.numbers for part in ("value", "distance")),
        "age",
        "unknown",
        "length",
        "gap",
    )


def dense_features(
    counted: Floats,
    tokens: Tokens,
    positive: Rows,
    negative: Rows,
    candidates: Rows,
    ids: Rows,
    table: Table,
    content: Floats,
    taste: Floats,
    now: float,
) -> Floats:
    """(c, f) float32, the columns of `feature_names`.

    Args:
        counted: (s, c), `statistics.scores` of the candidates.
        tokens: the person's.
        positive: (k,), the items that they acted on favourably, oldest first.
        negative: the items that they skipped or disliked, oldest first.
        candidates: (c,).
        ids: (c,), as in `Request`.
        table: the vectors and fields.
        content: (c,), the engine's own opinion of them, see engine/rerank/content.py; zeros where there is none.
        taste: (c,), what the learned query vector says of them, see engine/rerank/taste.py; zeros if there is none.
        now: seconds since 1970.
    """
    relations = np.stack([*_relations(positive, negative, candidates, table), content, taste]).astype(np.float32)
    compared = np.concatenate([counted, relations])
    numbers: list[Floats] = []
    for column in table.fields.numbers.values():
        known = column[positive[-_RECENT:]] if len(positive) else np.zeros(0, np.float32)
        known = known[np.isfinite(known)]
        value = column[candidates]
        distance = np.abs(value - known.mean()) if len(known) else np.zeros_like(value)
        numbers += [np.nan_to_num(value), np.nan_to_num(distance)]
    # A log may be older than its catalogue's index: how long until an item is indexed says nothing of it.
    age = np.maximum(np.nan_to_num((now - table.since[candidates]) / statistics.DAY), 0)
    gap = max(float(tokens.gaps[-1]), 0.0) if len(tokens.gaps) else 0.0
    size = len(candidates)
    columns = [
        np.log1p(np.maximum(counted, 0)),
        _standardised(compared),
        _ranks(compared),
        relations,
        *(column[None] for column in numbers),
        np.log1p(age)[None],
        (ids == 0).astype(np.float32)[None],
        np.full((1, size), np.log1p(len(positive))),
        np.full((1, size), np.log1p(gap)),
    ]
    return np.ascontiguousarray(np.concatenate(columns).T, np.float32)


def _relations(positive: Rows, negative: Rows, candidates: Rows, table: Table) -> list[Floats]:
    """How like the candidates are to what the person acted on: by each modality, by each category.

    The mean says what they like on the whole; the nearest, of people with several tastes, whether it is one of them.
    """
    found: list[Floats] = []
    for modality, vectors in table.vectors.items():
        mine, there = vectors[candidates], table.present[modality]
        for span in (_RECENT, _LAST):
            known = positive[-span:]
            known = known[there[known]]
            mean = vectors[known].mean(axis=0) if len(known) else np.zeros(vectors.shape[1], np.float32)
            found.append(mine @ mean)
        found += [_nearest(mine, vectors, there, rows[-MAX_TOKENS:]) for rows in (positive, negative)]
    for matrix in table.fields.categories.values():
        for span in (_RECENT, _LAST):
            known = positive[-span:]
            mean = matrix[known].mean(axis=0) if len(known) else np.zeros(matrix.shape[1], np.float32)
            found.append(matrix[candidates] @ mean)
    return found


def _nearest(mine: Floats, vectors: Floats, there: Bools, rows: Rows) -> Floats:
    """(c,): the highest cosine of each of mine (c, d) with any of the rows; 0 without one."""
    known = rows[there[rows]]
    if not len(known):
        return np.zeros(len(mine), np.float32)
    return np.asarray((mine @ vectors[known].T).max(axis=1), np.float32)


def _standardised(columns: Floats) -> Floats:
    """Each row in deviations from its mean over the candidates, cut at -5 and 8."""
    if not columns.size:
        return columns
    mean, deviation = columns.mean(axis=1, keepdims=True), columns.std(axis=1, keepdims=True)
    return np.asarray(np.clip((columns - mean) / (deviation + 1e-6), -5, 8), np.float32)


def _ranks(columns: Floats) -> Floats:
    """1 / sqrt(rank), from 1 for the highest; equal values share the best rank."""
    order = np.argsort(-columns, axis=1, kind="stable")
    ordered = np.take_along_axis(columns, order, axis=1)
    fresh = np.ones_like(ordered, np.bool_)
    fresh[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    places = np.maximum.accumulate(np.where(fresh, np.arange(columns.shape[1]), 0), axis=1)
    found = np.empty_like(columns)
    np.put_along_axis(found, order, (1 / np.sqrt(1.0 + places)).astype(np.float32), axis=1)
    return found
