"""Catalogues in a database: what the rows become, and what goes wrong."""

import uuid
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text

from encoders.spaces.space import Space
from engine.store.base import VectorStore
from indexers.catalog import Catalog
from indexers.errors import CatalogError
from indexers.pipeline import index
from indexers.readers import BadRow, Row, open_catalog
from indexers.readers.sql import is_database
from tests.events.stores import POSTGRES_URL, no_postgres
from tests.indexers.catalogs import good, write_sqlite
from tests.tiny import png_bytes

needs_postgres = pytest.mark.skipif(bool(no_postgres()), reason=no_postgres() or "-")
PSYCOPG = POSTGRES_URL.replace("postgresql://", "postgresql+psycopg://")


def test_rows_of_a_query_are_indexed_and_found_unchanged(tmp_path: Path, memory: VectorStore, space: Space) -> None:
    url = write_sqlite(
        tmp_path / "shop.db", [{"sku": n, "title": f"item {n}", "pic": png_bytes(n)} for n in range(5)]
    )
    columns = {"id": "sku", "text": "title", "image": "pic"}
    catalog = Catalog(url, query="select * from items", columns=columns)
    assert index(catalog, memory, space).rows == 5
    again = index(catalog, memory, space)
    assert {str(outcome): number for outcome, number in again.outcomes.items() if number} == {"unchanged": 5}
    assert {str(m) for m in memory.retrieve(["3"])[0].vectors} == {"text", "image"}  # type: ignore[union-attr,list-item]


@needs_postgres
def test_types_of_postgresql() -> None:
    one = uuid.uuid4()
    query = (
        f"select 7 as id, 'a 100% % :x' as text, '{one}'::uuid as u, 1.50::numeric as price, "
        "date '2024-05-01' as day, timestamp '2024-05-01 10:00' as at, array['a','b'] as tags, "
        "'{\"a\": [1]}'::json as deep, '\\xff'::bytea as image"
    )
    assert good(open_catalog(PSYCOPG, query=query)) == [
        {
            "id": 7,
            "text": "a 100% % :x",
            "u": str(one),
            "price": float(Decimal("1.50")),
            "day": date(2024, 5, 1).isoformat(),
            "at": datetime(2024, 5, 1, 10).isoformat(timespec="milliseconds") + "Z",
            "tags": ["a", "b"],
            "deep": {"a": [1]},
            "image": b"\xff",
        }
    ]


@needs_postgres
def test_rows_come_by_a_cursor_and_nothing_is_left_open() -> None:
    """Ten thousand million rows: whoever asked for all of them at once would not be here."""
    name = f"triveni-{uuid.uuid4()}"
    open_ones = text(f"select count(*) from pg_stat_activity where application_name = '{name}'")
    url = f"{PSYCOPG}?application_name={name}"
    reader = open_catalog(url, query="select generate_series(1, 10000000000) as id, 'x' as text")
    reader.check()
    rows = reader.rows()
    assert [next(rows).line for _ in range(600)] == list(range(1, 601))
    with create_engine(PSYCOPG, poolclass=NullPool).connect() as connection:
        assert connection.execute(open_ones).scalar() == 1
        rows.close()  # type: ignore[attr-defined]
        while connection.execute(open_ones).scalar():  # the server needs a moment to see that it was left
            connection.rollback()


