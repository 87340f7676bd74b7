"""The row format of a file of events; export writes it, import reads it.

| column | what | |
|---|---|---|
| `user_id` | who: text, or an integer | required |
| `kind` | one of `EventKind`, or one that the deployment declares | required |
| `time` | RFC 3339, or seconds since 1970; in Parquet a timestamp | required |
| `item_id` | the item: text, or an integer | this, `text` or `vector` |
| `text` | what was searched | |
| `vector`, `modality`, `fingerprint` | an upload: base64 of raw little-endian float32, in Parquet a list | |
| `value` | a rating's stars (1 to 5), a view's seconds, a purchase's price | |
| `id` | the event's own id; without it one is made from the contents, so that a file can be imported twice | |
| `request_id` | the request whose answer was acted on | |
| `context` | an object of texts; in CSV and Parquet its JSON | |

An empty or null value is the same as none. A time without a zone gets the one that the reader is told (`RowRules`);
if it is told none, a timestamp of Parquet is in UTC, and any other time is refused.
"""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import numpy as np

from encoders.types import Floats, Modality, Text
from engine.core.kinds import STANDARD_KINDS, EventKinds
from engine.core.types import Event, ItemId, UserId, VectorInput
from engine.events.errors import EventError
from engine.events.times import EPOCH
from engine.events.types import UserEvent

COLUMNS = (
    "id",
    "user_id",
    "kind",
    "time",
    "item_id",
    "text",
    "modality",
    "vector",
    "fingerprint",
    "value",
    "request_id",
    "context",
)

Cells = Mapping[str, Any]
"""Values by column, as the file's format gives them."""


@dataclass(frozen=True, slots=True)
class RowRules:
    """How cells are read that do not say all."""

    kind: str | None = None
    """That of a row without one; None refuses such a row."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """What other names of kinds stand for, in lower case."""
    zone: tzinfo | None = None
    """That of times without one; None refuses them. Of an hour that clocks show twice it is the first."""
    declared: EventKinds = STANDARD_KINDS
    """The kinds that there are."""


@dataclass(frozen=True, slots=True)
class Line:
    """An event of a file."""

    number: int
    """The line that it begins on, or the number of a Parquet row; from 1."""
    event: UserEvent


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no event, or one that was rejected."""

    number: int
    error: EventError


def cells_of(event: UserEvent) -> dict[str, Any]:
    """The cells of an event: texts, a number, a datetime, a vector (d,), a dict; None for what is missing."""
    inner = event.event
    vector = inner.content if isinstance(inner.content, VectorInput) else None
    if inner.content is not None and vector is None and not isinstance(inner.content, Text):
        problem = f"content is an {inner.content.modality} without a vector"
        raise EventError(problem, "encode it first: files of events keep no media", field="content")
    return {
        "id": inner.id or None,
        "user_id": event.user,
        "kind": str(inner.kind),
        "time": None if inner.time is None else inner.time.astimezone(UTC),
        "item_id": inner.item,
        "text": inner.content.text if isinstance(inner.content, Text) else None,
        "modality": str(vector.modality) if vector else None,
        "vector": np.asarray(vector.values, np.float32) if vector else None,
        "fingerprint": vector.fingerprint if vector else None,
        "value": inner.value,
        "request_id": inner.request_id or None,
        "context": dict(inner.context) or None,
    }


def event_of(cells: Cells, rules: RowRules = RowRules()) -> UserEvent:
    """The event of a row.

    Args:
        cells: the row's.
        rules: how they are read.

    Raises:
        EventError: if a cell is missing or cannot be read. Whether the event makes sense is not asked here.
    """
    text, item = _text(cells, "text"), _text(cells, "item_id")
    content: Text | VectorInput | None = Text(text) if text else None
    if not _empty(cells.get("vector")):
        if content is not None:
            raise EventError("row has both a text and a vector", "write it as two events", field="vector")
        content = _vector(cells)
    event = Event(
        _kind(cells, rules),
        ItemId(item) if item else None,
        content,
        _time(cells.get("time"), rules.zone),
        _number(cells.get("value")),
        _text(cells, "id"),
        _text(cells, "request_id"),
        _context(cells.get("context")),
    )
    return UserEvent(UserId(_text(cells, "user_id")), event)


