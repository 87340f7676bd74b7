"""Our filters as those of qdrant-client."""

from collections.abc import Collection
from typing import Any

from qdrant_client import models

from engine.core.filters import And, AnyOf, DatetimeRange, Filter, GeoRadius, Match, Not, Or, Range


def to_server(filter_: Filter) -> models.Filter:
    """Translate a filter that `engine.store.validate.check_filter` has passed."""
    match filter_:
        case Match(field, value):
            return _must(models.FieldCondition(key=field, match=models.MatchValue(value=value)))
        case AnyOf(field, values):
            if any(isinstance(value, bool) for value in values):  # MatchAny knows no booleans
                return to_server(Or(tuple(Match(field, value) for value in values)))
            wanted: Any = [*values]
            return _must(models.FieldCondition(key=field, match=models.MatchAny(any=wanted)))
        case Range(field, gte, gt, lte, lt):
            return _must(models.FieldCondition(key=field, range=models.Range(gte=gte, gt=gt, lte=lte, lt=lt)))
        case DatetimeRange(field, gte_, gt_, lte_, lt_):
            times = models.DatetimeRange(gte=gte_, gt=gt_, lte=lte_, lt=lt_)
            return _must(models.FieldCondition(key=field, range=times))
        case GeoRadius(field, lat, lon, radius):
            circle = models.GeoRadius(center=models.GeoPoint(lat=lat, lon=lon), radius=radius)
            return _must(models.FieldCondition(key=field, geo_radius=circle))
        case Not(inner):
            return models.Filter(must_not=[to_server(inner)])
        case And(parts):
            return models.Filter(must=[to_server(part) for part in parts])
        case Or(parts):
            return models.Filter(should=[to_server(part) for part in parts])


def narrowed(
    filter_: Filter | None, exclude: Collection[str], among: Collection[str] | None = None
) -> models.Filter | None:
    """The filter, none of some points, and only some."""
    must: list[Any] = [to_server(filter_)] if filter_ is not None else []
    if among is not None:
        must.append(models.HasIdCondition(has_id=[*among]))
    must_not: list[Any] = [models.HasIdCondition(has_id=[*exclude])] if exclude else []
    return models.Filter(must=must, must_not=must_not) if must or must_not else None


def _must(condition: models.FieldCondition) -> models.Filter:
    return models.Filter(must=[condition])
