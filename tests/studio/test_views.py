"""Every view, in light and dark, narrow and wide: it loads, fits, and axe finds nothing serious."""

from pathlib import Path

import pytest

from engine.studio.api.page import views
from tests.studio.browsing import Contexts, Visit, expect
from tests.studio.running import opened

FULL = {
    "/": "/?q=bird&p=-0.5,item,fish/seen&f=category,bird&open=bird/heard",
    "/person": "/person?e=like,0,item,bird/seen&e=search,30,text,a fish&vs=untrained&half=3&open=bird/heard",
    "/map": "/map?by=category&lit=bird&e=like,0,item,bird/seen&in=-1~-1_1~-1_1~1_-1~1",
    "/catalogue": "/catalogue?f=category,bird&f=category,fish&open=bird/heard",
}
"""Addresses at which a view shows all that it has."""


@pytest.mark.parametrize("path", views())
@pytest.mark.parametrize("visit", [{}, {"dark": True}], ids=["light", "dark"], indirect=True)
def test_a_view_loads_and_can_be_used_by_all(visit: Visit, path: str) -> None:
    for address in (path, FULL.get(path, path)):
        visit.go(address)
        expect(visit.page.locator("h1")).to_have_count(1)
        expect(visit.page.locator(".error-box")).to_have_count(0)
        assert visit.findings() == []


@pytest.mark.parametrize("path", views())
@pytest.mark.parametrize("visit", [{"narrow": True}], ids=["narrow"], indirect=True)
def test_a_view_fits_a_phone(visit: Visit, path: str) -> None:
    for address in (path, FULL.get(path, path)):
        visit.go(address)
        wider = visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, "the page can be moved sideways"
        assert visit.findings() == []


@pytest.mark.parametrize("visit", [{"narrow": True}], ids=["narrow"], indirect=True)
def test_live_is_held_beside_its_heading_on_a_phone(visit: Visit) -> None:
    visit.go("/live")
    expect(visit.page.locator("header [role=status]")).to_have_text("each second")
    heading, hold = (
        visit.page.locator("h1").bounding_box(),
        visit.page.get_by_role("button", name="Hold").bounding_box(),
    )
    assert heading
    assert hold
    assert hold["y"] < heading["y"] + heading["height"]


def test_nothing_moves_while_it_loads(visit: Visit) -> None:
    """The cumulative layout shift, as browsers measure it."""
    visit.page.add_init_script(
        "window.shift = 0;"
        "new PerformanceObserver(list => list.getEntries().forEach(one => window.shift += one.value))"
        ".observe({type: 'layout-shift', buffered: true})"
    )
    for address in ("/", "/?q=bird", "/person?e=like,0,item,bird/seen", "/learning", "/live"):
        visit.go(address)
        visit.page.wait_for_timeout(300)
        assert visit.page.evaluate("window.shift") < 0.02, address


def test_dialogs_are_usable_in_dark(visit: Visit) -> None:
    visit.page.emulate_media(color_scheme="dark")
    visit.go("/?q=bird")
    for name in ("Copy this call", "Filter"):
        visit.page.get_by_role("button", name=name).first.click()
        expect(visit.page.locator("dialog[open]")).to_be_visible()
        assert visit.findings() == []
        visit.page.keyboard.press("Escape")
        expect(visit.page.locator("dialog[open]")).to_have_count(0)


def test_a_server_that_does_not_know_where_media_are_says_so(contexts: Contexts, tmp_path: Path) -> None:
    with opened(tmp_path, told=False) as run:
        page = contexts.get().new_page()
        visit = Visit(page, run.url)
        visit.go("/?open=bird/heard")
        expect(page.locator("main")).to_contain_text("Pictures and sounds cannot be shown")
        expect(page.locator("aside")).to_contain_text("A bird to hear")
        expect(page.locator("img, audio, .play")).to_have_count(0)
        for path, heading in (("/learning", "Learning"), ("/live", "Live")):  # they show no media
            visit.go(path)
            expect(page.locator("h1")).to_have_text(heading)
            expect(page.locator("footer")).to_contain_text("items")
            expect(page.locator(".no-media")).to_have_count(0)
        page.close()