def encode_vector(vector: Floats) -> str:
    """A vector as base64 of its raw little-endian float32."""
    return base64.b64encode(np.ascontiguousarray(vector, "<f4").tobytes()).decode()


def _empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell)


def _text(cells: Cells, name: str) -> str:
    cell = cells.get(name)
    if cell is None:
        return ""
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    if not isinstance(cell, str):
        shown = "" if name == "user_id" else f": {_short(cell)}"  # dead letters name nobody
        raise EventError(f"{name} is a {type(cell).__name__}{shown}", "write it as a text", field=name)
    return cell


def _kind(cells: Cells, rules: RowRules) -> str:
    name = _text(cells, "kind")
    if not name and rules.kind is not None:
        return rules.kind
    mapped = rules.kinds.get(name.lower())
    if mapped is not None:
        return mapped
    try:
        return rules.declared.parse(name, EventError)
    except EventError as error:
        remedy = f"{error.remedy}; or import the file with --kind-map NAME=KIND"
        raise EventError(error.problem, remedy, field="kind") from None


_DATE_DIGITS = (4, 8)
"""1990 and 20240501 are taken for dates by whoever wrote them, and would be read as seconds of the year 1970."""


def _time(cell: Any, zone: tzinfo | None) -> datetime:
    if _empty(cell):
        raise EventError("row has no time", "write when it happened", field="time")
    try:
        if isinstance(cell, str) and cell.isdecimal() and len(cell) in _DATE_DIGITS:
            raise ValueError("a date without hyphens, or seconds of 1970")
        if not isinstance(cell, str) or cell.replace(".", "", 1).isdecimal():
            return EPOCH + timedelta(seconds=_number(cell) or 0.0)
        time = datetime.fromisoformat(cell)
    except (ValueError, OverflowError, EventError):
        remedy = "write RFC 3339, such as 2024-05-01T12:00:00Z, or seconds since 1970"
        raise EventError(f"time {_short(cell)} is no time", remedy, field="time") from None
    if time.tzinfo is None and zone is None:
        remedy = "add one, such as Z for UTC, or import the file with --timezone, such as --timezone Europe/Berlin"
        raise EventError(f"time {_short(cell)} has no time zone", remedy, field="time")
    return time if time.tzinfo else time.replace(tzinfo=zone)


def _number(cell: Any) -> float | None:
    if _empty(cell):
        return None
    try:
        if isinstance(cell, int | float | str) and not isinstance(cell, bool):
            return float(cell)
    except (ValueError, OverflowError):
        pass
    raise EventError(f"value {_short(cell)} is no number", "write a number, with a point", field="value")


def _vector(cells: Cells) -> VectorInput:
    name = _text(cells, "modality")
    try:
        modality = Modality(name)
    except ValueError:
        have = ", ".join(Modality)
        raise EventError(f"modality {_short(name)} is unknown", f"use one of {have}", field="modality") from None
    cell = cells["vector"]
    try:
        if isinstance(cell, str):
            values = np.frombuffer(base64.b64decode(cell, validate=True), "<f4").astype(np.float32)
        else:
            values = np.asarray(cell, np.float32)
    except (ValueError, TypeError, OverflowError, binascii.Error):
        remedy = "write base64 of raw little-endian float32, or a list of numbers"
        raise EventError(f"vector {_short(cell)} cannot be read", remedy, field="vector") from None
    return VectorInput(modality, values, _text(cells, "fingerprint"))


def _context(cell: Any) -> dict[str, str]:
    if _empty(cell):
        return {}
    remedy = 'write an object of texts, such as {"device": "phone"}'
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            raise EventError(f"context {_short(cell)} is not JSON", remedy, field="context") from None
    if isinstance(cell, list):  # a Parquet map
        cell = dict(cell) if all(isinstance(pair, tuple) for pair in cell) else None
    if not isinstance(cell, dict) or not all(_plain(value) for value in cell.values()):
        raise EventError(f"context {_short(cell)} is no object of texts", remedy, field="context")
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in cell.items()}


def _plain(value: Any) -> bool:
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _short(value: object) -> str:
    text = repr(value[:60] if isinstance(value, str | list | bytes) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."
