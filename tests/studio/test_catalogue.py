"""The catalogue's endpoints, and its view in a browser over the real server."""

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from engine.studio.indexing import DEAD_LETTERS, RUN, IndexFiles
from indexers.noted import Noted
from indexers.progress import Silent
from tests.studio.running import Opened

if TYPE_CHECKING:
    from tests.studio.browsing import Visit

LETTERS = [
    {"line": 3, "id": "", "error": "InvalidItemError", "reason": "no id", "remedy": "add an id"},
    {"line": 9, "id": "bird/seen", "error": "ContentError", "reason": "Image has no known format",
     "remedy": "save it as PNG", "modality": "image", "indexed": True},
]  # fmt: skip


def test_vectors_of_an_item_and_its_neighbours_by_each(http: httpx.Client, studio: Opened) -> None:
    told = http.get("/studio/catalogue/vectors", params={"item": "bird/seen"}).json()
    assert told["fingerprint"] == studio.store.fingerprint
    assert set(told["vectors"]) == {"text", "image"}
    assert told["vectors"]["image"]["norm"] == pytest.approx(1, abs=1e-3)
    asked = {"item": "bird/seen", "modality": "text", "limit": 3}
    near = http.get("/studio/catalogue/neighbours", params=asked).json()["neighbours"]
    assert len(near) == 3
    assert near[0]["item_id"] in {"bird/heard", "bird/read"}
    assert [one["cosine"] for one in near] == sorted((one["cosine"] for one in near), reverse=True)
    assert "bird/seen" not in {one["item_id"] for one in near}


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("vectors", 400, "no item is named"),
        ("vectors?item=gone", 404, "there is no item 'gone'"),
        ("neighbours?item=bird/seen&modality=audio", 404, "has no vector of audio"),
        ("neighbours?item=bird/seen&modality=smell", 400, "modality is 'smell'"),
        ("neighbours?item=bird/seen&modality=text&limit=101", 400, "limit is '101'"),
        ("dead-letters?offset=-1", 400, "offset is '-1'"),
    ],
)
def test_what_makes_no_sense_is_refused(http: httpx.Client, path: str, status: int, said: str) -> None:
    answer = http.get(f"/studio/catalogue/{path}")
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_pairs_that_are_alike_are_found_nearest_first(http: httpx.Client) -> None:
    assert http.post("/studio/catalogue/duplicates", params={"modality": "text", "above": "2"}).status_code == 400
    started = http.post("/studio/catalogue/duplicates", params={"modality": "text", "above": "0.5"})
    assert started.status_code == 202
    for _ in range(100):
        state = http.get("/studio/catalogue/duplicates").json()
        if not state["running"]:
            break
        time.sleep(0.05)
    assert (state["modality"], state["share"], state["items"]) == ("text", 1.0, 36)
    assert state["found"] >= 36, "three texts of each concept make three pairs"
    nearest = state["pairs"][:12]
    assert all(one["first"].split("/")[0] == one["second"].split("/")[0] for one in nearest)
    assert [one["cosine"] for one in state["pairs"]] == sorted(
        (one["cosine"] for one in state["pairs"]), reverse=True
    )


def test_dead_letters_are_paged_and_counted(tmp_path: Path) -> None:
    files = IndexFiles(tmp_path)
    assert files.letters(0, 10).total == 0
    lines = [json.dumps(letter) for letter in LETTERS]
    (tmp_path / DEAD_LETTERS).write_text("\n".join([lines[0], "no json", *[lines[1]] * 5]))
    page = files.letters(1, 2)
    assert page.errors == (("ContentError", 5), ("InvalidItemError", 1))
    assert page.rows == (LETTERS[1], LETTERS[1])
    assert files.letters(0, 10, "InvalidItemError").rows == (LETTERS[0],)


def test_a_run_is_noted_while_it_goes_on_and_when_it_was_killed(tmp_path: Path) -> None:
    files = IndexFiles(tmp_path)
    assert files.run() is None
    noted = Noted(Silent(), tmp_path / RUN)
    noted.start(50)
    noted.update(20, 1)
    noted.phase("pruning")
    run = files.run()
    assert run
    assert (run["state"], run["done"], run["failed"], run["total"], run["phase"]) == ("running", 20, 1, 50, "pruning")
    (tmp_path / RUN).write_text(json.dumps({**run, "process": 2**22 + 1}))
    killed = files.run()
    assert killed
    assert killed["state"] == "killed"
    noted.end("done", {"rows": 50})
    ended = files.run()
    assert ended
    assert (ended["state"], ended["report"]) == ("done", {"rows": 50})


@pytest.mark.parametrize("visit", [{}, {"dark": True}], ids=["light", "dark"], indirect=True)
def test_items_can_be_looked_up_and_walked(visit: "Visit") -> None:
    from tests.studio.browsing import expect

    visit.go("/catalogue")
    expect(visit.page.locator("main .card")).to_have_count(36)
    visit.page.get_by_placeholder("Look an item up").fill("bird/seen")
    visit.page.keyboard.press("Enter")
    aside = visit.page.locator("aside")
    expect(aside).to_contain_text("picture: 64 numbers, norm 1.000")
    expect(aside.locator(".near li")).to_have_count(9)
    visit.settled()
    assert visit.findings() == []
    aside.get_by_role("button", name="text", exact=True).click()
    visit.settled()
    aside.locator(".near button").first.click()
    expect(visit.page).to_have_url(re.compile(r"open=bird%2F(heard|read)"))


def test_look_alikes_and_indexing(visit: "Visit", studio: Opened) -> None:
    from tests.studio.browsing import expect

    folder = studio.root.parent
    (folder / DEAD_LETTERS).write_text("".join(json.dumps(letter) + "\n" for letter in LETTERS))
    try:
        visit.go("/catalogue?tab=indexing")
        expect(visit.page.locator(".letters")).to_contain_text("Image has no known format. Save it as PNG.")
        visit.page.get_by_role("button", name="InvalidItemError").click()
        expect(visit.page.locator(".letters li")).to_have_count(1)
        assert visit.findings() == []
    finally:
        (folder / DEAD_LETTERS).unlink()
    visit.page.get_by_role("button", name="Look-alikes").click()
    visit.page.get_by_label("Cosine above").fill("0.5")
    visit.page.get_by_role("button", name="by text").click()
    expect(visit.page.locator(".pairs li").first).to_be_visible()
    visit.settled()
    assert visit.findings() == []
