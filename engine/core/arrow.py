"""Parquet and Arrow as streams of rows. It is apart from `engine.core.rows`, for pyarrow takes a while to load.

Arrow is the IPC format, as a file (Feather) or a stream. Its offsets are read as they stand in the file, so each
batch is validated before it is used, and its size is looked up before it is read (`engine.core.arrow_sizes`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from encoders.errors import TriveniError
from engine.core.arrow_sizes import batch_sizes

MAX_BATCH_BYTES = 1 << 30
"""A batch of Arrow is read as a whole; a larger one, once it is decompressed, is refused."""

_ERRORS = (pa.ArrowException, OSError, ValueError, MemoryError)
_PARQUET = (".parquet", ".pq")


def table_schema(path: Path, broken: type[TriveniError]) -> pa.Schema:
    """The columns of a file.

    Raises:
        broken: if it is neither Parquet nor Arrow.
    """
    with _told(path, broken):
        if _is_parquet(path):
            return pq.read_schema(path, memory_map=False)
        with pa.OSFile(str(path)) as file, _reader(file) as reader:
            return reader.schema


def table_length(path: Path, broken: type[TriveniError]) -> int:
    """The number of rows, from the footer or the heads of the batches.

    Raises:
        broken: if it is neither Parquet nor Arrow.
    """
    with _told(path, broken):
        if _is_parquet(path):
            return int(pq.read_metadata(path).num_rows)
        return sum(one.rows for one in batch_sizes(path))


def table_rows(
    path: Path,
    broken: type[TriveniError],
    size: int,
    columns: Sequence[str] | None = None,
    prepared: Callable[[pa.RecordBatch], pa.RecordBatch] = lambda batch: batch,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a file, with their numbers from 1, without holding them all.

    Args:
        path: the file.
        broken: the error of a file that cannot be read.
        size: rows that are turned into Python's values at once, at the most.
        columns: those that are read; None reads all.
        prepared: makes of rows as they are read those that are given.

    Raises:
        broken: if the file is damaged.
    """
    number = 0
    batches = _parquet_batches if _is_parquet(path) else _arrow_batches
    try:
        for batch in batches(path, size, columns):
            for part in _parts(prepared(batch)):
                for cells in part.to_pylist():
                    number += 1
                    yield number, cells
    except _ERRORS as error:
        raise _unreadable(path, error, broken, f" after row {number}") from None


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """What is turned into Python's values at once: one row where rows may share a value, which each gets its own of.

    So a dictionary of one large text, a few kilobytes in the file, is not there once for each row.
    """
    step = 1 if any(map(_shares, batch.schema.types)) else max(batch.num_rows, 1)
    for start in range(0, batch.num_rows, step):
        yield batch.slice(start, step)


def _shares(kind: pa.DataType) -> bool:
    """Whether values of this type may lie in the same bytes."""
    is_shared = (
        pa.types.is_dictionary,
        pa.types.is_run_end_encoded,
        pa.types.is_string_view,
        pa.types.is_binary_view,
        pa.types.is_list_view,
        pa.types.is_large_list_view,
    )
    inner = (kind.field(place).type for place in range(kind.num_fields))
    return any(is_one(kind) for is_one in is_shared) or any(map(_shares, inner))


def _parquet_batches(path: Path, size: int, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path, pre_buffer=False, memory_map=False) as file:
        yield from file.iter_batches(size, columns=columns, use_threads=False)


def _arrow_batches(path: Path, size: int, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    for one in batch_sizes(path):
        if one.bytes > MAX_BATCH_BYTES:
            raise ValueError(f"a batch has {one.bytes} bytes, the limit is {MAX_BATCH_BYTES}; make smaller batches")
    with pa.OSFile(str(path)) as file, _reader(file) as reader:
        count = getattr(reader, "num_record_batches", None)
        for batch in reader if count is None else map(reader.get_batch, range(count)):
            batch.validate(full=True)
            chosen = batch if columns is None else batch.select(columns)
            for start in range(0, batch.num_rows, size):
                yield chosen.slice(start, size)


def _reader(file: pa.OSFile) -> Any:
    """The reader of an IPC file or stream."""
    magic = file.read(6)
    file.seek(0)
    return pa.ipc.open_file(file) if magic == b"ARROW1" else pa.ipc.open_stream(file)


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in _PARQUET


@contextmanager
def _told(path: Path, broken: type[TriveniError]) -> Iterator[None]:
    try:
        yield
    except _ERRORS as error:
        raise _unreadable(path, error, broken) from None


def _unreadable(path: Path, error: Exception, broken: type[TriveniError], where: str = "") -> TriveniError:
    """What is said of a file that cannot be read."""
    kind = "Parquet" if _is_parquet(path) else "Arrow"
    return broken(f"{path} is not readable {kind}{where}: {str(error)[:200].lower()}", "write it again")
