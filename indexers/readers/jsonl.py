"""Reads a catalogue of one JSON object per line."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from indexers.errors import RowError
from indexers.readers.base import MAX_ROW_BYTES, BadRow, Columns, Row, check_columns

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
        with self.path.open("rb") as file:
            line = 0
            while raw := file.readline(self.max_row_bytes + 1):
                line += 1
                if len(raw) > self.max_row_bytes and not raw.endswith(b"\n"):
                    _skip_line(file)
                    problem = f"line is over {self.max_row_bytes} bytes long"
                    yield BadRow(line, RowError(problem, "put large contents into files and name their paths"))
                elif raw.strip(b" \t\r\n\xef\xbb\xbf"):
                    yield _parse(line, raw)

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


def _parse(line: int, raw: bytes) -> Row | BadRow:
    try:
        values = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return BadRow(line, RowError(f"line is not UTF-8 (byte {error.start})", "save the catalogue as UTF-8"))
    except json.JSONDecodeError as error:
        problem = f"line is not JSON: {error.msg.lower()} at column {error.colno}"
        return BadRow(line, RowError(problem, "write one JSON object per line"))
    except (RecursionError, ValueError) as error:
        return BadRow(line, RowError(f"line is not usable JSON: {str(error)[:80].lower()}", "write plainer JSON"))
    if not isinstance(values, dict):
        return BadRow(
            line, RowError(f"line is a {type(values).__name__}, not an object", "write one object per line")
        )
    return Row(line, values)


def _skip_line(file: BinaryIO) -> None:
    while (block := file.readline(_BLOCK)) and not block.endswith(b"\n"):
        pass
