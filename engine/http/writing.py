"""Messages as plain JSON values, several times faster than `json_format` and the same as it says.

What a kind of message takes is worked out once, from its descriptor. Fields stand in the order of the proto file; one
that is not set is there with its default, unless it can tell that it is not set. Maps are sorted by key: protobuf has
them in no order.
"""

import base64
import math
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

Json = Any
Write = Callable[[Any], Json]


@cache
def writer_of(kind: Descriptor) -> Write:
    """What makes the JSON value of a message of this kind."""
    special = _WELL_KNOWN.get(kind.full_name)
    if special is not None:
        return special
    rows: list[tuple[str, bool, Write]] = []

    def write(message: Any) -> dict[str, Json]:
        if not rows:  # worked out at the first message: messages may hold themselves
            rows.extend((field.name, field.has_presence, _field(field)) for field in kind.fields)
        return {
            name: write_field(getattr(message, name))
            for name, may_lack, write_field in rows
            if not may_lack or message.HasField(name)
        }

    return write


def _field(field: FieldDescriptor) -> Write:
    """What makes the JSON value of a field: of its one value, of a list or of a map."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        write_value = _value(field.message_type.fields_by_name["value"])
        return lambda pairs: {_key(key): write_value(pairs[key]) for key in sorted(pairs)}
    write_one = _value(field)
    if field.is_repeated:
        return lambda values: [write_one(value) for value in values]
    return write_one


def _value(field: FieldDescriptor) -> Write:
    """What makes the JSON value of one value of a field."""
    kind = field.message_type
    if kind is not None:
        return writer_of(kind)
    if field.enum_type is not None:
        return _enum(field.enum_type)
    return _PLAIN.get(field.type, _same)


def _enum(kind: EnumDescriptor) -> Write:
    names = {number: value.name for number, value in kind.values_by_number.items()}
    return lambda number: names.get(number, number)


def _same(value: Json) -> Json:
    return value


def _key(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def _double(value: float) -> Json:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _float(value: float) -> Json:
    return _shortest(value) if value else value  # a cache takes 0 and -0 for one


@lru_cache(1 << 12)
def _shortest(value: float) -> Json:
    """With the fewest digits that are still this float32."""
    return float(str(np.float32(value))) if math.isfinite(value) else _double(value)


def _bytes(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _struct(message: Any) -> dict[str, Json]:
    fields = message.fields
    return {name: _any(fields[name]) for name in sorted(fields)}


def _any(message: Any) -> Json:
    """A google.protobuf.Value; a number that is none in JSON becomes a text, as it does outside of a Value."""
    kind = message.WhichOneof("kind")
    if kind == "string_value":
        return message.string_value
    if kind == "number_value":
        return _double(message.number_value)
    if kind == "struct_value":
        return _struct(message.struct_value)
    if kind == "list_value":
        return [_any(value) for value in message.list_value.values]
    return message.bool_value if kind == "bool_value" else None


_PLAIN: dict[int, Write] = {
    FieldDescriptor.TYPE_BYTES: _bytes,
    FieldDescriptor.TYPE_FLOAT: _float,
    FieldDescriptor.TYPE_DOUBLE: _double,
    FieldDescriptor.TYPE_INT64: str,
    FieldDescriptor.TYPE_UINT64: str,
}
_WELL_KNOWN: dict[str, Write] = {
    "google.protobuf.Struct": _struct,
    "google.protobuf.Value": _any,
    "google.protobuf.Timestamp": lambda message: message.ToJsonString(),
    "google.protobuf.Duration": lambda message: message.ToJsonString(),
}
