"""Reads the rows of a query as a catalogue: any database that SQLAlchemy knows.

The rows come by a cursor on the server, some at a time; the query can only read. The columns have the names that the
query gives them (`select sku as id, …`); types are kept as `indexers.readers.typed` says, and bytes are pictures or
sounds. The order is the query's, and matters to nothing. A cell over the limit of a content makes its row a bad one;
a file of SQLite is opened to be read only, and gives out no larger ones.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import CursorResult, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from encoders.errors import LimitError
from engine.core.rows import check_distinct
from indexers.errors import CatalogError
from indexers.readers.base import MAX_ROW_BYTES, BadRow, Columns, Row, check_columns
from indexers.readers.typed import typed_row

_STEP = 32
"""Rows that come at once: each may be as large as its database allows."""
_READ_ONLY = {
    "sqlite": ("pragma query_only = on", "begin"),
    "postgresql": ("set transaction read only",),
    "mysql": ("set session transaction read only",),
    "mariadb": ("set session transaction read only",),
}
"""By database what is said before the query: not all that it could do would be rolled back."""
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "sqlite": "sqlite+pysqlite"}


@dataclass(frozen=True, slots=True)
class SqlRows:
    """The rows of a query.

    Args:
        url: of the database, as SQLAlchemy writes it: `postgresql://user:password@host/database`, `sqlite:///file`.
        query: a statement that gives rows.
    """

    url: str = field(repr=False)
    query: str
    columns: Columns = field(default_factory=dict)
    ignore: frozenset[str] = frozenset()
    max_bytes: int = MAX_ROW_BYTES
    """Of a cell."""

    def check(self) -> None:
        """See `Reader.check`; begins the query and reads no rows."""
        with self._result() as result:
            check_columns("the query", self._names(result), self.columns)

    def rows(self) -> Iterator[Row | BadRow]:
        """See `Reader.rows`."""
        line = 0
        try:
            with self._result() as result:
                names = self._names(result)
                for line, row in enumerate(result.mappings(), start=1):
                    cells = {name: row[name] for name in names}
                    yield self._too_large(line, cells) or typed_row(line, cells)
        except (SQLAlchemyError, UnicodeDecodeError) as error:  # the latter of a name
            raise _failed(error, f" after row {line}") from None

    def total(self) -> int | None:
        """Not known: the query would have to run twice."""
        return None

    def _too_large(self, line: int, cells: Mapping[str, object]) -> BadRow | None:
        for name, cell in cells.items():
            if isinstance(cell, str | bytes | memoryview) and len(cell) > self.max_bytes:
                problem = f"column {name} has {len(cell)} bytes, the limit is {self.max_bytes}"
                return BadRow(
                    line, LimitError(problem, "raise limits.max_bytes, or leave it out of the query", field=name)
                )
        return None

    def _names(self, result: CursorResult[tuple[object, ...]]) -> list[str]:
        names = [name for name in result.keys() if name not in self.ignore]  # noqa: SIM118 (it is no dict)
        check_distinct("the query", names, CatalogError)
        return names

    @contextmanager
    def _result(self) -> Iterator[CursorResult[tuple[object, ...]]]:
        if not self.query.strip():
            raise CatalogError(
                "a database needs a query", "give one: --query 'select sku as id, title as text from …'"
            )
        try:
            engine = create_engine(_url(self.url))
        except (SQLAlchemyError, ImportError, ValueError) as error:
            problem = f"{database_name(self.url)} cannot be opened: {str(error).splitlines()[0]}"
            raise CatalogError(problem, "correct the URL, or install the driver that it names") from None
        event.listen(engine, "connect", self._limit)
        try:
            with engine.connect() as connection:
                for statement in _READ_ONLY.get(engine.dialect.name, ()):
                    connection.exec_driver_sql(statement)
                connection.execution_options(stream_results=True, yield_per=_STEP, no_parameters=True)
                with connection.exec_driver_sql(self.query) as result:
                    if not result.returns_rows:
                        raise CatalogError("the query gives no rows", "write a select")
                    yield result
                connection.rollback()
        except (SQLAlchemyError, UnicodeDecodeError) as error:  # the latter of a name
            raise _failed(error) from None
        finally:
            engine.dispose()

    def _limit(self, connection: object, _: object) -> None:
        """Have SQLite refuse what is larger than a cell may be, before it is there."""
        if isinstance(connection, sqlite3.Connection):
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, self.max_bytes + _STEP)


def is_database(where: str) -> bool:
    """Whether a URL is one of a database, rather than of a file."""
    try:
        make_url(where).get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError):
        return where.partition(":")[0] in _DRIVERS
    except ImportError:  # its driver is missing
        return True
    return True


def database_name(where: str) -> str:
    """The URL of a database without its password, and without its query, which may hold one."""
    try:
        return make_url(where).set(query={}).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return where.partition(":")[0] + "://…"


def _url(where: str) -> URL:
    url = make_url(where)
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return url
    database = str(url.database)
    if not database.startswith("file:"):
        if not Path(database).is_file():  # SQLite would make one
            raise CatalogError(f"no database at {database}", "name a file that is there")
        database = f"file:{quote(str(Path(database).absolute()))}"
    return url.set(database=database).update_query_dict({"mode": "ro", "uri": "true"})


def _failed(error: Exception, where: str = "") -> CatalogError:
    said = str(getattr(error, "orig", None) or error).strip().splitlines()
    return CatalogError(
        f"the query failed{where}: {said[0][:200] if said else type(error).__name__}", "correct it, or the URL"
    )
