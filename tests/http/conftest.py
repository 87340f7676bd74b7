"""One server with its HTTP door, for the tests that leave it as they find it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.http.doors import Opened, opened


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """A server with a small catalogue, and its door."""
    with opened(Path(tmp_path_factory.mktemp("http"))) as run:
        yield run


@pytest.fixture(scope="session")
def http(door: Opened) -> Iterator[httpx.Client]:
    """A client of it."""
    with httpx.Client(base_url=door.url, timeout=30) as client:
        yield client
