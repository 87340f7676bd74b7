"""What every store refuses, before it reads or writes anything."""

import math
import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from encoders.errors import VectorError
from encoders.types import Floats, Modality
from engine.core.errors import InvalidItemError, InvalidQueryError, StoreError
from engine.core.filters import And, AnyOf, DatetimeRange, FieldKind, Filter, GeoRadius, Match, Not, Or, Range, Schema
from engine.core.payload import check_payload
from engine.core.types import check_id
from engine.store.base import Point, VectorQuery
from engine.store.parts import rows_of
from engine.store.words import WORDS, WordVector

Columns = Mapping[Modality, tuple[npt.NDArray[np.intp], Floats]]
"""Per modality the rows (k,) that have it, and their vectors (k, d). A point of one part each is one row."""

_FIELD_NAME = re.compile(r"[\w-]+(\.[\w-]+)*")
_TAKES: dict[FieldKind, tuple[type, ...]] = {
    FieldKind.KEYWORD: (Match, AnyOf),
    FieldKind.INTEGER: (Match, AnyOf, Range),
    FieldKind.FLOAT: (Range,),
    FieldKind.BOOL: (Match, AnyOf),
    FieldKind.DATETIME: (DatetimeRange,),
    FieldKind.GEO: (GeoRadius,),
}
_WITH = {
    FieldKind.KEYWORD: "a text, in double quotes on a command line",
    FieldKind.INTEGER: "a whole number",
    FieldKind.FLOAT: "a number",
    FieldKind.BOOL: "true or false",
    FieldKind.DATETIME: "a time, such as 2025-01-31 or 2025-01-31T12:00:00Z",
    FieldKind.GEO: "a place",
}
_VALUES = {FieldKind.KEYWORD: str, FieldKind.INTEGER: int, FieldKind.BOOL: bool}
ORDERED = (FieldKind.INTEGER, FieldKind.FLOAT, FieldKind.DATETIME)
"""The kinds that a scroll can be ordered by."""


def check_points(points: Sequence[Point], dimension: int, modalities: Collection[Modality]) -> Columns:
    """Refuse points that cannot be stored, and gather the vectors of the others.

    Returns:
        Per modality the rows (k,) that have it, and their vectors at length 1, float32 (k, d). Each point has one
        row; where some have several parts, their rows lie as `engine.store.parts.row_starts` says.

    Raises:
        InvalidItemError: if an id cannot name an item, or a payload is not plain data.
        VectorError: if there is no vector, or one is of another modality or dimension, or holds NaN, infinity
            or only zeros.
    """
    positions: dict[Modality, list[int]] = {}
    rows: list[Mapping[Modality, Floats]] = []
    ids: list[str] = []
    for point in points:
        check_id(point.id)
        _check_payload(point)
        if not point.vectors:
            raise VectorError(f"item {point.id!r} has no vector", "give it one of at least one modality")
        if point.more:
            _check_more(point)
        for row in rows_of(point):
            for modality, vector in row.items():
                where = f"{modality} vector of item {point.id!r}"
                if modality not in modalities:
                    raise VectorError(f"{where} has no place in this store", f"it keeps {', '.join(modalities)}")
                _check_shape(vector, dimension, where)
                positions.setdefault(modality, []).append(len(rows))
            rows.append(row)
            ids.append(point.id)
    columns = {}
    for modality, owners in positions.items():
        matrix = np.stack([rows[owner][modality] for owner in owners]).astype(np.float32, copy=False)
        with np.errstate(over="ignore"):
            norms = np.linalg.norm(matrix, axis=1, keepdims=True)
        for row in np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))[:1]:
            check_vector(matrix[row], dimension, f"{modality} vector of item {ids[owners[row]]!r}")
        columns[modality] = np.asarray(owners, np.intp), np.asarray(matrix / norms, np.float32)
    return columns


def _check_more(point: Point) -> None:
    for modality, matrix in point.more.items():
        if modality not in point.vectors or np.ndim(matrix) != 2 or not len(matrix):
            problem = f"further {modality} parts of item {point.id!r} have shape {np.shape(matrix)}"
            raise VectorError(problem, "give a first part, and the others as rows (k, d)")


