"""Rows whose values have types already, as Parquet, Arrow and databases give them."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from engine.catalog.ingest import rfc3339
from engine.core.types import Json
from indexers.errors import RowError
from indexers.readers.base import BadRow, Row, Value

MEDIA = {"bytes", "path"}
"""The fields of a picture or sound as Hugging Face writes it: its bytes, or else its path."""


def typed_row(line: int, values: Mapping[str, object]) -> Row | BadRow:
    """A row of plain values.

    Types are kept: integers, numbers, booleans, texts, lists and structs as they are; times become RFC 3339 texts
    (those without a zone are taken as UTC), dates ISO texts, durations seconds, decimals numbers, UUIDs texts.
    """
    plain: dict[str, Value] = {}
    for name, value in values.items():
        try:
            plain[name] = _media(value)
        except TypeError as error:
            return BadRow(
                line, RowError(f"column {name} holds a {error}", f"leave it out: --ignore {name}", field=name)
            )
    return Row(line, plain)


def _media(value: object) -> Value:
    if isinstance(value, dict) and value.keys() == MEDIA:
        value = value["path"] if value["bytes"] is None else value["bytes"]
    return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else _plain(value)


def _plain(value: object) -> Json:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return rfc3339(value if value.tzinfo else value.replace(tzinfo=UTC))
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID():
            return str(value)
        case Decimal():
            return (
                int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
            )
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case _:
            raise TypeError(type(value).__name__)
