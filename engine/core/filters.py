"""Filters over payload fields: the kinds that every store can answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

Scalar = str | int | bool


class FieldKind(StrEnum):
    """How a payload field is indexed, and so which filters it takes."""

    KEYWORD = "keyword"
    INTEGER = "integer"
    FLOAT = "float"
    BOOL = "bool"
    DATETIME = "datetime"
    GEO = "geo"


Schema = dict[str, FieldKind]
"""The payload fields that can be filtered on."""


@dataclass(frozen=True, slots=True)
class Match:
    """The field equals a value, or is a list that holds it."""

    field: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The field equals one of the values, or is a list that holds one."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The number lies between the bounds; a bound that is None is open."""

    field: str
    gte: float | None = None
    gt: float | None = None
    lte: float | None = None
    lt: float | None = None


@dataclass(frozen=True, slots=True)
class DatetimeRange:
    """The time (RFC 3339 in the payload) lies between the bounds, which carry a time zone."""

    field: str
    gte: datetime | None = None
    gt: datetime | None = None
    lte: datetime | None = None
    lt: datetime | None = None


@dataclass(frozen=True, slots=True)
class GeoRadius:
    """The point ({"lat": degrees, "lon": degrees} in the payload) lies within so many metres of another."""

    field: str
    lat: float
    lon: float
    radius_m: float


@dataclass(frozen=True, slots=True)
class Not:
    """The filter does not hold."""

    filter: "Filter"


@dataclass(frozen=True, slots=True)
class And:
    """All hold."""

    filters: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """At least one holds."""

    filters: "tuple[Filter, ...]"


Filter = Match | AnyOf | Range | DatetimeRange | GeoRadius | Not | And | Or


def fields(filter_: Filter) -> Iterator[str]:
    """The payload fields that a filter names."""
    match filter_:
        case Not(inner):
            yield from fields(inner)
        case And(parts) | Or(parts):
            for part in parts:
                yield from fields(part)
        case _:
            yield filter_.field
