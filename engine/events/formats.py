"""JSONL, CSV and Parquet as streams of rows, both ways. A format knows nothing of what the cells mean."""

import csv
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from engine.events.errors import EventError, EventFileError
from engine.events.rows import COLUMNS, Cells, encode_vector

MAX_LINE_BYTES = 1 << 20
"""A line of JSONL that is longer is refused, so that a missing line break cannot fill the memory."""

_BATCH = 2000
_BOM = b"\xef\xbb\xbf"

Row = tuple[int, Cells | EventError]
"""The line that a row begins on (of Parquet its number), from 1, and its cells, or why it cannot be read."""


class Format(Protocol):
    """A kind of file."""

    def names(self, path: Path) -> list[str] | None:
        """The columns that the file says it has; None where it does not say."""

    def read(self, path: Path) -> Iterator[Row]:
        """The rows, in the file's order, without holding them all."""

    def write(self, path: Path, rows: Iterable[dict[str, Any]]) -> int:
        """Write rows as `engine.events.rows.cells_of` gives them, and say how many they were."""


class JsonLines:
    """One JSON object per line, in UTF-8; blank lines are skipped."""

    def names(self, path: Path) -> list[str] | None:
        """See `Format.names`."""
        return None

    def read(self, path: Path) -> Iterator[Row]:
        """See `Format.read`."""
        with path.open("rb") as file:
            number = 0
            while raw := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n"):
                    while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                        pass
                    yield number, EventError(f"line is over {MAX_LINE_BYTES} bytes long", "write one event per line")
                elif raw.strip(b" \t\r\n" + _BOM):
                    yield number, _parse(raw)

    def write(self, path: Path, rows: Iterable[dict[str, Any]]) -> int:
        """See `Format.write`."""
        count = 0
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for row in rows:
                count += 1
                cells = {name: _as_text(cell) for name, cell in row.items() if cell is not None}
                file.write(json.dumps(cells, ensure_ascii=False) + "\n")
        return count


class Csv:
    """Comma-separated values in UTF-8, with a header.

    A quote that is never closed takes in the rows that follow. Such a row is refused, and the lines after its first
    are read again as rows of their own.

    Args:
        event: makes an event of a row, or raises EventError; a line within a quoted cell that is one is no text.
    """

    def __init__(self, event: Callable[[Cells], object]) -> None:
        self._event = event

    def names(self, path: Path) -> list[str] | None:
        """See `Format.names`."""
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            try:
                return next(csv.reader(file, strict=True), [])
            except csv.Error as error:
                raise EventFileError(f"{path} has no valid header ({error})", "write the columns' names") from None

    def read(self, path: Path) -> Iterator[Row]:
        """See `Format.read`."""
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            lines = _Lines(file)
            reader = csv.reader(lines, strict=True)
            names = next(reader, [])
            while True:
                number = lines.begin_row()
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    several = lines.again()
                    yield number, _unclosed() if several else _invalid(error)
                    continue
                if self._swallowed(names, lines.row[1:]):
                    lines.again()
                    yield number, _unclosed()
                elif len(cells) == len(names):
                    yield number, dict(zip(names, cells, strict=True))
                elif cells:
                    problem = f"row has {len(cells)} cells, the header has {len(names)}"
                    yield number, EventError(problem, "quote cells that hold commas")

    def _swallowed(self, names: Sequence[str], lines: Sequence[str]) -> bool:
        """Whether one of the lines that a row goes on with is an event by itself."""
        for line in lines:
            cells = next(csv.reader([line]), [])
            if len(cells) != len(names) or '"' in cells[0]:  # there the quoted cell is the first, and ends
                continue
            with suppress(EventError):
                self._event(dict(zip(names, cells, strict=True)))
                return True
        return False

    def write(self, path: Path, rows: Iterable[dict[str, Any]]) -> int:
        """See `Format.write`."""
        count = 0
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            for row in rows:
                count += 1
                row["context"] = _context(row["context"])
                writer.writerow({name: _as_text(cell) for name, cell in row.items()})
        return count


