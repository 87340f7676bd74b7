"""JSONL, CSV, Parquet and Arrow as streams of rows, both ways. A format knows nothing of what the cells mean."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from engine.core.arrow import table_rows, table_schema
from engine.core.rows import csv_header, csv_rows, json_rows
from engine.events.errors import EventError, EventFileError
from engine.events.rows import COLUMNS, Cells, encode_vector

MAX_LINE_BYTES = 1 << 20
"""A line of JSONL that is longer is refused, so that a missing line break cannot fill the memory."""

_BATCH = 2000

Row = tuple[int, Cells | EventError]
"""The line that a row begins on (of Parquet and Arrow its number), from 1, and its cells, or why it has none."""


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
        return json_rows(path, EventError, MAX_LINE_BYTES, "write one event per line")

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
        return csv_header(path, EventFileError)

    def read(self, path: Path) -> Iterator[Row]:
        """See `Format.read`."""
        return csv_rows(path, EventError, is_row=self._is_event)

    def _is_event(self, cells: Cells) -> bool:
        try:
            self._event(cells)
        except EventError:
            return False
        return True

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
        return list(table_schema(path, EventFileError).names)

    def read(self, path: Path) -> Iterator[Row]:
        """See `Format.read`."""
        return table_rows(path, EventFileError, _BATCH, prepared=partial(_readable_times, utc=self._utc))

    def write(self, path: Path, rows: Iterable[dict[str, Any]]) -> int:
        """See `Format.write`."""
        count, rest = 0, iter(rows)
        with self._writer(path) as writer:
            while batch := list(islice(rest, _BATCH)):
                for row in batch:
                    row["context"] = _context(row["context"])
                writer.write_batch(pa.RecordBatch.from_pylist(batch, self.schema))
                count += len(batch)
        return count

    def _writer(self, path: Path) -> Any:
        return pq.ParquetWriter(path, self.schema, compression="zstd")


class Arrow(Parquet):
    """Arrow as a file (Feather), compressed with zstd; streams are read too."""

    def _writer(self, path: Path) -> Any:
        return pa.ipc.new_file(path, self.schema, options=pa.ipc.IpcWriteOptions(compression="zstd"))


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
