"""Event stores in schemas of one PostgreSQL database, as tenants have them."""

import uuid

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from engine.events.sql import SqlEventStore
from engine.events.types import OutcomeKind
from tests.events.stores import ANN, POSTGRES_URL, click, kinds, no_postgres, open_store, served

pytestmark = pytest.mark.skipif(bool(no_postgres()), reason=no_postgres() or "-")


def test_schemas_are_made_and_never_meet() -> None:
    names = [f"test_{uuid.uuid4().hex}-{number}" for number in range(2)]
    urls = [make_url(POSTGRES_URL).update_query_dict({"schema": name}).render_as_string(False) for name in names]
    stores: list[SqlEventStore] = []
    try:
        stores += map(open_store, urls)
        one, other = stores
        assert kinds(one.record([click(name="same")])) == [OutcomeKind.RECORDED]
        assert kinds(other.record([click(name="same"), click(name="more")])) == [OutcomeKind.RECORDED] * 2
        assert kinds(one.record([click(name="same")])) == [OutcomeKind.DUPLICATE]
        one.log_impressions([served("r1")])
        assert [len(store.history(ANN).events) for store in stores] == [1, 2]
        assert [len(list(store.impressions())) for store in stores] == [1, 0]
        assert other.delete_user(ANN).events == 2
        assert [store.stats().events for store in stores] == [1, 0]
        other.scrub()
        stores.append(open_store(urls[0]))
        assert len(stores[-1].history(ANN).events) == 1, "opened again, it is found as it was"
    finally:
        for store in stores:
            store.close()
        admin = create_engine(make_url(POSTGRES_URL).set(drivername="postgresql+psycopg"))
        with admin.begin() as connection:
            for name in names:
                connection.execute(text(f'DROP SCHEMA IF EXISTS "{name}" CASCADE'))
        admin.dispose()
