"""Checks of one event or served list before it is kept. Field names are those of the wire contract and of files."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from encoders.types import Audio, Image, Text
from engine.core.kinds import STANDARD_KINDS, EventKinds
from engine.core.types import MAX_ID_BYTES, Event, EventKind, UserId, VectorInput
from engine.events.errors import EventError
from engine.events.times import EPOCH
from engine.events.types import MARKS, Impression, UserEvent

_CONTENT_KINDS = (EventKind.SEARCH, EventKind.UPLOAD)


def as_told(user: str) -> UserId:
    """The id of a person as it came."""
    return UserId(user)


@dataclass(frozen=True, slots=True)
class EventLimits:
    """What is kept: the largest event, of which kinds, and under which names."""

    text_characters: int = 100_000
    context_entries: int = 32
    context_bytes: int = 8192
    """Of all keys and values together, in UTF-8."""
    dimension: int = 16_384
    """Numbers of a vector."""
    positions: int = 10_000
    """Items of a served list."""
    future: timedelta = timedelta(minutes=5)
    """How far a time may lie ahead: clocks differ."""
    kinds: EventKinds = STANDARD_KINDS
    users: Callable[[str], UserId] = as_told
    """What a person is called in the store: `as_told`, or a `Pseudonyms`."""


def check_event(event: UserEvent, limits: EventLimits, now: datetime, *, media: bool = False) -> None:
    """Refuse an event that cannot be kept. Whether its item is in the catalogue is not asked here.

    Args:
        event: the event.
        limits: the largest that is kept.
        now: the time, with a time zone.
        media: whether a picture or sound is allowed that is still to be encoded.

    Raises:
        EventError: naming the field, the value and the remedy.
    """
    inner = event.event
    if inner.kind not in limits.kinds:
        raise limits.kinds.unknown(inner.kind, EventError)
    _check_text(event.user, "user_id", MAX_ID_BYTES)
    _check_text(inner.id, "id", MAX_ID_BYTES, empty=True)
    _check_text(inner.request_id, "request_id", MAX_ID_BYTES, empty=True)
    _check_target(inner, limits)
    if isinstance(inner.content, Image | Audio) and not media:
        remedy = "encode it first: a store of events keeps vectors and no media"
        raise EventError(f"content is an {inner.content.modality} without a vector", remedy, field="content")
    _check_value(inner)
    if inner.time is not None:
        _check_time(inner.time, limits, now)
    check_context(inner.context, limits)


def check_impression(impression: Impression, limits: EventLimits, now: datetime) -> None:
    """Refuse a served list that makes no sense. An empty list is allowed: nothing was found.

    Raises:
        EventError: naming the field, the value and the remedy.
    """
    _check_text(impression.request_id, "request_id", MAX_ID_BYTES)
    _check_text(impression.user, "user_id", MAX_ID_BYTES, empty=True)
    _check_text(impression.model, "model", MAX_ID_BYTES, empty=True)
    _check_text(impression.tier, "tier", MAX_ID_BYTES, empty=True)
    count = len(impression.items)
    if count > limits.positions:
        raise EventError(f"list has {count} items, the limit is {limits.positions}", "serve fewer", field="items")
    if not count == len(impression.positions) == len(impression.propensities):
        lengths = f"{count} items, {len(impression.positions)} positions, {len(impression.propensities)} propensities"
        raise EventError(f"list has {lengths}", "give each item one position and one propensity", field="items")
    for item in impression.items:
        _check_text(item, "items", MAX_ID_BYTES)
    wrong = [position for position in impression.positions if position < 1]
    if wrong or len(set(impression.positions)) != count:
        problem = f"position is {wrong[0]}" if wrong else "two items have one position"
        raise EventError(problem, "count the positions from 1", field="positions")
    for propensity in impression.propensities:
        if not 0 < propensity <= 1:
            raise EventError(f"propensity is {propensity}", "give a probability above 0, to 1", field="propensities")
    _check_time(impression.time, limits, now)
    check_context({key: value for key, value in impression.context.items() if key not in MARKS}, limits)


def check_user(user: str) -> None:
    """Refuse what cannot be the id of a person.

    Raises:
        EventError: if it is empty, longer than `MAX_ID_BYTES` in UTF-8, holds NUL, or is not valid Unicode.
    """
    _check_text(user, "user_id", MAX_ID_BYTES)


def check_context(context: Mapping[str, str], limits: EventLimits) -> None:
    """Refuse a context that is too large, or no text.

    Raises:
        EventError: naming what is wrong with it.
    """
    if len(context) > limits.context_entries:
        problem = f"context has {len(context)} entries, the limit is {limits.context_entries}"
        raise EventError(problem, "keep what a model can use", field="context")
    size = 0
    for key, value in context.items():
        if not key:
            raise EventError("context has an empty key", "name what the value is", field="context")
        size += _check_text(key, "context", limits.context_bytes)
        size += _check_text(value, "context", limits.context_bytes, empty=True)
    if size > limits.context_bytes:
        problem = f"context has {size} bytes, the limit is {limits.context_bytes}"
        raise EventError(problem, "keep what a model can use", field="context")


def unknown_item(item: str) -> EventError:
    """The error of an event on an item that the catalogue does not have."""
    return EventError(f"item {_short(item)} is not in the catalogue", "index it first", field="item_id")


def _check_target(event: Event, limits: EventLimits) -> None:
    content = event.content
    if event.item is not None and content is not None:
        raise EventError("event has both an item and a content", "send it as two events", field="item_id")
    if event.kind in _CONTENT_KINDS and content is None:
        raise EventError(f"{event.kind} event has no content", "send what was searched or uploaded", field="content")
    if event.item is None and content is None:
        raise EventError("event has neither an item nor a content", "name an item", field="item_id")
    if event.item is not None:
        _check_text(event.item, "item_id", MAX_ID_BYTES)
    match content:
        case Text(text):
            if len(text) > limits.text_characters:
                problem = f"text has {len(text)} characters, the limit is {limits.text_characters}"
                raise EventError(problem, "shorten it", field="content.text")
            _check_text(text, "content.text", 4 * limits.text_characters)
            if text.isspace():
                raise EventError("text is blank", "send some words", field="content.text")
        case VectorInput():
            _check_vector(content, limits)


def _check_vector(vector: VectorInput, limits: EventLimits) -> None:
    values = np.asarray(vector.values)
    if values.ndim != 1 or not 0 < len(values) <= limits.dimension:
        shape = "x".join(map(str, values.shape))
        raise EventError(
            f"vector has dimension {shape}, the limit is {limits.dimension}", "send one vector", field="content"
        )
    if not np.isfinite(values).all() or not values.any():
        raise EventError(
            "vector holds NaN or infinity, or is all zeros", "send finite, non-zero numbers", field="content"
        )
    if not vector.fingerprint:
        remedy = "say in which space it was made, or it can never be used safely"
        raise EventError("vector has no fingerprint", remedy, field="content")
    _check_text(vector.fingerprint, "content.fingerprint", MAX_ID_BYTES)


def _check_value(event: Event) -> None:
    value = event.value
    if value is None:
        return
    if not math.isfinite(value) or value < 0:
        raise EventError(f"value is {value}", "send a finite number, 0 or more", field="value")
    if event.kind == EventKind.RATE and not 1 <= value <= 5:
        raise EventError(f"rating is {value:g}", "scale it to 1 to 5 stars", field="value")


def _check_time(time: datetime, limits: EventLimits, now: datetime) -> None:
    if time.tzinfo is None:
        raise EventError(f"time {time} has no time zone", "add one, such as Z for UTC", field="time")
    if time < EPOCH:
        raise EventError(f"time {time} is before 1970", "send when it happened", field="time")
    if time > now + limits.future:
        ahead = f"time {time} lies ahead of now, {now:%Y-%m-%dT%H:%M:%SZ}"
        raise EventError(ahead, "correct the clock, or the unit: seconds, not milliseconds", field="time")


def _check_text(value: Any, field: str, max_bytes: int, *, empty: bool = False) -> int:
    """The size of a text in bytes, if it is one that every database and file can keep."""
    if not isinstance(value, str):
        raise EventError(
            f"{field} is a {type(value).__name__}{_shown(': ', field, value)}", "send a text", field=field
        )
    if not value and not empty:
        raise EventError(f"{field} is empty", "fill it in", field=field)
    if len(value) > max_bytes:
        raise EventError(f"{field} has {len(value)} characters, the limit is {max_bytes}", "shorten it", field=field)
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        problem = f"{field}{_shown(' ', field, value)} is not valid Unicode"
        raise EventError(problem, "remove surrogates", field=field) from None
    if size > max_bytes:
        raise EventError(f"{field} has {size} bytes, the limit is {max_bytes}", "shorten it", field=field)
    if "\0" in value:
        raise EventError(f"{field}{_shown(' ', field, value)} holds NUL", "remove it", field=field)
    return size


def _shown(between: str, field: str, value: object) -> str:
    """The value, if it may stand in logs and dead letters, where nobody looks for a person who is to be deleted."""
    return "" if field == "user_id" else between + _short(value)


def _short(value: object) -> str:
    text = repr(value[:60] if isinstance(value, str | bytes) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."
