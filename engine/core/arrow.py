"""Parquet and Arrow as streams of rows. It is apart from `engine.core.rows`, for pyarrow takes a while to load.

Arrow is the IPC format, as a file (Feather) or a stream. Its offsets are read as they stand in the file, so each
batch is validated before it is used, and its size is looked up before it is read (`engine.core.arrow_sizes`). Parquet
is read in a process of its own (`engine.core.parquet_process`). Of both, rows become Python's values only if those
are not too large (`engine.core.arrow_costs`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from encoders.errors import TriveniError
from engine.core.arrow_costs import Known, is_small, row_costs
from engine.core.arrow_sizes import batch_sizes
from engine.core.parquet_process import parquet_batches

MAX_BATCH_BYTES = 1 << 30
"""A batch of Arrow is read as a whole; a larger one, once it is decompressed, is refused."""
MAX_ROW = 512 << 20
"""Bytes of a row as Python's values, about."""
MAX_VALUES = 16 << 20
"""Of all rows that are turned into Python's values at once, if they are more than one."""

_ERRORS = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)
"""Of pyarrow; the last but one of times that Python does not have."""
_PARQUET = (".parquet", ".pq")


def table_schema(path: Path, broken: type[TriveniError]) -> pa.Schema:
    """The columns of a file.

    Raises:
        broken: if it is neither Parquet nor Arrow.
    """
    with _told(path, broken):
        if _is_parquet(path):
            schema = pq.read_schema(path, memory_map=False)
        else:
            with pa.OSFile(str(path)) as file, _reader(file) as reader:
                schema = reader.schema
        for number in range(len(schema)):
            _name_all(schema.field(number))
        return schema


def _name_all(field: pa.Field) -> None:
    """Raise UnicodeDecodeError, which is a ValueError, if the name of a field, or of one within it, is no UTF-8."""
    field.name  # noqa: B018 (it is decoded now)
    for number in range(field.type.num_fields):
        _name_all(field.type.field(number))


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
        for batch, known in batches(path, size, columns):
            for part in _parts(prepared(batch), known, number):
                for cells in part.to_pylist():
                    number += 1
                    yield number, cells
    except _ERRORS as error:
        raise _unreadable(path, error, broken, f" after row {number}") from None


def _parts(batch: pa.RecordBatch, known: Known, after: int) -> Iterator[pa.RecordBatch]:
    """What is turned into Python's values at once: rows that take `MAX_VALUES` bytes together at the most, or one.

    Args:
        batch: rows.
        known: what was found of the batch that they are of.
        after: the number of the row before them.

    Raises:
        ValueError: if a row takes more than `MAX_ROW`.
    """
    if is_small(batch, MAX_VALUES):
        yield batch
        return
    costs = row_costs(batch, known)
    if len(costs) and costs.max() > MAX_ROW:
        number, cost = after + 1 + int(costs.argmax()), int(costs.max())
        raise ValueError(
            f"row {number} takes {cost} bytes, the limit is {MAX_ROW}; give it less, or leave a column out"
        )
    start, held = 0, 0.0
    for row, cost in enumerate(costs.tolist()):
        if row > start and held + cost > MAX_VALUES:
            yield batch.slice(start, row - start)
            start, held = row, 0.0
        held += cost
    if start < batch.num_rows:
        yield batch.slice(start)


def _parquet_batches(path: Path, size: int, columns: Sequence[str] | None) -> Iterator[tuple[pa.RecordBatch, Known]]:
    with closing(parquet_batches(path, size, columns)) as batches:
        for batch in batches:
            yield batch, {}


def _arrow_batches(path: Path, size: int, columns: Sequence[str] | None) -> Iterator[tuple[pa.RecordBatch, Known]]:
    """Rows, with what is found of the batch that they are of."""
    for one in batch_sizes(path):
        if one.bytes > MAX_BATCH_BYTES:
            raise ValueError(f"a batch has {one.bytes} bytes, the limit is {MAX_BATCH_BYTES}; make smaller batches")
    with pa.OSFile(str(path)) as file, _reader(file) as reader:
        count = getattr(reader, "num_record_batches", None)
        for batch in reader if count is None else map(reader.get_batch, range(count)):
            batch.validate(full=True)
            chosen = batch if columns is None else batch.select(columns)
            known: Known = {}
            for start in range(0, batch.num_rows, size):
                yield chosen.slice(start, size), known


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
