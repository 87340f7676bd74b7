"""One server with its page for all tests of the page."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.studio.running import Opened, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.studio.browsing import Visit


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """A server with its page."""
    with opened(Path(tmp_path_factory.mktemp("studio"))) as run:
        yield run


@pytest.fixture(scope="session")
def http(studio: Opened) -> Iterator[httpx.Client]:
    """A client of it."""
    with httpx.Client(base_url=studio.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """A browser."""
    from tests.studio.browsing import browsers

    with browsers() as found:
        yield found


@pytest.fixture
def visit(studio: Opened, browser: "Browser", request: pytest.FixtureRequest) -> Iterator["Visit"]:
    """A page of its own; at the end it must not have complained, nor asked another origin for anything.

    A parameter says how: `{"color_scheme": "dark", "viewport": {...}}`.
    """
    from tests.studio.browsing import Visit

    how = {"viewport": {"width": 1440, "height": 900}, **getattr(request, "param", {})}
    context = browser.new_context(**how)
    made = Visit(context.new_page(), studio.url)
    yield made
    context.close()
    assert made.complaints == []
