from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.events.sql import SqlEventStore
from tests.events.stores import STORES, no_postgres, open_store, store_url


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "postgresql" and no_postgres():
        pytest.skip(no_postgres())
    with store_url(str(request.param), tmp_path) as made:
        yield made


@pytest.fixture
def store(url: str) -> Iterator[SqlEventStore]:
    opened = open_store(url)
    yield opened
    opened.close()
