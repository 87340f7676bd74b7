"""What is acknowledged stays; many processes share one database; other databases are refused; large ones stream."""

import socket
import sqlite3
import subprocess
import sys
import threading
import tracemalloc
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import make_url

from engine.core.types import EventKind, UserId
from engine.events.database import Database
from engine.events.errors import EventSchemaError, EventStoreError
from engine.events.sql import SqlEventStore
from tests.events.stores import ANN, POSTGRES_URL, ago, click, no_postgres, open_store, served, store_url

_WRITER = """
import itertools, sys
from engine.events.sql import SqlEventStore
from tests.events.stores import click, served

store = SqlEventStore(sys.argv[1])
for number in itertools.count():
    store.record([click(user="ann", name=f"{sys.argv[2]} {number} {part}") for part in range(3)])
    store.log_impressions([served(f"{sys.argv[2]} {number}")])
    print(number, flush=True)
    if number == int(sys.argv[3]):
        break
"""


def _start(url: str, name: str, last: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, url, name, str(last)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_open_one_new_database_and_write_together(url: str) -> None:
    writers = [_start(url, f"p{number}", 15) for number in range(3)]
    for writer in writers:
        _, said = writer.communicate(timeout=60)
        assert writer.returncode == 0, said
    store = open_store(url)
    assert store.stats().events == 3 * 16 * 3
    store.close()


@pytest.mark.parametrize("seed", [4, 9])
def test_deleted_people_leave_no_trace_in_the_files(tmp_path: Path, seed: int) -> None:
    """Of these rows some move between pages, and leave copies behind that `secure_delete` does not overwrite."""
    random, secret = Random(seed), b"somebody-secret"
    store = open_store(f"sqlite:///{tmp_path / 'events.db'}")
    people = [*(f"user-{number}" for number in range(50)), secret.decode()]
    for batch in range(20):
        events = []
        for _ in range(300):
            who, when = random.choice(people), ago(seconds=random.random() * 1e7)
            events.append(click(who, name=f"{who} {random.random()}", time=when))
        store.record(events)
        store.log_impressions([served(f"{batch} {one}", random.choice(people)) for one in range(100)])
    there = store.held(UserId(secret.decode()))
    assert there.events > 50
    assert there.lists > 10
    assert store.delete_user(UserId(secret.decode())) == there
    store.scrub()
    files = list(tmp_path.iterdir())
    assert any(path.name == "events.db-wal" for path in files)
    assert not [path.name for path in files if secret in path.read_bytes()]
    left = store.stats()
    assert (left.events, left.users) == (20 * 300 - there.events, 50)
    store.close()


@pytest.mark.skipif(bool(no_postgres()), reason=no_postgres())
def test_a_tenant_s_schema_is_scrubbed() -> None:
    name = f"test-{uuid.uuid4().hex}"
    store = open_store(
        make_url(POSTGRES_URL).update_query_dict({"schema": name}).render_as_string(hide_password=False)
    )
    try:
        store.record([click()])
        assert store.delete_user(ANN).events == 1
        store.scrub()
    finally:
        with store._database.write() as connection:
            connection.exec_driver_sql(f'DROP SCHEMA "{name}" CASCADE')
        store.close()


def test_scrubbing_beside_readers_and_writers(url: str) -> None:
    store = open_store(url)
    store.record([click(name=f"{row:03}", time=ago(seconds=row)) for row in range(300)])
    exported = store.export()
    next(exported)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(3):
                store.record([click(user="bob", name=f"{number} {turn}")])
                store.scrub()
        except Exception as error:  # noqa: BLE001 (told below)
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert store.stats().events == 312
    assert sum(event.user == ANN for event in exported) == 299
    store.close()


_FULL = """
import resource, sys
from engine.events.errors import EventStoreError
from engine.events.sql import SqlEventStore
from engine.core.types import UserId
from tests.events.stores import click, served

store = SqlEventStore(sys.argv[1])
kept = len(store.record([click(name=f"{row}") for row in range(10)]))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
try:
    for start in range(10, 100_000, 100):
        done = store.record([click(name=f"{row}") for row in range(start, start + 100)])
        kept += len(done)
except EventStoreError as error:
    print(error)
assert len(store.history(UserId("ann"), limit=10_000).events) == kept
try:
    store.log_impressions([served(items=("x" * 500,) * 2000)])
except EventStoreError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
kept += len(store.record([click(name="afterwards")]))
print(kept, store.stats().events, store.log_impressions([served()]))
"""


def test_a_full_disk_is_said_and_what_was_acknowledged_stays(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL, f"sqlite:///{tmp_path / 'events.db'}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    first, second, counts = done.stdout.splitlines()
    for said in (first, second):
        assert "disk I/O error: see whether the disk is full or broken" in said or "free space on the disk" in said
    kept, there, new = counts.split()
    assert kept == there
    assert new == "1"


# What is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("no url", "event store URL 'no url' is no URL: write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"),
        ("mysql://host/db", "event store of kind 'mysql' is unknown: write sqlite:///FILE or"),
        ("sqlite://", "event store in memory would forget everything: write sqlite:///FILE"),
        ("sqlite:///:memory:", "event store in memory would forget everything"),
        ("sqlite:////proc/none/events.db", "cannot make the folder of /proc/none/events.db"),
    ],
)  # fmt: skip
def test_bad_urls(url: str, said: str) -> None:
    with pytest.raises(EventStoreError) as caught:
        SqlEventStore(url)
    assert said in str(caught.value)


