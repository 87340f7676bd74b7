"""A browser for the tests of the page: what must never happen in any of them is looked at in all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: pip install 'triveni[dev]'")
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",  # a tone, where there is no microphone
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)


SOFTWARE = "GPU stall due to ReadPixels"
"""What a browser without a graphics card says of any page that draws by WebGL."""


@dataclass
class Contexts:
    """Contexts of a browser, each for all tests that look at pages in the same way: they share its cache of files."""

    browser: Browser
    made: dict[tuple[tuple[str, object], ...], BrowserContext] = field(default_factory=dict)

    def get(self, **how: object) -> BrowserContext:
        """The context for this way of looking."""
        key = tuple(sorted(how.items()))
        if key not in self.made:
            self.made[key] = self.browser.new_context(**how)
        return self.made[key]


@contextmanager
def browsers() -> Iterator[Contexts]:
    """A browser, for all tests."""
    if not CHROMIUM:
        pytest.skip("there is no chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield Contexts(browser)
        browser.close()


@dataclass
class Visit:
    """A page that is open, and what it complained of."""

    page: Page
    url: str
    expected: list[str] = field(default_factory=list)
    """Parts of complaints that a test provokes."""
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        page = self.page
        page.set_default_timeout(8000)
        page.on(
            "console",
            lambda said: self._note(f"{said.type}: {said.text}") if said.type in {"error", "warning"} else None,
        )
        page.on("pageerror", lambda error: self._note(f"uncaught: {error}"))
        page.on("request", self._check)

    def _note(self, complaint: str) -> None:
        if not any(part in complaint for part in (*self.expected, SOFTWARE)):
            self.complaints.append(complaint)

    def _check(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "blob:", "data:")):
            self.complaints.append(f"asked another origin: {request.url}")

    def go(self, address: str) -> None:
        """Open an address and wait until its results are there."""
        self.page.goto(self.url + address)
        self.settled()

    def settled(self) -> None:
        """Wait until nothing is loading."""
        expect(self.page.locator("main")).to_be_visible()
        expect(self.page.locator("[aria-busy=true]")).to_have_count(0)
        expect(self.page.locator(".card.to-come")).to_have_count(0)

    def titles(self) -> list[str]:
        """The results, in order."""
        return self.page.locator("main .card .title").all_inner_texts()

    def ids(self) -> list[str]:
        """The results' ids, in order."""
        return [str(one.get_attribute("data-item")) for one in self.page.locator("main .card").all()]

    def findings(self) -> list[str]:
        """What axe finds that is serious or critical."""
        self.page.evaluate(AXE)
        found: list[dict[str, Any]] = self.page.evaluate("axe.run().then(({violations}) => violations)")
        return [
            f"{one['impact']}: {one['help']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
            for one in found
            if one["impact"] in {"serious", "critical"}
            for node in one["nodes"][:3]
        ]
