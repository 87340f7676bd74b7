"""Parquet as a stream of rows. It is apart from `engine.core.rows`, for pyarrow takes a while to load."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from encoders.errors import TriveniError

_ERRORS = (pa.ArrowException, OSError, ValueError)


def parquet_schema(path: Path, broken: type[TriveniError]) -> pa.Schema:
    """The columns of a file.

    Raises:
        broken: if it is no Parquet.
    """
    try:
        return pq.read_schema(path, memory_map=False)
    except _ERRORS as error:
        raise unreadable(path, error, broken) from None


def parquet_rows(
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
        size: rows that are read at once.
        columns: those that are read; None reads all.
        prepared: makes of rows as they are read those that are given.

    Raises:
        broken: if the file is damaged.
    """
    number = 0
    try:
        with pq.ParquetFile(path, pre_buffer=False, memory_map=False) as file:
            for batch in file.iter_batches(size, columns=columns, use_threads=False):
                for cells in prepared(batch).to_pylist():
                    number += 1
                    yield number, cells
    except _ERRORS as error:
        raise unreadable(path, error, broken, f" after row {number}") from None


def unreadable(path: Path, error: Exception, broken: type[TriveniError], where: str = "") -> TriveniError:
    """What is said of a file that cannot be read."""
    return broken(f"{path} is not readable Parquet{where}: {str(error)[:200].lower()}", "write it again")
