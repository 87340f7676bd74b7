"""The page of a server that asks for keys: its own routes ask too, and a person can sign in and out."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from engine.service.access.access import Access
from engine.service.access.caller import EVERY_SCOPE, Scope
from engine.service.access.keys import KeyChecker, KeyFile
from engine.service.access.watched import EVERY
from engine.studio.api import about, catalogue, facets, learning, live, map, media, page
from engine.studio.routes import SCOPES, SUBJECTS
from tests.studio.running import Opened, opened

if TYPE_CHECKING:
    from tests.studio.browsing import Contexts

KEYS: dict[str, str] = {}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    folder = Path(tmp_path_factory.mktemp("studio"))
    keys = KeyFile(folder / "keys.toml")
    for name, scopes in (("reader", {Scope.READ}), ("other", EVERY_SCOPE - {Scope.READ})):
        KEYS[name], _ = keys.add(name, frozenset(scopes), "", None, datetime.now(UTC))
    with opened(folder, access=Access([KeyChecker(keys.path)])) as run:
        yield run


def test_every_route_is_in_the_table(studio: Opened) -> None:
    assert set(SUBJECTS) | {page} == {about, media, facets, map, catalogue, learning, live, page}
    found = {
        f"{verb} {route.path}"
        for subject in SUBJECTS
        for route in subject.routes(_Any())  # type: ignore[arg-type]
        for verb in (route.methods or set()) - {"HEAD"}
    }
    assert found == set(SCOPES)


class _Any:
    """Has all attributes: routes are made, and none is asked."""

    learning = None


@pytest.mark.parametrize("name", sorted(SCOPES))
def test_a_route_asks_for_its_scope(http: httpx.Client, name: str) -> None:
    verb, _, path = name.partition(" ")
    path = path.replace("{name:path}", "x")

    def status(key: str) -> int:
        with http.stream(verb, path, headers={"x-api-key": key} if key else {}) as answer:
            return answer.status_code

    assert status("") == status("triveni_nonsense") == 401
    reads = SCOPES[name] == Scope.READ
    assert status(KEYS["other" if reads else "reader"]) == 403
    assert status(KEYS["reader" if reads else "other"]) not in (401, 403)


def test_a_page_that_listens_hears_no_more_once_its_key_is_revoked(studio: Opened, http: httpx.Client) -> None:
    keys = KeyFile(studio.root.parent / "keys.toml")
    key, made = keys.add("for a while", frozenset({Scope.READ}), "", None, datetime.now(UTC))
    time.sleep(EVERY)  # until the server knows it
    with http.stream("GET", "/studio/live", headers={"x-api-key": key}) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: past"
        keys.revoke(made.id)
        for _ in lines:  # ends as a whole answer does
            pass
    assert http.get("/studio/about", headers={"x-api-key": key}).status_code == 401


def test_the_page_itself_is_there_for_all(http: httpx.Client) -> None:
    assert "Triveni Studio" in http.get("/").text


def test_signing_in(studio: Opened, contexts: "Contexts") -> None:
    from playwright.sync_api import expect

    from tests.studio.browsing import Visit

    context = contexts.browser.new_context()
    tab = context.new_page()
    visit = Visit(tab, studio.url, expected=["401"])
    tab.goto(studio.url + "/")
    dialog = tab.get_by_role("dialog", name="Sign in")
    expect(dialog).to_be_visible()
    assert visit.findings() == []
    field = dialog.get_by_label("asks for an API key")
    expect(field).to_be_focused()
    field.fill("wrong")
    field.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("this key is not valid")
    field.fill(KEYS["reader"])
    field.press("Enter")
    expect(tab.locator("main .card").first).to_be_visible()
    expect(dialog).to_be_hidden()
    picture = tab.locator("main .card img").first
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("image => image.naturalWidth") > 0, "pictures are asked for with the cookie"
    assert KEYS["reader"] not in tab.evaluate("document.cookie + JSON.stringify(sessionStorage)")
    tab.set_viewport_size({"width": 360, "height": 700})
    tab.get_by_role("button", name="Sign out").click()
    expect(dialog).to_be_visible()
    assert visit.complaints == []
    context.close()
