"""Items as plain dicts become messages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from google.protobuf.struct_pb2 import Struct, Value

from triveni.client.contents import identity, read, text
from triveni.client.errors import InvalidError
from triveni.client.problem import Problem
from triveni.v1 import content_pb2, item_pb2

ItemRow: TypeAlias = Mapping[str, Any]
"""An item as the rows of a catalogue have it: `id`; `text`, `image`, `audio`, at least one of them; the rest is
payload. A picture or sound is its bytes, or the path of its file. A list is several of them: the item is found by the
best."""

_EXACT = 1 << 53


def problem(message: content_pb2.Problem) -> Problem:
    """What is wrong with one item, event or content."""
    return Problem(message.message, message.remedy, message.reason, message.status, message.field)


def item(row: ItemRow, root: Path | None = None) -> item_pb2.Item:
    """An item.

    Raises:
        InvalidError: if it has no id, a content cannot be read, or its payload is no plain data.
    """
    if not isinstance(row, Mapping):
        raise InvalidError(f"item is {row!r:.60}, not a dict", 'write {"id": "42", "text": "a red shoe"}')
    if row.get("id") is None:
        raise InvalidError("item has no id", 'give it one: {"id": "42", ...}')
    message = item_pb2.Item(id=identity(row["id"]))
    for one in _several(row.get("text")):
        message.contents.add(text=text(one))
    for one in _several(row.get("image")):
        message.contents.add(image=_bytes(one, "image", root))
    for one in _several(row.get("audio")):
        message.contents.add(audio=_bytes(one, "audio", root))
    for key, value in row.items():
        if key not in ("id", "text", "image", "audio"):
            fill(message.payload.fields[text(key, "payload key")], value, key)
    return message


def _several(value: object) -> list[Any]:
    return [*value] if isinstance(value, list | tuple) else [] if value is None else [value]


def _bytes(source: object, field: str, root: Path | None) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if not isinstance(source, str | Path):
        raise InvalidError(f"{field} is {source!r:.60}", "give bytes, or the path of a file")
    path = Path(source)
    if root is not None:
        path = (root / path).resolve()
        if not path.is_relative_to(root.resolve()):
            raise InvalidError(f"{field} {source} is not under the root {root}", "give a root above it")
    return read(path, field)


def fill(message: Value, value: Any, path: str) -> None:
    """Write plain data into a message.

    Raises:
        InvalidError: if it is none, or a number would not come back as it is.
    """
    if isinstance(value, str):
        message.string_value = text(value, path)
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, int | float):
        if isinstance(value, int) and abs(value) > _EXACT:
            raise InvalidError(f"{path} {value} would be rounded", "send it as text")
        message.number_value = value
    elif isinstance(value, datetime):
        message.string_value = value.isoformat()
    elif value is None:
        message.null_value = 0  # type: ignore[assignment]
    elif isinstance(value, Mapping):
        message.struct_value.SetInParent()
        for key, one in value.items():
            fill(message.struct_value.fields[text(key, path)], one, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        message.list_value.SetInParent()
        for row, one in enumerate(value):
            fill(message.list_value.values.add(), one, f"{path}[{row}]")
    else:
        raise InvalidError(
            f"{path} is {value!r:.60}, no plain data", "use texts, numbers, true, false, lists and dicts"
        )


def payload_of(message: Struct) -> dict[str, Any]:
    """Plain data. The wire knows only floating-point numbers, so whole ones become `int`."""
    return {key: _plain(value) for key, value in message.fields.items()}


def _plain(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) < _EXACT else number
        case "list_value":
            return [_plain(one) for one in value.list_value.values]
        case "struct_value":
            return payload_of(value.struct_value)
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None