@pytest.mark.parametrize(
    ("url", "query", "reason"),
    [
        ("sqlite:///{}", "", "a database needs a query: give one: --query"),
        ("sqlite:///{}", "select * from gone", "the query failed: no such table: gone"),
        ("sqlite:///{}", "delete from items", "the query failed: attempt to write a readonly database"),
        ("sqlite:///{}", "pragma user_version", "no column 'id'"),
        ("postgresql://u:secret@h:port/x", "select 1", "cannot be opened"),
        ("sqlite:///{}", "select sku, sku from items", "two columns 'sku'"),
        ("sqlite:///{}", "select sku from items", "no column 'id'"),
        ("sqlite:////nowhere/x.db", "select 1 as id", "no database at /nowhere/x.db: name a file"),
        ("sqlite:///file:/nowhere/x.db?uri=true", "select 1 as id", "the query failed: unable to open"),
        ("postgresql://u:secret@127.0.0.1:1/x", "select 1", "the query failed"),
        ("mysql+nothing://u:secret@h/x", "select 1", "cannot be opened"),
    ],
)
def test_what_goes_wrong_is_told_without_the_password(tmp_path: Path, url: str, query: str, reason: str) -> None:
    write_sqlite(tmp_path / "x.db", [{"sku": 1}])
    with pytest.raises(CatalogError, match=reason) as caught:
        Catalog(url.format(tmp_path / "x.db"), query=query)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        "delete from items",
        "delete from items returning id, text",
        "drop table items",
        "create table more as select 1 as id",
        "vacuum into 'copy.db'",
    ],
)
def test_a_query_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    monkeypatch.chdir(tmp_path)
    url = write_sqlite(tmp_path / "x.db", [{"id": 1, "text": "a"}])
    before = (tmp_path / "x.db").read_bytes()
    with pytest.raises(CatalogError, match="the query failed"):
        list(open_catalog(url, query=query).rows())
    assert (tmp_path / "x.db").read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["x.db"]


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:///gone.db", "sqlite:///file:gone.db?uri=true&mode=rwc"):
        with pytest.raises(CatalogError):
            Catalog(url, query="select 1 as id, 'x' as text")
    assert list(tmp_path.iterdir()) == []


def test_a_path_with_signs_of_urls(tmp_path: Path) -> None:
    url = write_sqlite(tmp_path / "50% a#b.db", [{"id": 1, "text": "a"}])
    assert good(open_catalog(url, query="select * from items")) == [{"id": 1, "text": "a"}]


def test_cells_over_the_limit(tmp_path: Path) -> None:
    url = write_sqlite(tmp_path / "x.db", [{"id": 1, "text": "a" * 100}, {"id": 2, "text": "b" * 101}])
    first, second = open_catalog(url, query="select * from items", max_bytes=100).rows()
    assert isinstance(first, Row)
    assert isinstance(second, BadRow)
    assert str(second.error) == (
        "column text has 101 bytes, the limit is 100: raise limits.max_bytes, or leave it out of the query"
    )
    bomb = "select 1 as id, 'x' as text, zeroblob(1000000000) as image"
    with pytest.raises(CatalogError, match="the query failed: string or blob too big"):
        list(open_catalog(url, query=bomb).rows())


@needs_postgres
def test_cells_of_postgresql_over_the_limit() -> None:
    (row,) = open_catalog(PSYCOPG, query="select 1 as id, repeat('a', 101) as text", max_bytes=100).rows()
    assert isinstance(row, BadRow)
    assert "column text has 101 bytes" in str(row.error)


@needs_postgres
def test_a_query_of_postgresql_changes_nothing() -> None:
    name = f"triveni_{uuid.uuid4().hex}"
    with create_engine(PSYCOPG, poolclass=NullPool).begin() as connection:
        connection.execute(text(f"create sequence {name}"))
    try:
        with pytest.raises(CatalogError, match="in a read-only transaction"):
            list(open_catalog(PSYCOPG, query=f"select nextval('{name}') as id, 'x' as text").rows())
    finally:
        with create_engine(PSYCOPG, poolclass=NullPool).begin() as connection:
            connection.execute(text(f"drop sequence {name}"))


def test_a_query_on_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,text\n1,a\n")
    with pytest.raises(CatalogError, match=r"is no database: leave out --query"):
        open_catalog(tmp_path / "x.csv", query="select 1")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///x.db", True),
        ("postgresql://h/d", True),
        ("postgres://h/d", True),
        ("mysql://h/d", True),
        ("s3://bucket/x.parquet", False),
        ("memory://x.csv", False),
        ("file:///x.csv", False),
        ("x://[", False),
    ],
)
def test_databases_are_told_from_files(url: str, expected: bool) -> None:
    assert is_database(url) is expected