def _check_shape(vector: Floats, dimension: int, where: str) -> None:
    if np.shape(vector) != (dimension,):
        raise VectorError(
            f"{where} has shape {np.shape(vector)}, not ({dimension},)", "encode it with the store's space"
        )


def check_vector(vector: Floats, dimension: int, where: str) -> None:
    """Refuse a vector of the wrong shape, or that is not finite, or all zeros, which has no direction.

    Args:
        vector: the vector.
        dimension: that it should have.
        where: for the message.

    Raises:
        VectorError: naming `where` it is.
    """
    _check_shape(vector, dimension, where)
    with np.errstate(over="ignore"):
        norm = float(np.linalg.norm(np.asarray(vector, np.float32)))
    if not math.isfinite(norm):
        raise VectorError(f"{where} holds NaN or infinity, or numbers too large", "send finite numbers")
    if norm == 0:
        raise VectorError(f"{where} is all zeros", "leave the modality out instead")


def check_queries(
    queries: Sequence[VectorQuery],
    dimension: int,
    modalities: Collection[Modality],
    schema: Schema,
    extra: Mapping[str, int],
) -> None:
    """Refuse searches that make no sense.

    Raises:
        InvalidQueryError: if a limit is not positive, a vector is not kept, or a filter does not fit.
        VectorError: if a vector has the wrong dimension, is not finite or is all zeros.
    """
    checked: set[int] = set()
    for query in queries:
        check_limit(query.limit)
        if query.filter is not None and id(query.filter) not in checked:
            check_filter(query.filter, schema)
            checked.add(id(query.filter))
        if isinstance(query.vector, WordVector):
            if query.modality != WORDS:
                raise InvalidQueryError(f"words are asked of {query.modality}", f"ask them of {WORDS}")
            continue
        if query.modality not in modalities and query.modality not in extra:
            what = "modality" if isinstance(query.modality, Modality) else "vector"
            raise InvalidQueryError(
                f"{what} {query.modality} is not in this store",
                f"it keeps {', '.join([*modalities, *extra])}",
                field="modalities",
            )
        check_vector(query.vector, extra.get(query.modality, dimension), "query vector")


def check_limit(limit: int) -> None:
    """Refuse a limit that is not positive.

    Raises:
        InvalidQueryError: if it is zero or negative.
    """
    if limit <= 0:
        raise InvalidQueryError(f"limit is {limit}", "ask for at least 1", field="limit")


def check_scroll(
    schema: Schema, filter_: Filter | None, cursor: str | None, limit: int, order_by: str | None
) -> None:
    """Refuse a scroll that makes no sense.

    Raises:
        InvalidQueryError: if the limit is not positive, the cursor is none of ours, the filter does not fit, or
            the order is by a field that is not a number or time, or has a cursor as well.
    """
    check_limit(limit)
    if filter_ is not None:
        check_filter(filter_, schema)
    if cursor is not None:
        try:
            ours = str(uuid.UUID(cursor)) == cursor  # which takes braces and more, as no store does
        except ValueError:
            ours = False
        if not ours:
            raise InvalidQueryError(
                f"cursor {cursor[:80]!r} is not valid", "send one that a page gave", field="cursor"
            )
    if order_by is None:
        return
    if schema.get(order_by) not in ORDERED:
        have = ", ".join(sorted(name for name, kind in schema.items() if kind in ORDERED)) or "none"
        raise InvalidQueryError(f"cannot order by {order_by!r}", f"fields with an order: {have}", field="order_by")
    if cursor is not None:
        raise InvalidQueryError("a cursor together with order_by", "an ordered scroll has one page", field="cursor")


def new_fields(wanted: Schema, schema: Schema) -> Schema:
    """The fields that are not indexed yet.

    Raises:
        StoreError: if a field is indexed as another kind, or its name is no path of plain words.
    """
    for name, kind in wanted.items():
        if not _FIELD_NAME.fullmatch(name):
            raise StoreError(
                f"payload field {name!r} cannot be indexed", "use letters, digits, _ and -, and . between levels"
            )
        if schema.get(name, kind) != kind:
            raise StoreError(
                f"payload field {name!r} is indexed as {schema[name]}, not {kind}",
                "use another field, or a new collection",
            )
    return {name: kind for name, kind in wanted.items() if name not in schema}


