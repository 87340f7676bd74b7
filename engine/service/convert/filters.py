"""filter.proto: conditions on payload fields."""

from encoders.errors import TriveniError
from engine.core.errors import InvalidQueryError
from engine.core.filters import And, AnyOf, DatetimeRange, Filter, GeoRadius, Match, Not, Or, Range, Scalar
from engine.service.convert.fields import time_of, within
from triveni.v1 import filter_pb2

MAX_DEPTH = 16
_BOUNDS = ("gte", "gt", "lte", "lt")


def filter_of(message: filter_pb2.Filter, depth: int = 0) -> Filter:
    """A filter. Whether its fields are indexed is for the store to say.

    Raises:
        InvalidQueryError: if a filter is empty, lacks a value or bound, or is nested deeper than `MAX_DEPTH`.
    """
    if depth >= MAX_DEPTH:
        raise InvalidQueryError(f"filter is nested more than {MAX_DEPTH} deep", "flatten it with all_of and any_of")
    kind = message.WhichOneof("filter")
    if kind is None:
        raise InvalidQueryError("filter is empty", "set one of its conditions, or leave the filter out")
    try:
        return _condition(kind, message, depth)
    except TriveniError as error:
        raise within(error, kind) from None


def _condition(kind: str, message: filter_pb2.Filter, depth: int) -> Filter:
    match kind:
        case "match":
            return Match(_field(message.match.field), _scalar(message.match.value, "value"))
        case "match_any":
            return _any(message.match_any)
        case "range":
            return _range(message.range)
        case "datetime_range":
            return _datetime_range(message.datetime_range)
        case "geo_radius":
            return _geo(message.geo_radius)
        case "negated":
            return Not(filter_of(message.negated, depth + 1))
        case "all_of":
            return And(_list(message.all_of, depth))
        case _:
            return Or(_list(message.any_of, depth))


def _field(name: str) -> str:
    if not name or "\0" in name:
        raise InvalidQueryError("filter names no field", "name a payload field", field="field")
    if name.startswith("_"):
        raise InvalidQueryError(f"field {name!r} begins with _", "such fields are the engine's own", field="field")
    return name


def _scalar(message: filter_pb2.Scalar, field: str) -> Scalar:
    match message.WhichOneof("value"):
        case "string_value":
            return message.string_value
        case "int_value":
            return message.int_value
        case "bool_value":
            return message.bool_value
        case _:
            raise InvalidQueryError("value is empty", "set string_value, int_value or bool_value", field=field)


def _any(message: filter_pb2.MatchAny) -> AnyOf:
    if not message.values:
        raise InvalidQueryError("match_any has no values", "name at least one", field="values")
    return AnyOf(
        _field(message.field), tuple(_scalar(value, f"values[{row}]") for row, value in enumerate(message.values))
    )


def _range(message: filter_pb2.Range) -> Range:
    bounds = {bound: getattr(message, bound) for bound in _BOUNDS if message.HasField(bound)}
    if not bounds:
        raise InvalidQueryError("range has no bound", f"set one of {', '.join(_BOUNDS)}")
    for bound, value in bounds.items():
        if value != value:
            raise InvalidQueryError(f"bound {bound} is NaN", "send a number", field=bound)
    return Range(_field(message.field), **bounds)


def _datetime_range(message: filter_pb2.DatetimeRange) -> DatetimeRange:
    bounds = {bound: time_of(getattr(message, bound), bound) for bound in _BOUNDS if message.HasField(bound)}
    if not bounds:
        raise InvalidQueryError("datetime_range has no bound", f"set one of {', '.join(_BOUNDS)}")
    return DatetimeRange(_field(message.field), **bounds)


def _geo(message: filter_pb2.GeoRadius) -> GeoRadius:
    for name, value, limit in (("lat", message.lat, 90.0), ("lon", message.lon, 180.0)):
        if not abs(value) <= limit:
            raise InvalidQueryError(f"{name} is {value}", f"send degrees from {-limit:g} to {limit:g}", field=name)
    if not 0 < message.radius_m < float("inf"):
        raise InvalidQueryError(f"radius_m is {message.radius_m}", "send metres, more than 0", field="radius_m")
    return GeoRadius(_field(message.field), message.lat, message.lon, message.radius_m)


def _list(message: filter_pb2.FilterList, depth: int) -> tuple[Filter, ...]:
    if not message.filters:
        raise InvalidQueryError("list of filters is empty", "give at least one", field="filters")
    parts = []
    for row, part in enumerate(message.filters):
        try:
            parts.append(filter_of(part, depth + 1))
        except TriveniError as error:
            raise within(error, f"filters[{row}]") from None
    return tuple(parts)
