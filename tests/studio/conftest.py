"""One server with its page for all tests of the page."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.studio.running import Opened, opened

if TYPE_CHECKING:
    from tests.studio.browsing import Contexts, Visit


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """A server with its page."""
    with opened(Path(tmp_path_factory.mktemp("studio"))) as run:
        yield run


@pytest.fixture(scope="module")
def http(studio: Opened) -> Iterator[httpx.Client]:
    """A client of it."""
    with httpx.Client(base_url=studio.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def contexts() -> Iterator["Contexts"]:
    """A browser's contexts."""
    from tests.studio.browsing import browsers

    with browsers() as found:
        yield found


@pytest.fixture
def visit(studio: Opened, contexts: "Contexts", request: pytest.FixtureRequest) -> Iterator["Visit"]:
    """A page of its own; at the end it must not have complained, nor asked another origin for anything.

    A parameter says how: `{"dark": True}`, `{"narrow": True}`.
    """
    from tests.studio.browsing import Visit

    how = getattr(request, "param", {})
    page = contexts.get(has_touch="narrow" in how).new_page()
    page.set_viewport_size({"width": 360, "height": 740} if "narrow" in how else {"width": 1440, "height": 900})
    page.emulate_media(color_scheme="dark" if "dark" in how else "light")
    made = Visit(page, studio.url)
    yield made
    page.close()
    assert made.complaints == []
