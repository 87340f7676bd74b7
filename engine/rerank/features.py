"""The features of candidates, each declared once, in `FEATURES`: training and serving both make them here.

To add one, declare it there; what it is made of is an input (`Inputs`), which training and serving both give. Counts
are declared beside what they are made of, in `engine.rerank.counts.COUNTS`. A version stores the names of
the features that its networks read, and gets them in its own order (`DenseFeatures`): one that is added, moved or
no longer made cannot feed another's weights.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from encoders.types import Floats, Modality, Rows
from engine.rerank import counts
from engine.rerank.fields import Fields, FieldScales
from engine.rerank.names import check_names
from engine.rerank.standard import standardised
from engine.rerank.statistics import DAY
from engine.rerank.table import MAX_TOKENS, Table, Tokens

_RECENT, _LAST = 20, 3


@dataclass(frozen=True, slots=True)
class Inputs:
    """What features are made of: one request with c candidates."""

    by_counts: Floats
    """(s, c): what each of the s counts says of the candidates, `engine.rerank.counts.count_scores`."""
    tokens: Tokens
    """The user's."""
    positive: Rows
    """(k,), rows of the items that they acted on favourably, oldest first."""
    negative: Rows
    """Rows of the items that they skipped or disliked, oldest first."""
    candidates: Rows
    """(c,), rows of the table."""
    ids: Rows
    """(c,), as in `RankingInput`."""
    table: Table
    """The vectors and fields."""
    content: Floats
    """(c,), how similar they are to what the user did, see engine/rerank/content.py; zeros where nothing is known."""
    towers: Floats
    """(c,), what the learned query vector says of them, see engine/rerank/two_towers.py; zeros if there is none."""
    now: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class CatalogueFields:
    """What items of a catalogue have that features are made of, by name."""

    modalities: Sequence[Modality]
    categories: Collection[str]
    numbers: Collection[str]


@dataclass(frozen=True, slots=True)
class Form:
    """A form in which networks read a feature."""

    suffix: str
    """Behind the feature's name."""
    of: Callable[[Floats], Floats]
    """(k, c) → (k, c), each row for itself."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature of candidates, or a family of k features that are made together."""

    name: str
    names: Callable[[CatalogueFields], Sequence[str]]
    """The names of its k rows."""
    rows: Callable[[Inputs], Floats | Sequence[Floats]]
    """(k, c)."""
    forms: tuple[Form, ...]
    """The forms in which networks read it, some of `FORMS`."""


