"""Reads a catalogue of comma- or tab-separated values, with a header line.

A column's type is that of its field's declared kind, else what fits all its values in the first rows: integers
(without leading zeros, so that codes stay texts), numbers, true/false, JSON lists and objects, else texts. A later
cell that does not fit makes its row a bad one, whose remedy is to declare the field. A column that is split, such as
{"tags": "|"}, holds lists of texts; so a column of pictures may hold several.
"""

import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path

from engine.core.filters import FieldKind, Schema
from engine.core.rows import check_distinct, csv_header, csv_rows
from engine.core.types import Json
from indexers.errors import CatalogError, RowError
from indexers.readers.base import (
    MAX_ROW_BYTES,
    BadRow,
    Columns,
    ReadOptions,
    Row,
    Value,
    check_columns,
    check_id_column,
    played,
    role_columns,
)

_HEAD = 512
_COUNTED = 1 << 28
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,18})")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_UNDECODED = re.compile("[\udc80-\udcff]")
"""What stands for bytes that are not UTF-8."""
_BOOLS = {"true": True, "false": False}

Cells = tuple[int, dict[str, str]]
Convert = Callable[[str], Json]


@dataclass(frozen=True, slots=True)
class Delimited:
    """Comma-separated values, or tab-separated ones."""

    path: Path
    delimiter: str = ","
    columns: Columns = field(default_factory=dict)
    schema: Schema = field(default_factory=dict)
    """Declared kinds of payload fields."""
    encoding: str = "utf-8"
    split: Mapping[str, str] = field(default_factory=dict)
    """Per column whose cells are lists, what separates their values."""

    def check(self) -> None:
        """See `Reader.check`."""
        check_columns(self.path, self._header(), self.columns)

    def rows(self) -> Iterator[Row | BadRow]:
        """See `Reader.rows`."""
        cells = self._cells()
        head = list(islice(cells, _HEAD))
        types = self._types([row[1] for row in head if not isinstance(row, BadRow)])
        for row in chain(head, cells):
            yield row if isinstance(row, BadRow) else _typed(row, types)

    def total(self) -> int | None:
        """The number of rows, of a file up to 256 MiB."""
        if self.path.stat().st_size > _COUNTED:
            return None
        return sum(1 for _ in self._cells())

    def _cells(self) -> Iterator[Cells | BadRow]:
        # The csv module keeps its limit for the whole process. It is only ever raised: at the module's own limit
        # of 131,072 characters a long cell with line breaks would be taken for several rows.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_BYTES))
        self._header()
        for line, cells in csv_rows(self.path, RowError, self.delimiter, encoding=self.encoding):
            yield BadRow(line, cells) if isinstance(cells, RowError) else _decoded(line, cells, self.encoding)

    def _header(self) -> list[str]:
        names = csv_header(self.path, CatalogError, self.delimiter, self.encoding)
        check_distinct(self.path, names, CatalogError)
        check_id_column(self.path, names, self.columns)
        return names

    def _types(self, head: list[dict[str, str]]) -> dict[str, tuple[FieldKind | str, Convert]]:
        roles, ids = played(self.columns), role_columns(self.columns)["id"]
        names = {name: None for row in head for name in row}
        found: dict[str, tuple[FieldKind | str, Convert]] = {}
        for name in [*names, *(name for name in self.schema if name not in names)]:
            if name in roles and (name in ids or name not in self.split):
                continue
            values = [row[name] for row in head if name in row]
            declared = self.schema.get(name)
            if name in self.split:
                found[name] = "list", partial(_parts, separator=self.split[name])
            elif declared is not None and declared in _DECLARED:
                found[name] = declared, _DECLARED[declared]
            elif declared is None or declared is FieldKind.KEYWORD:
                kinds = _INFERRED if declared is None else {"list": _INFERRED["list"]}
                fitting = (kind for kind, convert in kinds.items() if values and _fits(convert, values))
                if (kind := next(fitting, None)) is not None:
                    found[name] = kind, kinds[kind]
        return found


def open_csv(options: ReadOptions) -> Delimited:
    """The reader of a .csv file."""
    return _delimited(options, ",")


def open_tsv(options: ReadOptions) -> Delimited:
    """The reader of a .tsv file."""
    return _delimited(options, "\t")


def _delimited(options: ReadOptions, usual: str) -> Delimited:
    return Delimited(
        options.path,
        options.delimiter or usual,
        options.columns,
        dict(options.fields),
        options.encoding,
        options.split,
    )


def _parts(cell: str, separator: str) -> Json:
    return [part.strip() for part in cell.split(separator) if part.strip()]


def _decoded(line: int, cells: dict[str, str], encoding: str) -> Cells | BadRow:
    for name, cell in cells.items():
        if not cell.isascii() and _UNDECODED.search(cell):
            remedy = "save the catalogue as UTF-8, or name its encoding: --encoding cp1252"
            error = RowError(f"column {name} is not {encoding.upper()}: {cell[:40]!r}", remedy, field=name)
            return BadRow(line, error)
    return line, cells


def _typed(row: Cells, types: Mapping[str, tuple[FieldKind | str, Convert]]) -> Row | BadRow:
    line, cells = row
    values: dict[str, Value] = {}
    for name, cell in cells.items():
        if name not in types:
            values[name] = cell
            continue
        kind, convert = types[name]
        try:
            values[name] = convert(cell)
        except (ValueError, RecursionError):
            problem = f"column {name} is {cell[:40]!r}, but it holds values of kind {kind}"
            remedy = f"correct the cell, or declare the column: --field {name}=keyword"
            return BadRow(line, RowError(problem, remedy, field=name))
    return Row(line, values)


def _integer(cell: str) -> int:
    if not _INTEGER.fullmatch(cell):
        raise ValueError(cell)
    return int(cell)


def _number(cell: str) -> float:
    if not _NUMBER.fullmatch(cell) or not math.isfinite(float(cell)):
        raise ValueError(cell)
    return float(cell)


def _plain_number(cell: str) -> float:
    if re.match(r"[+-]?0\d", cell) or cell.startswith("+"):
        raise ValueError(cell)
    return _number(cell)


def _boolean(cell: str) -> bool:
    try:
        return _BOOLS[cell.lower()]
    except KeyError:
        raise ValueError(cell) from None


def _list(cell: str) -> Json:
    value: Json = json.loads(cell) if cell[0] == "[" else None
    if not isinstance(value, list):
        raise ValueError(cell)
    return value


def _json(cell: str) -> Json:
    value: Json = json.loads(cell) if cell[0] in "[{" else None
    if value is None:
        raise ValueError(cell)
    return value


def _fits(convert: Convert, values: list[str]) -> bool:
    try:
        for value in values:
            convert(value)
    except (ValueError, RecursionError):
        return False
    return True


_INFERRED: dict[str, Convert] = {
    "integer": _integer,
    "float": _plain_number,
    "bool": _boolean,
    "list": _list,
    "json": _json,
}
"""In the order of preference."""

_DECLARED: dict[FieldKind, Convert] = {
    FieldKind.INTEGER: _integer,
    FieldKind.FLOAT: _number,
    FieldKind.BOOL: _boolean,
    FieldKind.GEO: _json,
}
