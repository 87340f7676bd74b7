"""Checks of a query before any work is done for it."""

import math

import numpy as np

from encoders.errors import SpaceError, VectorError
from encoders.spaces.space import SpaceManifest
from encoders.types import Modality
from engine.core.errors import InvalidQueryError
from engine.core.types import Event, EventKind, PolicyOptions, Query, VectorInput

MAX_PARTS = 64
"""Of one query. Work and memory grow with the square of the parts and events that are used."""
MAX_HISTORY = 10_000
"""Events that a query may come with; of these the newest are used, see `FuseSettings.max_events`."""
MAX_EXCLUDED = 10_000
MAX_HALF_LIFE_DAYS = 3_650


def check_query(query: Query, manifest: SpaceManifest, max_limit: int) -> None:
    """Refuse a query that makes no sense.

    Raises:
        InvalidQueryError: if the limit, a weight, an event or a policy option is out of range, or there are too many
            parts, events or excluded items.
        SpaceError: if a vector is of another space, or a modality is one that the space lacks.
        VectorError: if a vector has the wrong dimension, or NaN, infinity or only zeros.
    """
    if not 1 <= query.limit <= max_limit:
        raise InvalidQueryError(f"limit is {query.limit}", f"send 1 to {max_limit}", field="query.limit")
    if query.depth > max_limit:
        problem = f"{len(query.shown)} were shown, and {query.limit} more make {query.depth}"
        raise InvalidQueryError(problem, f"a list ends after {max_limit}: narrow it by a filter", field="query.limit")
    check_length(len(query.parts), MAX_PARTS, "parts", "query.parts")
    check_length(len(query.history), MAX_HISTORY, "events", "query.history")
    check_length(len(query.policy.exclude), MAX_EXCLUDED, "excluded items", "query.policy.exclude")
    for modality in query.modalities:
        check_modality(modality, manifest, "query.modalities")
    for index, part in enumerate(query.parts):
        name = f"query.parts[{index}]"
        if not math.isfinite(part.weight):
            raise InvalidQueryError(f"weight is {part.weight}", "send a finite number", field=f"{name}.weight")
        if isinstance(part.source, VectorInput):
            check_vector(part.source, manifest, f"{name}.vector")
    for index, event in enumerate(query.history):
        _check_event(event, f"query.history[{index}]")
    _check_policy(query.policy)
    days = query.half_life_days
    if days is not None and not 0 < days <= MAX_HALF_LIFE_DAYS:
        remedy = f"send more than 0 and at most {MAX_HALF_LIFE_DAYS:,} days"
        raise InvalidQueryError(f"half-life is {days:g} days", remedy, field="query.half_life_days")


def check_length(length: int, most: int, what: str, field: str) -> None:
    """Refuse a list that is too long.

    Raises:
        InvalidQueryError: if it is.
    """
    if length > most:
        raise InvalidQueryError(f"query has {length} {what}", f"send {most} at most", field=field)


def check_modality(modality: Modality, manifest: SpaceManifest, field: str) -> None:
    """Refuse a modality that the space has no encoder for.

    Raises:
        SpaceError: if it has none.
    """
    if modality not in manifest.encoders:
        have = ", ".join(manifest.encoders)
        raise SpaceError(f"space {manifest.name} has no {modality} encoder", f"use one of {have}", field=field)


def check_vector(vector: VectorInput, manifest: SpaceManifest, field: str) -> None:
    """Refuse a vector that cannot meet those of the space.

    Raises:
        SpaceError: if it is of another space, or of a modality that the space lacks.
        VectorError: if it has the wrong dimension, or NaN, infinity or only zeros.
    """
    if vector.fingerprint and vector.fingerprint != manifest.fingerprint:
        raise SpaceError(
            f"vector is of space {vector.fingerprint}, this is space {manifest.fingerprint} ({manifest.name})",
            "encode the content with this space",
            field=field,
        )
    check_modality(vector.modality, manifest, field)
    values = np.asarray(vector.values)
    if values.shape != (manifest.dimension,):
        shape = "x".join(map(str, values.shape))
        raise VectorError(
            f"vector has dimension {shape}, space {manifest.name} has {manifest.dimension}",
            "encode the content with this space",
            field=field,
        )
    if not np.isfinite(values).all() or not values.any():
        raise VectorError(
            "vector holds NaN or infinity, or is all zeros", "send finite, non-zero numbers", field=field
        )


def _check_event(event: Event, field: str) -> None:
    if event.value is not None and not (math.isfinite(event.value) and event.value >= 0):
        raise InvalidQueryError(f"value is {event.value}", "send a finite number, 0 or more", field=f"{field}.value")
    if event.time is not None and event.time.tzinfo is None:
        raise InvalidQueryError(f"time {event.time} has no time zone", "add one", field=f"{field}.time")
    if event.kind == EventKind.RATE and event.value is not None and not 1 <= event.value <= 5:
        raise InvalidQueryError(f"rating is {event.value:g}", "send 1 to 5 stars", field=f"{field}.value")


def _check_policy(options: PolicyOptions) -> None:
    diversity, least, rate = options.diversity, options.min_score, options.max_false_positive_rate
    if diversity is not None and not 0 <= diversity <= 1:
        raise InvalidQueryError(f"diversity is {diversity:.6g}", "send 0 to 1", field="query.policy.diversity")
    if least is not None and math.isnan(least):
        raise InvalidQueryError("min_score is NaN", "send a number", field="query.policy.min_score")
    if rate is not None and not 0 < rate <= 1:
        remedy, field = "send more than 0 and at most 1, such as 0.01", "query.policy.max_false_positive_rate"
        raise InvalidQueryError(f"max_false_positive_rate is {rate:.6g}", remedy, field=field)
    for name, most in options.max_per_value.items():
        if most < 1:
            field = f"query.policy.max_per_value[{name}]"
            raise InvalidQueryError(f"max_per_value of {name} is {most}", "send 1 or more", field=field)