def _ranks(rows: Floats) -> Floats:
    """1 / sqrt(rank), from 1 for the highest; equal values share the best rank."""
    order = np.argsort(-rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    fresh = np.ones_like(ordered, np.bool_)
    fresh[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    positions = np.maximum.accumulate(np.where(fresh, np.arange(rows.shape[1]), 0), axis=1)
    found = np.empty_like(rows)
    np.put_along_axis(found, order, (1 / np.sqrt(1.0 + positions)).astype(np.float32), axis=1)
    return found


LOG = Form("", lambda rows: np.log1p(np.maximum(rows, 0)))
STANDARDISED = Form("_z", lambda rows: np.clip(standardised(rows), -5, 8))
RANK = Form("_rank", _ranks)
PLAIN = Form("", lambda rows: rows)
FORMS = (LOG, STANDARDISED, RANK, PLAIN)
"""The columns of all features are ordered by form, then as `FEATURES` is."""
_RELATIVE = (STANDARDISED, RANK)
"""The forms that hold a candidate against the others of its request."""


def _modality_names(catalogue: CatalogueFields) -> list[str]:
    return [f"{m}_{part}" for m in catalogue.modalities for part in ("recent", "last", "nearest", "disliked")]


def _modality_rows(inputs: Inputs) -> list[Floats]:
    """How like the candidates are to what the user acted on, by each modality.

    The mean says what they like on the whole; the nearest, of users with several tastes, whether it is one of them.
    """
    found: list[Floats] = []
    nothing = np.zeros(len(inputs.candidates), np.float32)
    liked, disliked = inputs.positive[-MAX_TOKENS:], inputs.negative[-MAX_TOKENS:]
    for modality, vectors in inputs.table.vectors.items():
        there = inputs.table.present[modality]
        known, unwanted = liked[there[liked]], disliked[there[disliked]]
        likeness = _at(vectors, inputs.candidates) @ vectors[np.concatenate([known, unwanted])].T  # (c, items)
        mine, theirs = likeness[:, : len(known)], likeness[:, len(known) :]
        for span in (_RECENT, _LAST):
            size = np.count_nonzero(there[liked[-span:]])
            found.append(mine[:, len(known) - size :].mean(axis=1) if size else nothing)
        found += [one.max(axis=1) if one.size else nothing for one in (mine, theirs)]
    return found


def _at(matrix: Floats, rows: Rows) -> Floats:
    """The rows of a matrix; not a copy where they are its first ones, as in a request."""
    first = len(rows) > 0 and rows[0] == 0 and rows[-1] == len(rows) - 1 and bool((np.diff(rows) == 1).all())
    return matrix[: len(rows)] if first else matrix[rows]


def _category_rows(inputs: Inputs) -> Iterator[Floats]:
    """How many of the items that the user acted on have the candidates' values."""
    for matrix in inputs.table.fields.categories.values():
        for span in (_RECENT, _LAST):
            known = inputs.positive[-span:]
            mean = matrix[known].mean(axis=0) if len(known) else np.zeros(matrix.shape[1], np.float32)
            yield matrix[inputs.candidates] @ mean


def _number_rows(inputs: Inputs) -> Iterator[Floats]:
    """The candidates' values, and how far they are from the mean of what the user acted on."""
    for column in inputs.table.fields.numbers.values():
        known = column[inputs.positive[-_RECENT:]] if len(inputs.positive) else np.zeros(0, np.float32)
        known = known[np.isfinite(known)]
        value = column[inputs.candidates]
        yield np.nan_to_num(value)
        yield np.nan_to_num(np.abs(value - known.mean()) if len(known) else np.zeros_like(value))


def _age(inputs: Inputs) -> Floats:
    """(1, c): log days. A log may be older than its catalogue's index: how long until then says nothing."""
    days = (inputs.now - inputs.table.since[inputs.candidates]) / DAY
    return np.log1p(np.maximum(np.nan_to_num(days), 0))[None]


def _constant(value: float, inputs: Inputs) -> Floats:
    return np.full((1, len(inputs.candidates)), value)


FEATURES = (
    Feature("counts", lambda _: counts.NAMES, lambda one: one.by_counts, (LOG, *_RELATIVE)),
    Feature("modality", _modality_names, _modality_rows, (*_RELATIVE, PLAIN)),
    Feature(
        "category",
        lambda catalogue: [f"{name}_{part}" for name in catalogue.categories for part in ("recent", "last")],
        lambda one: list(_category_rows(one)),
        (*_RELATIVE, PLAIN),
    ),
    Feature("content", lambda _: ("content",), lambda one: one.content[None], (*_RELATIVE, PLAIN)),
    Feature("two_tower", lambda _: ("two_tower",), lambda one: one.towers[None], (*_RELATIVE, PLAIN)),
    Feature(
        "number",
        lambda catalogue: [f"{name}_{part}" for name in catalogue.numbers for part in ("value", "distance")],
        lambda one: list(_number_rows(one)),
        (PLAIN,),
    ),
    Feature("age", lambda _: ("age",), _age, (PLAIN,)),
    Feature("unknown", lambda _: ("unknown",), lambda one: one.ids[None] == 0, (PLAIN,)),
    Feature("length", lambda _: ("length",), lambda one: _constant(np.log1p(len(one.positive)), one), (PLAIN,)),
    Feature(
        "gap",
        lambda _: ("gap",),
        lambda one: _constant(np.log1p(max(one.tokens.gaps[-1], 0.0) if len(one.tokens.gaps) else 0.0), one),
        (PLAIN,),
    ),
)
"""All features that this release makes."""


def feature_names(modalities: Sequence[Modality], fields: Fields | FieldScales) -> tuple[str, ...]:
    """The names of all that is made, of a catalogue with these modalities and fields."""
    catalogue = CatalogueFields(modalities, fields.categories, fields.numbers)
    return tuple(
        f"{name}{form.suffix}"
        for form in FORMS
        for feature in FEATURES
        if form in feature.forms
        for name in feature.names(catalogue)
    )


class DenseFeatures:
    """Makes the features that a network reads, in its order.

    Args:
        wanted: their names, in the order of the network's columns.
        made: what is made, `feature_names`.
        version: of the model, for the error; "" where it is not known.

    Raises:
        CheckpointError: if some of them are not made.
    """

    def __init__(self, wanted: Sequence[str], made: Sequence[str], version: str = "") -> None:
        check_names(version, wanted, made)
        column = {name: position for position, name in enumerate(made)}
        self._order = None if tuple(wanted) == tuple(made) else np.array([column[name] for name in wanted], np.intp)

    def __call__(self, inputs: Inputs) -> Floats:
        """(c, f) float32."""
        size = len(inputs.candidates)
        made = {one.name: one.rows(inputs) for one in FEATURES}
        rows = {name: np.asarray(found, np.float32).reshape(len(found), size) for name, found in made.items()}
        found = np.concatenate(
            [form.of(np.concatenate([rows[one.name] for one in FEATURES if form in one.forms])) for form in FORMS]
        )
        return np.ascontiguousarray((found if self._order is None else found[self._order]).T, np.float32)
