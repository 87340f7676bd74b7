"""Reads a catalogue in Parquet."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from engine.catalog.ingest import rfc3339
from engine.core.parquet import parquet_rows, parquet_schema, unreadable
from engine.core.rows import check_distinct
from engine.core.types import Json
from indexers.errors import CatalogError, RowError
from indexers.readers.base import (
    BadRow,
    Columns,
    ReadOptions,
    Row,
    Value,
    check_columns,
    check_id_column,
    role_columns,
)

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Parquet:
    """A Parquet file. Columns of bytes hold pictures or sounds.

    Types are kept: integers, numbers, booleans, texts, lists and structs as they are; times become RFC 3339 texts
    (those without a zone are taken as UTC), dates ISO texts, durations seconds, decimals numbers.
    """

    path: Path
    columns: Columns = field(default_factory=dict)
    ignore: frozenset[str] = frozenset()
    """Columns that are not read."""

    def check(self) -> None:
        """See `Reader.check`."""
        check_columns(self.path, self._names(), self.columns)

    def rows(self) -> Iterator[Row | BadRow]:
        """See `Reader.rows`."""
        for line, values in parquet_rows(self.path, CatalogError, _BATCH, self._names()):
            yield _row(line, values)

    def total(self) -> int | None:
        """The number of rows, from the footer."""
        try:
            return int(pq.read_metadata(self.path).num_rows)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(self.path, error, CatalogError) from None

    def _names(self) -> list[str]:
        schema = parquet_schema(self.path, CatalogError)
        roles = role_columns(self.columns)
        names = [name for name in schema.names if name not in self.ignore]
        check_distinct(self.path, names, CatalogError)
        check_id_column(self.path, names, self.columns)
        for name in names:
            if _is_binary(schema.field(name).type) and name not in (roles["image"], roles["audio"]):
                problem = f"column {name} of {self.path} holds bytes, which cannot be payload"
                raise CatalogError(
                    problem, f"give it a role (--column image={name}) or leave it out (--ignore {name})"
                )
        return names


def open_parquet(options: ReadOptions) -> Parquet:
    """The reader of a .parquet file."""
    return Parquet(options.path, options.columns, options.ignore)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _row(line: int, values: dict[str, object]) -> Row | BadRow:
    plain: dict[str, Value] = {}
    for name, value in values.items():
        try:
            plain[name] = value if isinstance(value, bytes) else _plain(value)
        except TypeError as error:
            return BadRow(
                line, RowError(f"column {name} holds a {error}", f"leave it out: --ignore {name}", field=name)
            )
    return Row(line, plain)


def _plain(value: object) -> Json:
    """Arrow's Python values as JSON values."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return rfc3339(value if value.tzinfo else value.replace(tzinfo=UTC))
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return (
                int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
            )
        case list():
            return [_plain(inner) for inner in value]
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case _:
            raise TypeError(type(value).__name__)