def test_a_server_that_is_not_there_is_unavailable_and_the_password_is_not_told() -> None:
    with pytest.raises(EventStoreError) as caught:
        SqlEventStore("postgresql://ann:hush@127.0.0.1:1/test")
    assert "event store postgresql+psycopg://ann:***@127.0.0.1:1/test failed: " in str(caught.value)
    assert "see that the database runs" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert caught.value.status == "UNAVAILABLE"


def test_a_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.events.database.CONNECT_SECONDS", 2)  # the least that PostgreSQL's library takes
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(EventStoreError, match="timeout"):
            SqlEventStore(f"postgresql://127.0.0.1:{port}/test")


def test_tables_that_are_locked_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if no_postgres():
        pytest.skip(no_postgres())
    monkeypatch.setattr("engine.events.database.LOCK_SECONDS", 0.2)
    with store_url("postgresql", tmp_path) as url:
        store, other = open_store(url), Database(url)
        with other.write() as connection:
            connection.execute(text("LOCK TABLE triveni_events IN ACCESS EXCLUSIVE MODE"))
            for call in (lambda: store.history(UserId("ann")), lambda: store.record([click()])):
                with pytest.raises(EventStoreError, match=r"lock timeout: see who locks the tables"):
                    call()
        assert store.record([click()])[0].error is None
        other.close()
        store.close()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "events.db").write_text("something else " * 100)
    with pytest.raises(EventSchemaError) as caught:
        open_store(f"sqlite:///{tmp_path / 'events.db'}")
    assert "is not a sound SQLite database: file is not a database: restore it, or name another file" in str(
        caught.value
    )
    assert caught.value.status == "FAILED_PRECONDITION"


def test_tables_of_another_version(url: str) -> None:
    open_store(url).close()
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("UPDATE triveni_schema SET version = 7"))
    database.close()
    with pytest.raises(EventSchemaError) as caught:
        open_store(url)
    assert "has tables of version 7, this release has 1: use the release that wrote it" in str(caught.value)


def test_a_lasting_lock_is_an_error_in_our_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.events.database.BUSY_SECONDS", 0.1)
    path = tmp_path / "events.db"
    store = open_store(f"sqlite:///{path}")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(
        EventStoreError, match="database is locked: end the process that holds the file, then try again"
    ):
        store.record([click()])
    other.execute("ROLLBACK")
    other.close()
    assert store.record([click()])[0].error is None
    store.close()


# Large ones -------------------------------------------------------------------------------------------------

