"""Filters in plain Python: what every store's filters mean."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from engine.core.errors import InvalidItemError
from engine.core.filters import And, AnyOf, DatetimeRange, FieldKind, Filter, GeoRadius, Match, Not, Or, Range, Schema
from engine.core.types import Json, Payload

_TIME = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?"
    r"|[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)|[T ]\d\d:\d\d:\d\d(\.\d+)?[+-]\d{4})?",
    re.ASCII,
)
"""RFC 3339, and shorter forms in UTC that Qdrant takes."""
_SECONDS = slice(17, 19)
"""Where the seconds are, which may be 60."""
_EARTH_RADIUS_M = 6_371_008.8
"""The mean radius, as Qdrant takes it."""


def matches(filter_: Filter, payload: Payload, schema: Schema) -> bool:
    """Whether a payload passes a filter that `check_filter` has passed.

    A field that holds a list passes if one of its values does. A value that is not of the field's kind passes
    no condition, as if it were missing.
    """
    match filter_:
        case Not(inner):
            return not matches(inner, payload, schema)
        case And(parts):
            return all(matches(part, payload, schema) for part in parts)
        case Or(parts):
            return any(matches(part, payload, schema) for part in parts)
        case Match(_, wanted):
            return any(value == wanted for value in values(payload, filter_.field, schema))
        case AnyOf(_, wanteds):
            return any(value in wanteds for value in values(payload, filter_.field, schema))
        case Range(_, gte, gt, lte, lt):
            return any(_between(value, gte, gt, lte, lt) for value in values(payload, filter_.field, schema))
        case DatetimeRange(_, gte_, gt_, lte_, lt_):
            bounds = [_seconds(bound) for bound in (gte_, gt_, lte_, lt_)]
            return any(_between(value, *bounds) for value in values(payload, filter_.field, schema))
        case GeoRadius(_, lat, lon, radius):
            return any(distance_m(point, (lat, lon)) < radius for point in values(payload, filter_.field, schema))


def values(payload: Payload, field: str, schema: Schema) -> Iterator[Any]:
    """The values of a field that are of its kind: times as seconds, places as (lat, lon) in degrees."""
    read = _READERS[schema[field]]
    for value in held(payload, field):
        known = read(value)
        if known is not None:
            yield known


def check_kinds(payload: Payload, schema: Schema) -> None:
    """Refuse a payload with a value that no filter on its field would find, such as a text in a field of numbers.

    A field of keywords may hold anything, and one of integers any number: what no filter finds there is shown all the
    same.

    Raises:
        InvalidItemError: for the first such value.
    """
    for name, kind in schema.items():
        if kind is FieldKind.KEYWORD:
            continue
        read = _number if kind is FieldKind.INTEGER else _READERS[kind]
        for value in held(payload, name):
            if value is not None and read(value) is None:
                shown = repr(value) if len(repr(value)) <= 40 else repr(value)[:39] + "…"
                problem = f"{name} is {shown}, but the field holds values of kind {kind}"
                remedy = f"correct it, leave it out, or declare the field in a new store: --field {name}=keyword"
                raise InvalidItemError(problem, remedy, field=name)


def held(payload: Payload, field: str) -> list[Json]:
    """What a field holds, one value or a list of them."""
    found: Any = payload
    for step in field.split("."):
        if not isinstance(found, Mapping) or step not in found:
            return []
        found = found[step]
    return found if isinstance(found, list) else [found]


def distance_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    """The great-circle distance in metres of two places, each (lat, lon) in degrees."""
    lat_a, lon_a, lat_b, lon_b = (math.radians(angle) for angle in (*a, *b))
    half = math.sin((lat_b - lat_a) / 2) ** 2
    half += math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return 2 * _EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(half)))


def _between(value: float, gte: float | None, gt: float | None, lte: float | None, lt: float | None) -> bool:
    return (
        (gte is None or value >= gte)
        and (gt is None or value > gt)
        and (lte is None or value <= lte)
        and (lt is None or value < lt)
    )


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def seconds_of(value: Json) -> float | None:
    """A time as it stands in a payload, in seconds since 1970; None if it is none that the stores compare."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return None
    leap = value[_SECONDS] == "60"
    try:
        time = datetime.fromisoformat((value[:17] + "59" + value[19:] if leap else value).upper())
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() + leap


def _place(value: Json) -> tuple[float, float] | None:
    if not isinstance(value, dict):
        return None
    lat, lon = _number(value.get("lat")), _number(value.get("lon"))
    return None if lat is None or lon is None else (lat, lon)


def _number(value: Json) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _integer(value: Json) -> int | None:
    number = _number(value)
    return int(number) if number is not None and float(number).is_integer() else None


_READERS: Mapping[FieldKind, Callable[[Json], Any]] = {
    FieldKind.KEYWORD: lambda value: value if isinstance(value, str) else None,
    FieldKind.INTEGER: _integer,
    FieldKind.FLOAT: _number,
    FieldKind.BOOL: lambda value: value if isinstance(value, bool) else None,
    FieldKind.DATETIME: seconds_of,
    FieldKind.GEO: _place,
}
