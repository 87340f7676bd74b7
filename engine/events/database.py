"""Opens a database of events: SQLite in WAL mode, or PostgreSQL; its transactions, and its errors in our words.

SQLite: `synchronous=FULL` syncs the log at every commit, so that what is acknowledged survives the loss of power
and not only kill -9 (https://www.sqlite.org/pragma.html#pragma_synchronous). Writers of this process take turns by
a lock; writes begin with BEGIN IMMEDIATE, because a transaction that reads first and writes then fails as "locked"
however long the timeout is (https://www.sqlite.org/isolation.html); other processes are waited for. Deleted rows
are overwritten (`secure_delete`), but for copies that a row left behind when it moved to another page, and those in
the log: `scrub` rids the files of them.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Index, Table, create_engine, event, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.schema import CreateSchema

from engine.events import tables
from engine.events.errors import EventDiskFullError, EventKeyError, EventSchemaError, EventStoreError

BUSY_SECONDS = 60.0
"""How long another process that writes is waited for, and a connection of the pool."""
CONNECT_SECONDS = 5
"""How long PostgreSQL may take to answer, unless the URL says another `connect_timeout`."""
LOCK_SECONDS = 10.0
"""How long a locked table or row of PostgreSQL is waited for."""

_POOL = 8
_SCRUB_SQLITE = ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")
"""What rids the files of deleted rows. It cannot be part of a transaction."""
_ADVISORY = 0x7472_6976
"""The PostgreSQL advisory lock under which tables are made."""


class Database:
    """A pool of connections.

    Args:
        url: `sqlite:///var/events.db` or `postgresql://user:password@host/database`; with `?schema=NAME` at its end
            the tables are in that schema, which is made if missing, else in the first of the search path.
        existing: refuse a file that is not there, instead of making it.

    Raises:
        EventStoreError: if the URL is of another kind, or the database cannot be reached.
        EventSchemaError: if it is no database, or its tables are of another version.
    """

    def __init__(self, url: str, *, existing: bool = False) -> None:
        self._url = _parse(url)
        self._schema = _schema(self._url)
        self.sqlite = self._url.get_backend_name() == "sqlite"
        if existing and self.sqlite and not Path(str(self._url.database)).exists():
            raise EventStoreError(
                f"there is no event store {self._url.database}",
                "record or import events first, or set events.url to where they are",
            )
        self._turn = threading.Lock()
        self._engine = _sqlite_engine(self._url) if self.sqlite else _postgres_engine(self._url)
        if self._schema:  # each statement names it: nothing hangs on the state of a connection
            self._engine = self._engine.execution_options(schema_translate_map={None: self._schema})
        try:
            self._make_tables()
        except BaseException:
            self._engine.dispose()
            raise

    @contextmanager
    def read(self, *, repeatable: bool = False) -> Iterator[Connection]:
        """A transaction that reads.

        Args:
            repeatable: that all of its statements see one state of the database; of SQLite they do in any case.
        """
        with self._errors(), self._engine.connect() as connection:
            if repeatable and not self.sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes; committed when it ends well."""
        turn = self._turn if self.sqlite else nullcontext()
        with self._errors(), turn, self._engine.connect() as plain:
            connection = plain.execution_options(triveni_write=True)
            with connection.begin():
                yield connection

    def scrub(self) -> None:
        """Rid the files of what was deleted; see `EventStore.scrub`."""
        turn = self._turn if self.sqlite else nullcontext()
        with self._errors(), turn, self._engine.connect() as plain:
            options: dict[str, Any] = {"triveni_plain": True} if self.sqlite else {"isolation_level": "AUTOCOMMIT"}
            connection = plain.execution_options(**options)
            for statement in _SCRUB_SQLITE if self.sqlite else (f"VACUUM {', '.join(self._tables(connection))}",):
                connection.exec_driver_sql(statement)

    def _tables(self, connection: Connection) -> list[str]:
        """The names of the tables that have people's rows, as plain SQL needs them."""
        quote = connection.dialect.identifier_preparer.quote
        within = f"{quote(self._schema)}." if self._schema else ""
        return [within + quote(table.name) for table in (tables.events, tables.impressions)]

    def keyed(self, fingerprint: str) -> None:
        """See to it that the ids in the database are made by a key, or by none; an empty database takes the key.

        Args:
            fingerprint: of the key; "" for none.

        Raises:
            EventKeyError: if it has others.
        """
        with self.read() as connection:
            if _key_of(connection) == fingerprint:
                return
        with self.write() as connection:
            if not self.sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY})"))
            found = _key_of(connection)
            if found == fingerprint:
                return
            keys = tables.events.c.id, tables.impressions.c.request_id
            rows = [row for key in keys for row in connection.execute(select(key).limit(1))]
            if found or rows:
                raise EventKeyError(self._name, found, fingerprint)
            connection.execute(tables.pseudonyms.insert().values(fingerprint=fingerprint))

    def close(self) -> None:
        """Close all connections. Twice is allowed."""
        self._engine.dispose()

    def _make_tables(self) -> None:
        with self.read() as connection:
            if self._has_tables(connection) and not _missing(connection, self._schema):
                return
        with self.write() as connection:
            if not self.sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY})"))
            if self._schema and not inspect(connection).has_schema(self._schema):
                connection.execute(CreateSchema(self._schema))
            new = not self._has_tables(connection)
            tables.metadata.create_all(connection)
            if new:
                connection.execute(tables.schema.insert().values(version=tables.VERSION))
            for index in _missing(connection, self._schema):
                if isinstance(index, Index):
                    index.create(connection)

    def _has_tables(self, connection: Connection) -> bool:
        """Whether there are any; they are of this release's version then, or refused."""
        if not inspect(connection).has_table(tables.schema.name, self._schema):
            return False
        found = connection.execute(select(tables.schema.c.version)).scalars().all()
        if list(found) != [tables.VERSION]:
            have = ", ".join(map(str, found)) or "none"
            raise EventSchemaError(
                f"event store {self._name} has tables of version {have}, this release has {tables.VERSION}",
                "use the release that wrote it, or export its events with that release and import them here",
            )
        return True

    @property
    def _name(self) -> str:
        return self._url.render_as_string(hide_password=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            said = str(error.orig).strip().splitlines()[0][:200] if str(error.orig).strip() else type(error).__name__
            if "not a database" in said or "malformed" in said:
                raise EventSchemaError(
                    f"{self._name} is not a sound SQLite database: {said}", "restore it, or name another file"
                ) from None
            kind = EventDiskFullError if _is_full(said) else EventStoreError
            raise kind(f"event store {self._name} failed: {said}", _remedy(said)) from None
        except PoolTimeoutError:
            problem = f"event store {self._name} has had no free connection for {BUSY_SECONDS:.0f} s"
            raise EventStoreError(problem, "send fewer requests at once, then try again") from None
        except SQLAlchemyError as error:
            raise EventStoreError(f"event store {self._name} failed: {str(error)[:200]}", "try again") from None


def _schema(url: URL) -> str | None:
    """The schema that a URL of PostgreSQL names."""
    named = url.query.get("schema") if url.get_backend_name() == "postgresql" else None
    return named if isinstance(named, str) else None


def _key_of(connection: Connection) -> str:
    return connection.execute(select(tables.pseudonyms.c.fingerprint)).scalar() or ""


def _missing(connection: Connection, schema: str | None) -> list[Table | Index]:
    """The tables and indexes that an earlier release did not make."""
    look = inspect(connection)
    if lacking := [table for table in tables.metadata.sorted_tables if not look.has_table(table.name, schema)]:
        return list(lacking)
    return [
        index
        for table in tables.metadata.sorted_tables
        for index in sorted(table.indexes, key=lambda one: str(one.name))
        if not look.has_index(table.name, str(index.name), schema)
    ]


def _parse(raw: str) -> URL:
    remedy = "write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
    try:
        url = make_url(raw)
        backend = url.get_backend_name()
    except ArgumentError:
        raise EventStoreError(f"event store URL {raw.partition(':')[0][:40]!r} is no URL", remedy) from None
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise EventStoreError(f"event store of kind {url.drivername!r} is unknown", remedy)
    if not url.database or url.database == ":memory:":
        raise EventStoreError("event store in memory would forget everything", "write sqlite:///FILE")
    return url.set(drivername="sqlite+pysqlite")


def _is_full(said: str) -> bool:
    """As SQLite or PostgreSQL says it."""
    return "disk is full" in said or "No space left on device" in said


def _remedy(said: str) -> str:
    if "locked" in said:
        return "end the process that holds the file, then try again"
    if "lock timeout" in said:
        return "see who locks the tables (pg_locks), then try again"
    if "readonly" in said or "unable to open" in said:
        return "let the file and its folder be written, then try again"
    if _is_full(said):
        return "free space on the disk, then try again"
    if "disk I/O" in said:
        return "see whether the disk is full or broken, then try again"
    return "see that the database runs and can be reached, then try again"


def _sqlite_engine(url: URL) -> Engine:
    try:
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EventStoreError(f"cannot make the folder of {url.database}: {error.strerror}", "name another") from None
    engine = create_engine(
        url,
        pool_size=_POOL,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        _wal_mode(connection)
        for pragma in ("synchronous=FULL", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("triveni_plain", False):
            return
        write = options.get("triveni_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _wal_mode(connection: Any) -> None:
    """Switch to WAL mode; the switch of a new file by two processes at once fails as "locked" without waiting."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)


def _postgres_engine(url: URL) -> Engine:
    """Without limits, every request would wait for a server that does not answer, or for a table that is locked."""
    url = url.difference_update_query(["schema"])
    limit = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_SECONDS}
    engine = create_engine(
        url, pool_size=_POOL, max_overflow=0, pool_timeout=BUSY_SECONDS, pool_pre_ping=True, connect_args=limit
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        connection.execute(f"SET lock_timeout = {1000 * LOCK_SECONDS:.0f}")
        connection.commit()

    return engine
