"""Reads a catalogue in Parquet or Arrow."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from engine.core.arrow import table_length, table_rows, table_schema
from engine.core.rows import check_distinct
from indexers.errors import CatalogError
from indexers.readers.base import (
    BadRow,
    Columns,
    ReadOptions,
    Row,
    check_columns,
    check_id_column,
    role_columns,
)
from indexers.readers.typed import MEDIA, typed_row

BATCH = 64
"""Rows that are turned into Python's values at once."""


@dataclass(frozen=True, slots=True)
class ArrowTable:
    """A Parquet, Arrow or Feather file. Columns of bytes hold pictures or sounds, as do structs of bytes and path.

    What becomes of types says `indexers.readers.typed`.
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
        for line, values in table_rows(self.path, CatalogError, BATCH, self._names()):
            yield typed_row(line, values)

    def total(self) -> int | None:
        """The number of rows."""
        return table_length(self.path, CatalogError)

    def media(self) -> list[str]:
        """The columns that hold bytes."""
        return media_columns(table_schema(self.path, CatalogError))

    def _names(self) -> list[str]:
        return read_names(self.path, table_schema(self.path, CatalogError), self.columns, self.ignore)


def open_table(options: ReadOptions) -> ArrowTable:
    """The reader of a .parquet, .arrow or .feather file."""
    return ArrowTable(options.path, options.columns, options.ignore)


def read_names(path: Path, schema: pa.Schema, columns: Columns, ignore: frozenset[str]) -> list[str]:
    """The columns of a schema that are read.

    Raises:
        CatalogError: if two have one name, none is for the id, or one holds bytes and has no role.
    """
    roles = role_columns(columns)
    names = [name for name in schema.names if name not in ignore]
    check_distinct(path, names, CatalogError)
    check_id_column(path, names, columns)
    for name in media_columns(schema):
        if name in names and name not in (*roles["image"], *roles["audio"]):
            problem = f"column {name} of {path} holds bytes, which cannot be payload"
            raise CatalogError(problem, f"give it a role (--column image={name}) or leave it out (--ignore {name})")
    return names


def media_columns(schema: pa.Schema) -> list[str]:
    """The columns of a schema that hold bytes."""
    return [name for name in schema.names if holds_media(schema.field(name).type)]


def holds_media(kind: pa.DataType) -> bool:
    """Whether a column of this type holds bytes."""
    if pa.types.is_struct(kind):
        return {kind.field(place).name for place in range(kind.num_fields)} == MEDIA
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))