_FILL = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count})
INSERT INTO triveni_events (id, user_id, time, kind, item_id, context)
SELECT {name}, 'ann', 1700000000000000 + i * CAST(1000000 AS BIGINT), 'click', 'item', '{{}}' FROM n ORDER BY 1
"""


@pytest.mark.parametrize(
    ("kind", "count", "name"),
    [("sqlite", 1_000_000, "printf('%07d', i)"), ("postgresql", 100_000, "lpad(i::text, 7, '0')")],
)
def test_a_long_history_is_read_in_pages(kind: str, count: int, name: str, tmp_path: Path) -> None:
    if kind == "postgresql" and no_postgres():
        pytest.skip(no_postgres())
    with store_url(kind, tmp_path) as url:
        store = open_store(url)
        database = Database(url)
        with database.write() as connection:
            connection.execute(text(_FILL.format(count=count, name=name)))
        if kind == "postgresql":
            with database.write() as connection:
                connection.execute(text("ANALYZE triveni_events"))
        database.close()
        store.history(UserId("ann"), limit=1)
        tracemalloc.start()
        first = store.history(UserId("ann"), limit=100)
        second = store.history(UserId("ann"), limit=100, cursor=first.next_cursor)
        stream = store.export()
        oldest = [event.event.id for event in islice(stream, 5)]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        store.close()
    assert [int(event.id) for event in first.events + second.events] == list(range(count - 1, count - 201, -1))
    assert [int(event) for event in oldest] == list(range(5))
    assert peak < 8 << 20  # the rows of one step, not of the whole


@pytest.mark.parametrize("index", ["user", "time", "request"])
def test_sqlite_reads_by_index(tmp_path: Path, index: str) -> None:
    path = tmp_path / "events.db"
    open_store(f"sqlite:///{path}").close()
    query = {
        "user": "user_id = ? AND (time, id) < (?, ?) ORDER BY time DESC, id DESC LIMIT 100",
        "time": "(time, id) > (?, ?) AND time < ? ORDER BY time, id LIMIT 100",
        "request": "request_id IN (?, ?, ?)",
    }[index]
    database = sqlite3.connect(path)
    plan = database.execute(f"EXPLAIN QUERY PLAN SELECT * FROM triveni_events WHERE {query}", (1, 2, 3)).fetchall()
    database.close()
    assert f"USING INDEX triveni_events_by_{index} (" in plan[0][3]
    assert len(plan) == 1  # nothing is sorted


def test_what_a_person_did_is_found_past_all_that_they_were_shown(url: str) -> None:
    """By an index, which a database of an earlier release gets when it is opened."""
    open_store(url).close()
    database = Database(url)
    with database.write() as connection:
        shown = _FILL.replace("'click'", "'impression'").replace("'item'", "'shown'")
        name = "printf('%07d', i)" if database.sqlite else "lpad(i::text, 7, '0')"
        connection.execute(text(shown.format(count=5000, name=name)))
        connection.execute(text("DROP INDEX triveni_events_acted"))
    store = open_store(url)
    store.record([click(name="before", time=datetime(2020, 1, 1, tzinfo=UTC))])
    with database.write() as connection:
        connection.execute(text("ANALYZE triveni_events"))
    asked: list[tuple[str, Any]] = []
    event.listen(store._database._engine, "before_cursor_execute", lambda *said: asked.append((said[2], said[3])))
    kinds = [kind for kind in EventKind if kind is not EventKind.IMPRESSION]
    assert [one.id for one in store.history(UserId("ann"), kinds=kinds).events] == ["before"]
    (statement, given) = next(one for one in asked if "ORDER BY" in one[0])
    with database.read() as connection:
        explain = "EXPLAIN QUERY PLAN" if database.sqlite else "EXPLAIN"
        plan = " ".join(map(str, connection.exec_driver_sql(f"{explain} {statement}", given).all()))
    store.close()
    database.close()
    assert "triveni_events_acted" in plan


def test_many_open_one_new_database_at_once(url: str, tmp_path: Path) -> None:
    for turn in range(6 if url.startswith("sqlite") else 1):
        new = f"sqlite:///{tmp_path / f'new {turn}.db'}" if url.startswith("sqlite") else url
        together = threading.Barrier(8)

        def open_and_write(number: int, new: str = new, together: threading.Barrier = together) -> int:
            together.wait()
            store = open_store(new)
            done = len(store.record([click(name=f"{number}")]))
            store.close()
            return done

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(open_and_write, range(8))) == [1] * 8


def test_the_switch_to_wal_waits_for_others(tmp_path: Path) -> None:
    """SQLite itself does not wait there: two processes that open a new file at once would see "locked"."""
    path = tmp_path / "events.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE other (a)")
    other.execute("BEGIN")
    other.execute("INSERT INTO other VALUES (1)")
    timer = threading.Timer(0.3, other.execute, ("COMMIT",))
    timer.start()
    store = open_store(f"sqlite:///{path}")
    assert store.record([click()])[0].error is None
    store.close()
    timer.join()
    other.close()


def test_postgresql_orders_ids_by_bytes_whatever_its_locale(tmp_path: Path) -> None:
    if no_postgres():
        pytest.skip(no_postgres())
    with store_url("postgresql", tmp_path) as url:
        open_store(url).close()
        database = Database(url)
        with database.read() as connection:
            query = (
                "SELECT table_name, column_name, collation_name FROM information_schema.columns"
                " WHERE table_schema = current_schema() AND column_name IN ('id', 'request_id', 'user_id')"
            )
            found = connection.execute(text(query)).all()
        database.close()
    assert len(found) == 5
    assert {collation for _, _, collation in found} == {"C"}
