"""Copies of an event store: from each database into each, of one moment, whole or not at all."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from encoders.types import Text
from engine.core.types import EventKind
from engine.events.database import Database
from engine.events.dump import dump, dumped_tables, load
from engine.events.errors import EventFileError, EventStoreError
from engine.events.sql import SqlEventStore
from tests.events.stores import STORES, ago, click, no_postgres, on, open_store, plain, served, store_url, vector


@pytest.fixture(params=STORES)
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Another empty database of each kind."""
    if request.param == "postgresql" and no_postgres():
        pytest.skip(no_postgres())
    (tmp_path / "other").mkdir()
    with store_url(str(request.param), tmp_path / "other") as made:
        yield made


def fill(store: SqlEventStore, count: int = 3) -> None:
    events = [
        click(name=f"{row}", value=row / 3, request_id=f"r{row % 2}", context={"ünï": '"'}) for row in range(count)
    ]
    upload = on(vector(), "bob", EventKind.UPLOAD)
    store.record([*events, upload, on(Text("owl \U0001f989")), click("cleo", name="x", time=ago(microseconds=3))])
    store.log_impressions([served("r1"), served("r2", user="", items=("é", "b", "c"), context={})])


def contents(url: str) -> object:
    store = open_store(url)
    try:
        events = [plain(event) for event in store.export()]
        return events, [(one.impression, [plain(event) for event in one.followed]) for one in store.impressions()]
    finally:
        store.close()


def dumped(url: str) -> dict[str, io.BytesIO]:
    database = Database(url)
    made = {name: io.BytesIO() for name in dumped_tables()}
    assert dump(database, made.__getitem__).keys() == made.keys()
    database.close()
    return made


def test_from_each_database_into_each(store: SqlEventStore, url: str, other: str) -> None:
    fill(store)
    copy = dumped(url)
    database = Database(other)
    assert load(database, copy) == {"triveni_events": 6, "triveni_impressions": 2, "triveni_pseudonyms": 0}
    assert contents(other) == contents(url)
    with pytest.raises(EventStoreError, match="has rows in triveni_events already: name an empty one"):
        load(database, copy)
    load(database, copy, replace=True)
    database.close()
    assert contents(other) == contents(url)


def test_a_copy_is_of_one_moment(store: SqlEventStore, url: str, tmp_path: Path) -> None:
    """Whatever is written once the first table is begun is in none of them."""
    fill(store)
    before = contents(url)

    def create(name: str) -> io.BytesIO:
        if len(copy) == 1:  # the second table
            store.record([click(name="late")])
            store.log_impressions([served("late")])
        copy[name] = io.BytesIO()
        return copy[name]

    copy: dict[str, io.BytesIO] = {}
    database = Database(url)
    dump(database, create)
    database.close()
    assert contents(url) != before
    fresh = Database(f"sqlite:///{tmp_path / 'fresh.db'}")
    load(fresh, copy)
    fresh.close()
    assert contents(f"sqlite:///{tmp_path / 'fresh.db'}") == before


def test_a_broken_copy_changes_nothing(store: SqlEventStore, url: str) -> None:
    fill(store)
    before, copy = contents(url), dumped(url)
    database = Database(url)
    broken = copy["triveni_impressions"].getvalue()
    for bad in (b"", broken[:-20], broken[:10] + b"\xff" * 20 + broken[30:], b"no Parquet"):
        with pytest.raises(EventFileError, match="copy of the events cannot be read"):
            load(database, copy | {"triveni_impressions": io.BytesIO(bad)}, replace=True)
        assert contents(url) == before
    with pytest.raises(EventFileError, match="tables that this release does not: triveni_more"):
        load(database, copy | {"triveni_more": io.BytesIO(broken)}, replace=True)
    database.close()
    assert contents(url) == before


def test_an_empty_store_has_an_empty_copy(url: str, store: SqlEventStore) -> None:
    copy = dumped(url)
    database = Database(url)
    assert set(load(database, copy).values()) == {0}
    database.close()
