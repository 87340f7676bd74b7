"""One server for the tests that leave it as they find it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.access.secured import Secured, secured


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A server with TLS that knows keys and tokens."""
    with secured(Path(tmp_path_factory.mktemp("secured"))) as run:
        yield run


@pytest.fixture(scope="package", autouse=True)
def at_once() -> Iterator[None]:
    """Files that have changed are looked for at each call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.service.access.watched.EVERY", 0.0)
        yield
