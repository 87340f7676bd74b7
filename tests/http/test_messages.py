"""Any message as JSON and back; our writer says what protobuf's own does."""

import json
import struct
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.http.app import all_bindings
from engine.http.messages import json_of, message_of, read_json

BINDINGS = {binding.rpc.name: binding for binding in all_bindings() if binding.first}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FLOAT32 = st.floats(-(2.0**127), 2.0**127, width=32, allow_subnormal=False) | st.sampled_from(
    [float("nan"), float("inf"), -float("inf")]
)
PLAIN: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: TEXT,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=8),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT32: st.integers(-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.TYPE_FLOAT: FLOAT32,
    FieldDescriptor.TYPE_DOUBLE: st.floats(),
}
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
STRUCTS = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=5,
)


@st.composite
def messages(draw: st.DrawFn, kind: Descriptor, depth: int = 3) -> Message:
    """Any message of a kind."""
    message: Message = GetMessageClass(kind)()
    for field in kind.fields:
        if draw(st.booleans()) and (depth or field.message_type is None):
            fill(draw, message, field, depth)
    return message


def fill(draw: st.DrawFn, message: Any, field: FieldDescriptor, depth: int) -> None:
    kind = field.message_type
    if kind is None:
        value = st.sampled_from(list(field.enum_type.values_by_number)) if field.enum_type else PLAIN[field.type]
        if field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(value, max_size=3)))
        else:
            setattr(message, field.name, draw(value))
    elif kind.GetOptions().map_entry:
        value = PLAIN[kind.fields_by_name["value"].type]
        getattr(message, field.name).update(draw(st.dictionaries(TEXT, value, max_size=3)))
    elif kind.full_name == "google.protobuf.Struct":
        getattr(message, field.name).update(draw(st.dictionaries(TEXT, STRUCTS, max_size=3)))
    elif kind.full_name == "google.protobuf.Timestamp":
        getattr(message, field.name).FromNanoseconds(draw(st.integers(-(10**18), 10**18)))
    elif kind.full_name == "google.protobuf.Duration":
        getattr(message, field.name).FromNanoseconds(draw(st.integers(0, 10**15)))
    elif field.is_repeated:
        getattr(message, field.name).extend(draw(st.lists(messages(kind, depth - 1), max_size=2)))
    else:
        getattr(message, field.name).CopyFrom(draw(messages(kind, depth - 1)))


@pytest.mark.parametrize("name", sorted(BINDINGS))
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_what_is_written_is_what_protobuf_writes(name: str, data: st.DataObject) -> None:
    message = data.draw(messages(BINDINGS[name].rpc.output_type))
    expected = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    assert json.dumps(json.loads(json_of(message)), sort_keys=True) == json.dumps(expected, sort_keys=True)


@pytest.mark.parametrize("name", [name for name, binding in sorted(BINDINGS.items()) if binding.body == "*"])
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_what_was_written_is_read_again(name: str, data: st.DataObject) -> None:
    binding = BINDINGS[name]
    message = data.draw(messages(binding.rpc.input_type))
    path = {variable: getattr(message, variable) for variable in binding.variables}
    again = message_of(binding, path, body=read_json(json_of(message)))
    assert json_of(again) == json_of(message)  # not their protobuf: there are many NaN


@given(FLOAT32)
def test_a_float_has_few_digits_and_is_the_same(value: float) -> None:
    search = BINDINGS["Search"].response()
    search.results.add(score=value)
    said = json.loads(json_of(search))["results"][0]["score"]
    assert struct.pack("f", float(said)) == struct.pack("f", value) or said == "NaN"
    assert said in ("NaN", "Infinity", "-Infinity") or float(f"{said:.9g}") == said


def test_a_number_that_json_does_not_have_is_a_text() -> None:
    message = BINDINGS["GetItem"].response()
    message.item.payload.fields["a"].number_value = float("inf")
    assert json.loads(json_of(message))["item"]["payload"] == {"a": "Infinity"}