def slice_columns(columns: Columns, start: int, stop: int) -> Columns:
    """The columns of the rows from `start` to `stop`."""
    parts = {}
    for modality, (positions, matrix) in columns.items():
        first, last = np.searchsorted(positions, [start, stop])
        if last > first:
            parts[modality] = positions[first:last] - start, matrix[first:last]
    return parts


def check_filter(filter_: Filter, schema: Schema) -> None:
    """Refuse a filter that the payload indexes cannot answer.

    Raises:
        InvalidQueryError: naming the field, and what it or the schema takes instead.
    """
    match filter_:
        case Not(inner):
            check_filter(inner, schema)
        case And(parts) | Or(parts):
            if not parts:
                raise _bad(f"{type(filter_).__name__.lower()} filter without parts", "give it at least one")
            for part in parts:
                check_filter(part, schema)
        case _:
            _check_condition(filter_, schema)


def _check_condition(filter_: Match | AnyOf | Range | DatetimeRange | GeoRadius, schema: Schema) -> None:
    name = filter_.field
    kind = schema.get(name)
    if kind is None:
        have = ", ".join(sorted(schema)) or "none; name them under index.fields"
        raise _bad(f"unknown filter field {name!r}", f"fields that can be filtered on: {have}")
    if not isinstance(filter_, _TAKES[kind]):
        takes = " or ".join(one.__name__ for one in _TAKES[kind])
        problem = f"{type(filter_).__name__} does not fit field {name!r}, which is {kind}"
        raise _bad(problem, f"use {takes} with {_WITH[kind]}")
    match filter_:
        case Match(_, value):
            _check_value(value, kind, name)
        case AnyOf(_, values):
            if not values:
                raise _bad(f"filter on {name!r} has no values", "give it at least one")
            for value in values:
                _check_value(value, kind, name)
        case Range(_, gte, gt, lte, lt):
            numbers = [bound for bound in (gte, gt, lte, lt) if bound is not None]
            if not numbers or any(math.isnan(bound) for bound in numbers):
                raise _bad(f"range on {name!r} has no bound, or NaN", "give it gte, gt, lte or lt")
            _check_ends(name, filter_)
        case DatetimeRange(_, gte, gt, lte, lt):
            times: list[datetime] = [bound for bound in (gte, gt, lte, lt) if bound is not None]
            if not times or any(bound.tzinfo is None for bound in times):
                raise _bad(f"time range on {name!r} has no bound, or one without time zone", "give it RFC 3339 times")
            _check_ends(name, filter_)
        case GeoRadius(_, lat, lon, radius):
            if not (abs(lat) <= 90 and abs(lon) <= 180 and 0 <= radius < math.inf):
                raise _bad(
                    f"circle on {name!r} has lat {lat}, lon {lon}, radius {radius} m",
                    "lat is within 90, lon within 180 degrees, the radius not negative",
                )


def _check_ends(name: str, range_: Range | DatetimeRange) -> None:
    """Qdrant's indexes look at one bound for each end."""
    for loose, strict in (("gte", "gt"), ("lte", "lt")):
        if getattr(range_, loose) is not None and getattr(range_, strict) is not None:
            raise _bad(f"range on {name!r} has both {loose} and {strict}", "give it one of them")


def _check_value(value: object, kind: FieldKind, name: str) -> None:
    if type(value) is not _VALUES[kind]:
        raise _bad(f"filter value {value!r} does not fit field {name!r}, which is {kind}", f"use {_WITH[kind]}")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise _bad(f"filter value {value} does not fit field {name!r}", "use 64-bit integers")


def _bad(problem: str, remedy: str) -> InvalidQueryError:
    return InvalidQueryError(problem, remedy, field="filter")


def _check_payload(point: Point) -> None:
    try:
        check_payload(point.payload)
    except InvalidItemError as error:
        raise InvalidItemError(f"item {point.id!r}: {error.problem}", error.remedy, field=error.field) from None
