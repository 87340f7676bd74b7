"""All rows of an event store as Parquet files, one per table, and back.

The columns are those of the tables, so a copy of one database can be read into the other, and by other tools.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from sqlalchemy import Connection, Double, Integer, LargeBinary, Table, delete, select

from engine.events import tables
from engine.events.database import Database
from engine.events.errors import EventFileError, EventStoreError
from engine.events.insert import insert_fresh

if TYPE_CHECKING:
    import pyarrow as pa

_KEY = b"triveni"
_ROWS = 10_000
"""Of a row group: so many are in memory at once."""


def dumped_tables() -> dict[str, Table]:
    """By name the tables of which there are copies."""
    return {table.name: table for table in tables.metadata.sorted_tables if table is not tables.schema}


def dump(database: Database, create: Callable[[str], BinaryIO]) -> dict[str, int]:
    """Write all tables, as they were at one moment; others may write meanwhile.

    Args:
        database: the event store.
        create: gives the file to write a table to, by its name.

    Returns:
        By table, how many rows were written.

    Raises:
        EventStoreError: if the database fails.
        OSError: if a file cannot be written.
    """
    with database.read(repeatable=True) as connection:
        return {name: _dump(connection, table, create(name)) for name, table in dumped_tables().items()}


def _dump(connection: Connection, table: Table, file: BinaryIO) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, count = _schema(table), 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        streamed = connection.execution_options(yield_per=_ROWS).execute(select(table))
        for rows in streamed.partitions():
            columns = zip(*rows, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(rows)
    return count


def _schema(table: Table) -> "pa.Schema":
    import pyarrow as pa

    kinds = {Integer: pa.int64(), Double: pa.float64(), LargeBinary: pa.binary()}  # a BigInteger is an Integer

    def kind(column: Any) -> "pa.DataType":
        return next((kind for sql, kind in kinds.items() if isinstance(column.type, sql)), pa.string())

    about = {"table": table.name, "version": tables.VERSION}
    fields = [pa.field(column.name, kind(column), bool(column.nullable)) for column in table.columns]
    return pa.schema(fields, metadata={_KEY: json.dumps(about).encode()})


def load(database: Database, files: Mapping[str, BinaryIO], *, replace: bool = False) -> dict[str, int]:
    """Read the files of a dump into a database, in one transaction: all of it is there then, or nothing.

    Args:
        database: an event store without rows.
        files: by table, the file.
        replace: delete what is there, instead of refusing it.

    Returns:
        By table, how many rows were read.

    Raises:
        EventFileError: if a file is broken, or of tables that this release does not have.
        EventStoreError: if there are rows already, and not `replace`, or the database fails.
    """
    import pyarrow as pa

    known = dumped_tables()
    if unknown := files.keys() - known.keys():
        raise EventFileError(
            f"copy has tables that this release does not: {', '.join(sorted(unknown))}", "restore it with its release"
        )
    with database.write() as connection:
        for name, table in known.items():
            if connection.execute(select(table).limit(1)).first() is None:
                continue
            if not replace:
                raise EventStoreError(
                    f"event store has rows in {name} already", "name an empty one, or say to replace"
                )
            connection.execute(delete(table))
        try:
            return {name: _load(connection, known[name], file) for name, file in files.items()}
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise EventFileError(f"copy of the events cannot be read: {error}", "take it again") from error


def _load(connection: Connection, table: Table, file: BinaryIO) -> int:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as copy:
        about = json.loads((copy.schema_arrow.metadata or {})[_KEY])
        if about["version"] != tables.VERSION:
            raise ValueError(f"its tables are of version {about['version']}, this release has {tables.VERSION}")
        for rows in _rows(copy):
            insert_fresh(connection, table, rows)
        return int(copy.metadata.num_rows)


def _rows(copy: Any) -> Iterator[list[dict[str, Any]]]:
    for batch in copy.iter_batches(_ROWS):
        yield batch.to_pylist()