class Parquet:
    """Parquet, compressed with zstd.

    Args:
        utc: whether timestamps without a zone are in UTC; else they stay without one.
    """

    schema = pa.schema(
        [
            *((name, pa.string()) for name in COLUMNS[:3]),
            ("time", pa.timestamp("us", "UTC")),
            *((name, pa.string()) for name in ("item_id", "text", "modality")),
            ("vector", pa.list_(pa.float32())),
            ("fingerprint", pa.string()),
            ("value", pa.float64()),
            *((name, pa.string()) for name in ("request_id", "context")),
        ]
    )

    def __init__(self, *, utc: bool = True) -> None:
        self._utc = utc

    def names(self, path: Path) -> list[str] | None:
        """See `Format.names`."""
        try:
            return list(pq.read_schema(path).names)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _unreadable(path, 0, error) from None

    def read(self, path: Path) -> Iterator[Row]:
        """See `Format.read`."""
        number = 0
        try:
            with pq.ParquetFile(path, pre_buffer=False, memory_map=False) as file:
                for batch in file.iter_batches(_BATCH, use_threads=False):
                    for cells in _readable_times(batch, utc=self._utc).to_pylist():
                        number += 1
                        yield number, cells
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _unreadable(path, number, error) from None

    def write(self, path: Path, rows: Iterable[dict[str, Any]]) -> int:
        """See `Format.write`."""
        count, rest = 0, iter(rows)
        with pq.ParquetWriter(path, self.schema, compression="zstd") as writer:
            while batch := list(islice(rest, _BATCH)):
                for row in batch:
                    row["context"] = _context(row["context"])
                writer.write_batch(pa.RecordBatch.from_pylist(batch, self.schema))
                count += len(batch)
        return count


def _parse(raw: bytes) -> Cells | EventError:
    try:
        cells = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return EventError(f"line is not UTF-8 (byte {error.start})", "save the file as UTF-8")
    except json.JSONDecodeError as error:
        problem = f"line is not JSON: {error.msg.lower()} at column {error.colno}"
        return EventError(problem, "write one JSON object per line")
    except (RecursionError, ValueError) as error:
        return EventError(f"line is not usable JSON: {str(error)[:80].lower()}", "write plainer JSON")
    if not isinstance(cells, dict):
        return EventError(f"line is a {type(cells).__name__}, not an object", "write one object per line")
    return cells


def _as_text(cell: Any) -> Any:
    """A time as RFC 3339, a vector as base64; anything else as it is."""
    if isinstance(cell, datetime):
        return cell.isoformat().replace("+00:00", "Z")
    return encode_vector(cell) if hasattr(cell, "dtype") else cell


def _context(context: dict[str, str] | None) -> str | None:
    return None if context is None else json.dumps(context, ensure_ascii=False)


def _readable_times(batch: pa.RecordBatch, *, utc: bool) -> pa.RecordBatch:
    """The batch with timestamps as texts, so that one that is no time in Python spoils its own row only.

    Args:
        batch: rows.
        utc: whether those without a zone are in UTC; else they stay without one.
    """
    columns = [
        column.cast(pa.timestamp("us", "UTC" if utc or column.type.tz else None), safe=False).cast(pa.string())
        if pa.types.is_timestamp(column.type)
        else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


class _Lines:
    """The lines of a file. Those of the row that was read last can be read again."""

    def __init__(self, file: Iterator[str]) -> None:
        self._file = file
        self._ahead: deque[str] = deque()
        self._number = 1
        self.row: list[str] = []
        """The lines of the row."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._ahead.popleft() if self._ahead else next(self._file)
        self.row.append(line)
        return line

    def begin_row(self) -> int:
        """Begin a row, and say the number of its first line."""
        self._number += len(self.row)
        self.row = []
        return self._number

    def again(self) -> bool:
        """Let all lines of the row but the first be read again; False if there is one only."""
        self._ahead.extendleft(reversed(self.row[1:]))
        several = len(self.row) > 1
        del self.row[1:]
        return several


def _unclosed() -> EventError:
    problem = "a quote that is opened in this row is not closed"
    return EventError(problem, "close it, and double the quotes within a cell")


def _invalid(error: csv.Error) -> EventError:
    problem = f"row is not valid CSV: {str(error).lower()}"
    return EventError(problem, "quote cells that hold quotes, and double the quotes")


def _unreadable(path: Path, number: int, error: Exception) -> EventFileError:
    said = str(error)[:200].lower()
    return EventFileError(f"{path} is not readable Parquet after row {number}: {said}", "write it again")
