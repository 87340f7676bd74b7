"""Which items: conditions in words or as a dict become a filter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from triveni.client.errors import InvalidError
from triveni.client.times import aware
from triveni.v1 import filter_pb2

Filter: TypeAlias = str | Mapping[str, Any] | Sequence["str | Mapping[str, Any]"]
"""A filter, as it may be written; see `filter_of`."""

BOUNDS = {">=": "gte", ">": "gt", "<=": "lte", "<": "lt"}
_CONDITION = r"(?s)^(?P<field>[^=<>!]+?)\s*(?P<op>!=|>=|<=|=|>|<)\s*(?P<value>.+)$"
_AND = r'(?i)\s+and\s+(?=(?:[^"]*"[^"]*")*[^"]*$)'
"""An "and" outside of double quotes."""
_NUMBER = r"[+-]?(\d{1,18}(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?"
_TIME = r"\d{4}-\d\d-\d\d([Tt ]\d\d:.*)?"
_EXACT = 10**15
"""Whole numbers from here on a floating-point number may not hold."""
_GROUPS = ("all_of", "any_of")

Value: TypeAlias = str | bool | int | float | datetime


def filter_of(given: Filter | None) -> filter_pb2.Filter | None:
    """A filter; None, or nothing in it, is no filter.

    In words: `category=birds`, `category=birds|fish` (one of), `category!=food`, `price<10`, `created>=2025-01-31`,
    and several with "and" between, or in a list. Numbers, times (RFC 3339; in UTC where no zone is said, and at
    midnight where no hour is) and true/false are read as such, unless they stand in double quotes.

    As a dict, of which all must hold: `{"category": "birds"}`, `{"category": ["birds", "fish"]}`,
    `{"category": {"not": "food"}}`, `{"price": {"gte": 5, "lt": 10}}`, `{"created": {"gte": datetime(...)}}`,
    `{"place": {"near": (48.1, 11.6), "metres": 500}}`; `{"any_of": [filter, ...]}`, `{"all_of": [filter, ...]}`,
    `{"not": filter}`.

    Raises:
        InvalidError: if a condition cannot be read.
    """
    if given is None:
        return None
    if isinstance(given, str):
        return all_of([condition(words) for words in re.split(_AND, given.strip())])
    if isinstance(given, Mapping):
        return all_of([_named(name, value) for name, value in given.items()])
    found = [filter_of(one) for one in given]
    return all_of([one for one in found if one is not None])


def all_of(filters: Sequence[filter_pb2.Filter]) -> filter_pb2.Filter | None:
    """That all of them hold; None if there is none."""
    if len(filters) < 2:
        return filters[0] if filters else None
    return filter_pb2.Filter(all_of=filter_pb2.FilterList(filters=filters))


# In words ---------------------------------------------------------------------------------------------------


def condition(said: str) -> filter_pb2.Filter:
    """One condition in words.

    Raises:
        InvalidError: if it cannot be read.
    """
    found = re.match(_CONDITION, said.strip())
    if found is None:
        remedy = "write field=value, field!=value, field<number or field>=2025-01-31"
        raise InvalidError(f"cannot read the filter {said!r}", remedy, reason="FILTER")
    field, op, words = found["field"], found["op"], found["value"]
    if op in BOUNDS:
        bound = _ordered(words)
        if bound is None:
            problem = f"{words!r} in the filter {said!r} is neither a number nor a time"
            remedy = "compare with one such as 10, 2025-01-31 or 2025-01-31T12:00:00Z"
            raise InvalidError(problem, remedy, reason="FILTER")
        return _range(field, {BOUNDS[op]: bound})
    equal = _one_of(field, [_value(each) for each in words.split("|")])
    return filter_pb2.Filter(negated=equal) if op == "!=" else equal


def _ordered(words: str) -> int | float | datetime | None:
    """A number, or a time with a zone; None for anything else."""
    if re.fullmatch(_NUMBER, words):
        return int(words) if re.fullmatch(r"-?\d+", words) else float(words)
    if not re.fullmatch(_TIME, words):
        return None
    try:
        time = datetime.fromisoformat(words.upper())
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _value(words: str) -> Value:
    if len(words) > 1 and words[0] == words[-1] == '"':
        return words[1:-1]
    if words in ("true", "false"):
        return words == "true"
    found = _ordered(words)
    return words if found is None else found


# As a dict --------------------------------------------------------------------------------------------------


def _named(name: str, value: Any) -> filter_pb2.Filter:
    if name in _GROUPS and isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        filters = [one for each in value if (one := filter_of(each)) is not None]
        if not filters:
            raise InvalidError(f"{name} of the filter is empty", "give it filters", reason="FILTER")
        group = filter_pb2.FilterList(filters=filters)
        return filter_pb2.Filter(all_of=group) if name == "all_of" else filter_pb2.Filter(any_of=group)
    if name == "not" and isinstance(value, str | Mapping):
        inner = filter_of(value)
        if inner is None:
            raise InvalidError("not of the filter is empty", "give it a filter", reason="FILTER")
        return filter_pb2.Filter(negated=inner)
    if not isinstance(value, Mapping):
        values = [value] if isinstance(value, str | bool | int | float | datetime) else list(value or ())
        if not values:
            raise InvalidError(
                f"the filter says nothing of {name!r}", "give a value, a list or bounds", reason="FILTER"
            )
        return _one_of(name, values)
    if value.keys() == {"not"}:
        return filter_pb2.Filter(negated=_named(name, value["not"]))
    if value.keys() == {"near", "metres"}:
        latitude, longitude = value["near"]
        radius = filter_pb2.GeoRadius(field=name, lat=latitude, lon=longitude, radius_m=value["metres"])
        return filter_pb2.Filter(geo_radius=radius)
    unknown = sorted(set(value) - set(BOUNDS.values()))
    if unknown or not value:
        problem = f"cannot read {value!r} of the filter's field {name!r}"
        raise InvalidError(problem, "use gte, gt, lte, lt; not; near with metres", reason="FILTER")
    return _range(name, {bound: _bound(name, one) for bound, one in value.items()})


def _bound(name: str, value: Any) -> int | float | datetime:
    found = _ordered(value) if isinstance(value, str) else value
    if isinstance(found, datetime):
        return aware(found, name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        problem = f"bound {value!r} of the filter's field {name!r} is neither a number nor a time"
        raise InvalidError(problem, "compare with one such as 10 or datetime.now(UTC)", reason="FILTER")
    return found


# Both -------------------------------------------------------------------------------------------------------


def _one_of(field: str, values: Sequence[Value]) -> filter_pb2.Filter:
    """That a field equals one of the values. A number or time is a range with equal ends: no field of fractions or
    times is matched."""
    filters, scalars = [], []
    for value in {(type(one), one): one for one in values}.values():  # True == 1
        if isinstance(value, str | bool) or (isinstance(value, int) and abs(value) >= _EXACT):
            scalars.append(_scalar(value))
        elif isinstance(value, datetime):
            filters.append(_range(field, {"gte": aware(value, field), "lte": aware(value, field)}))
        elif isinstance(value, int | float):
            filters.append(_range(field, {"gte": value, "lte": value}))
        else:
            remedy = "use texts, numbers, times, true or false"
            raise InvalidError(f"value {value!r} of the filter's field {field!r} is none", remedy, reason="FILTER")
    if len(scalars) == 1:
        filters.append(filter_pb2.Filter(match=filter_pb2.Match(field=field, value=scalars[0])))
    elif scalars:
        filters.append(filter_pb2.Filter(match_any=filter_pb2.MatchAny(field=field, values=scalars)))
    return filters[0] if len(filters) == 1 else filter_pb2.Filter(any_of=filter_pb2.FilterList(filters=filters))


def _scalar(value: str | int) -> filter_pb2.Scalar:
    if isinstance(value, bool):
        return filter_pb2.Scalar(bool_value=value)
    if isinstance(value, int):
        return filter_pb2.Scalar(int_value=value)
    return filter_pb2.Scalar(string_value=value)


def _range(field: str, bounds: Mapping[str, Any]) -> filter_pb2.Filter:
    """That a number or time lies between bounds, which are all numbers or all times."""
    times = {isinstance(bound, datetime) for bound in bounds.values()}
    if len(times) > 1:
        raise InvalidError(f"bounds of {field!r} are numbers and times", "use the one or the other", reason="FILTER")
    if times == {True}:
        return filter_pb2.Filter(datetime_range=filter_pb2.DatetimeRange(field=field, **bounds))
    return filter_pb2.Filter(range=filter_pb2.Range(field=field, **bounds))
