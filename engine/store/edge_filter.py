"""Our filters as Qdrant Edge's."""

import uuid
from collections.abc import Collection
from typing import Any, cast

import numpy as np
import qdrant_edge as edge

from engine.core.filters import And, AnyOf, DatetimeRange, Filter, GeoRadius, Match, Not, Or, Range, Scalar


def to_edge(filter_: Filter) -> edge.Filter:
    """Translate a filter that `engine.store.validate.check_filter` has passed."""
    match filter_:
        case Match(field, value):
            return _must(edge.FieldCondition(field, match=_value(value)))
        case AnyOf(field, values):
            if any(isinstance(value, bool) for value in values):  # MatchAny knows no booleans
                return edge.Filter(should=[edge.FieldCondition(field, match=_value(value)) for value in values])
            return _must(edge.FieldCondition(field, match=edge.MatchAny(cast(list[str], [*values]))))
        case Range(field, gte, gt, lte, lt):
            return _must(edge.FieldCondition(field, range=edge.RangeFloat(gte, gt, lte, lt)))
        case DatetimeRange(field, gte, gt, lte, lt):
            bounds = [bound.isoformat() if bound else None for bound in (gte, gt, lte, lt)]
            return _must(edge.FieldCondition(field, range=edge.RangeDateTime(*bounds)))
        case GeoRadius(field, lat, lon, radius):
            circle = edge.GeoRadius(edge.GeoPoint(lon, lat), radius)
            return _must(edge.FieldCondition(field, geo_radius=circle))
        case Not(inner):
            return edge.Filter(must_not=[to_edge(inner)])
        case And(parts):
            return edge.Filter(must=[to_edge(part) for part in parts])
        case Or(parts):
            return edge.Filter(should=[to_edge(part) for part in parts])


def narrowed(
    filter_: Filter | None, exclude: Collection[uuid.UUID], among: Collection[uuid.UUID] | None = None
) -> edge.Filter | None:
    """The filter, none of some points, and only some."""
    must: list[Any] = [to_edge(filter_)] if filter_ is not None else []
    if among is not None:
        must.append(edge.HasIdCondition({*among}))
    must_not: list[Any] = [edge.HasIdCondition({*exclude})] if exclude else []
    return edge.Filter(must=must, must_not=must_not) if must or must_not else None


def _must(condition: edge.FieldCondition) -> edge.Filter:
    return edge.Filter(must=[condition])


def _value(value: Scalar) -> edge.MatchValue:
    """Edge 0.9 takes Python's booleans for the numbers 0 and 1, which no boolean equals; but not numpy's."""
    return edge.MatchValue(cast(bool, np.bool_(value)) if isinstance(value, bool) else value)
