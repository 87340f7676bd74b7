"""Reads a catalogue of one JSON object per line."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from engine.core.rows import json_rows
from indexers.errors import RowError
from indexers.readers.base import MAX_ROW_BYTES, BadRow, Columns, ReadOptions, Row, check_columns

_BLOCK = 1 << 20
_COUNTED = 1 << 30
_HEAD = 512


@dataclass(frozen=True, slots=True)
class JsonLines:
    """One JSON object per line, in UTF-8; blank lines are skipped."""

    path: Path
    columns: Columns = field(default_factory=dict)
    max_row_bytes: int = MAX_ROW_BYTES

    def check(self) -> None:
        """See `Reader.check`: that no row has a column is seen from the first ones."""
        names: dict[str, None] = {}
        for row in islice(self.rows(), _HEAD):
            if isinstance(row, Row):
                names.update(dict.fromkeys(row.values))
        if names:
            check_columns(self.path, names, self.columns, all_named=False)

    def rows(self) -> Iterator[Row | BadRow]:
        """See `Reader.rows`."""
        remedy = "put large contents into files and name their paths"
        for line, values in json_rows(self.path, RowError, self.max_row_bytes, remedy):
            yield BadRow(line, values) if isinstance(values, RowError) else Row(line, values)

    def total(self) -> int | None:
        """The number of lines, of a file up to 1 GiB."""
        if self.path.stat().st_size > _COUNTED:
            return None
        lines, last = 0, b"\n"
        with self.path.open("rb") as file:
            while block := file.read(_BLOCK):
                lines += block.count(b"\n")
                last = block[-1:]
        return lines + (last != b"\n")


def open_jsonl(options: ReadOptions) -> JsonLines:
    """The reader of a .jsonl file."""
    return JsonLines(options.path, options.columns)
