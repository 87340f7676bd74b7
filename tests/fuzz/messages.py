"""Messages on the wire, made from their descriptors: sound ones, and those that no library would write.

See https://protobuf.dev/programming-guides/encoding/. Bytes are written here by hand, since protobuf's own classes
refuse much of what a stranger can send: half a surrogate pair, a number where a text belongs, two fields of a oneof.
"""

import math
import struct
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from hypothesis import strategies as st

from tests.tiny import concept_png, concept_wav

MAX_DEPTH = 6
MAX_FIELDS = 5

NUMBERS = (0, 1, 2, 3, 5, 64, 1000, -1, 1 << 31, (1 << 31) - 1, (1 << 32) - 1, 1 << 63, (1 << 63) - 1, (1 << 64) - 1)
FLOATS = (0.0, -0.0, 0.5, 1.0, -1.0, 5.0, 91.0, 1e-320, 1e38, 1e308, math.inf, -math.inf, math.nan)
TEXTS = (
    "", " ", "bird", "a red bird", "bird/text", "piano/image", "car/audio", "gone", "category", "year", "price",
    "_id", "u", "v", "\0", "a\0b",
    "é" * 300, "x" * 513, "x" * 5000, "../../etc/passwd", "2024-05-01T00:00:00Z", "🐦", "%00",
    "text", "EVENT_KIND_LIKE", "{}", "nan",
)  # fmt: skip
BROKEN = (b"\xff", b"\xed\xa0\x80", b"\xc3\x28", b"a\xf4\x90\x80\x80", b"\xc0\x80")
"""No UTF-8: half of a surrogate pair, an overlong form, beyond the last code point."""

_F = FieldDescriptor
_DOUBLES = (_F.TYPE_DOUBLE, _F.TYPE_FIXED64, _F.TYPE_SFIXED64)
_SINGLES = (_F.TYPE_FLOAT, _F.TYPE_FIXED32, _F.TYPE_SFIXED32)


@cache
def _blobs() -> tuple[bytes, ...]:
    """What fields of bytes hold."""
    vectors = [np.ones(64, "<f4"), np.zeros(64, "<f4"), np.full(64, np.nan, "<f4"), np.ones(63, "<f4")]
    media = [concept_png("bird"), concept_wav("car"), concept_png("bird")[:40], concept_wav("car")[:60]]
    return (b"", b"x", bytes(1000), *media, *(one.tobytes() for one in vectors))


def encoded(methods: Mapping[str, MethodDescriptor]) -> st.SearchStrategy[tuple[str, list[bytes]]]:
    """A method and the messages that are sent to it."""

    @st.composite
    def made(draw: st.DrawFn) -> tuple[str, list[bytes]]:
        name = draw(st.sampled_from(sorted(methods)))
        one = methods[name]
        count = draw(st.integers(0, 4)) if one.client_streaming else 1
        return name, [_message(draw, one.input_type, 0) for _ in range(count)]

    return made()


def _message(draw: st.DrawFn, kind: Descriptor, depth: int) -> bytes:
    if not kind.fields:
        return b""
    parts = []
    for field in draw(st.lists(st.sampled_from(list(kind.fields)), max_size=MAX_FIELDS)):
        if field.message_type is not None and depth >= MAX_DEPTH:
            continue
        parts += [_field(draw, field, depth) for _ in range(draw(st.integers(1, 3)) if field.is_repeated else 1)]
    if draw(st.integers(0, 15)) == 0:
        parts.append(
            draw(st.binary(max_size=20))
        )  # whatever it is: an unknown field, a group, a length beyond the end
    return b"".join(parts)


def _field(draw: st.DrawFn, field: Any, depth: int) -> bytes:
    """A field with its tag."""
    if field.message_type is not None:
        return _delimited(field, _message(draw, field.message_type, depth + 1))
    if field.type == _F.TYPE_STRING:
        plain = st.sampled_from(TEXTS).map(str.encode) | st.text(max_size=8).map(str.encode)
        return _delimited(field, draw(plain if draw(st.integers(0, 31)) else st.sampled_from(BROKEN)))
    if field.type == _F.TYPE_BYTES:
        return _delimited(field, draw(st.sampled_from(_blobs())))
    if field.type in _DOUBLES:
        return _tag(field, 1) + struct.pack("<d", draw(st.sampled_from(FLOATS)))
    if field.type in _SINGLES:
        value = draw(st.sampled_from(FLOATS))
        return _tag(field, 5) + struct.pack("<f", value if abs(value) < 1e39 or value != value else math.inf)
    numbers = st.integers(-1, 24) if field.type == _F.TYPE_ENUM else st.sampled_from(NUMBERS)
    return _tag(field, 0) + _varint(draw(numbers) % (1 << 64))


def _delimited(field: Any, raw: bytes) -> bytes:
    return _tag(field, 2) + _varint(len(raw)) + raw


def _tag(field: Any, wire_type: int) -> bytes:
    return _varint(field.number << 3 | wire_type)


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


_HOSTILE = {
    b"@deep": b"[" * 5000 + b"]" * 5000,
    b"@objects": b'{"a":' * 2000 + b"1" + b"}" * 2000,
    b"@digits": b"9" * 6000,
    b"@long": b'"' + b"k" * 50_000 + b'"',
    b"@twice": b'{"limit":1,"limit":2}',
    b"@half": b'"\\ud800"',
}
"""What an input of a few bytes names, so that mutations stay small."""


def hostile_json(body: bytes) -> bytes:
    """A body in which names such as @deep stand for what is too long to be mutated."""
    for name, value in _HOSTILE.items():
        body = body.replace(name, value, 3)
    return body
