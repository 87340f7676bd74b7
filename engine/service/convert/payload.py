"""google.protobuf.Struct: what an item carries besides its contents."""

from google.protobuf.struct_pb2 import Struct, Value

from engine.core.errors import InvalidItemError
from engine.core.types import Json, Payload

_EXACT = float(1 << 53)


def payload_of(message: Struct) -> dict[str, Json]:
    """A payload. Struct knows only doubles, so whole numbers become `int`: years and counts stay integers.

    Raises:
        InvalidItemError: if a value is without a kind.
    """
    return {key: _json(value, key) for key, value in message.fields.items()}


def _json(value: Value, path: str) -> Json:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) < _EXACT else number
        case "bool_value":
            return value.bool_value
        case "null_value":
            return None
        case "list_value":
            return [_json(item, f"{path}[{row}]") for row, item in enumerate(value.list_value.values)]
        case "struct_value":
            return {key: _json(item, f"{path}.{key}") for key, item in value.struct_value.fields.items()}
        case _:
            raise InvalidItemError(f"payload value {path!r} is empty", "set it or leave it out", field="payload")


def fill_struct(message: Struct, payload: Payload) -> None:
    """Write a payload into a message, without the engine's own keys."""
    fields = message.fields
    for key, value in payload.items():
        if not key.startswith("_"):
            _fill(fields[key], value)


def _fill(message: Value, value: Json) -> None:
    if isinstance(value, str):
        message.string_value = value
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, int | float):
        message.number_value = value
    elif value is None:
        message.null_value = 0  # type: ignore[assignment]
    elif isinstance(value, dict):
        fields = message.struct_value.fields
        message.struct_value.SetInParent()
        for key, item in value.items():
            _fill(fields[key], item)
    else:
        message.list_value.SetInParent()
        for item in value:
            _fill(message.list_value.values.add(), item)
