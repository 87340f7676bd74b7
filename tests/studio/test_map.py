"""The map: its numbers, its endpoints, and the view in a browser over the real server."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from encoders.types import Floats, Modality
from engine.catalog.items import ItemTable, read_items, save_items
from engine.core.types import ItemId
from engine.studio.maps import maps as maps_module
from engine.studio.maps.drawing import draw
from engine.studio.maps.file import Map, read, save
from engine.studio.maps.maps import Maps
from engine.studio.maps.project import clusters, item_vectors, place, project
from tests.studio.running import Opened
from tests.tiny import CONCEPTS

if TYPE_CHECKING:
    from tests.studio.browsing import Visit

ITEMS = 3 * len(CONCEPTS)


def blobs(count: int, each: int, seed: int = 0) -> Floats:
    """Unit vectors around `count` directions."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((count, 24))
    vectors = np.repeat(centres, each, axis=0) + 0.15 * random.standard_normal((count * each, 24))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def unpack(body: bytes) -> tuple[dict[str, Any], Floats, np.ndarray]:
    """What `/studio/map/points` says."""
    long = int.from_bytes(body[:4], "little")
    head = json.loads(body[4 : 4 + long])
    end = 4 + long + 8 * head["items"]
    positions = np.frombuffer(body[4 + long : end], "<f4").reshape(-1, 2)
    return head, positions, np.frombuffer(body[end:], np.uint8)


@pytest.fixture(scope="module")
def drawn(studio: Opened, http: httpx.Client) -> Iterator[httpx.Client]:
    """The server, once its map is drawn."""
    pytest.importorskip("openTSNE", reason="openTSNE is not installed: pip install 'triveni[studio]'")
    if not http.get("/studio/map").json()["version"]:
        assert http.get("/studio/map/points").json()["detail"].startswith("there is no map yet")
        assert http.post("/studio/map").status_code == 202
        state = _ended(http)
        assert (state["mapped"], state["failure"]) == (ITEMS, None)
    yield http


def _ended(http: httpx.Client) -> dict[str, Any]:
    for _ in range(600):
        state: dict[str, Any] = http.get("/studio/map").json()
        if not state["running"]:
            return state
        time.sleep(0.1)
    raise AssertionError("the drawing does not end")


# Numbers ------------------------------------------------------------------------------------------------------


def test_what_is_alike_lies_together_and_is_a_cluster() -> None:
    pytest.importorskip("openTSNE", reason="openTSNE is not installed: pip install 'triveni[studio]'")
    vectors = blobs(6, 30)
    told: list[float] = []
    positions = project(vectors, tell=lambda share, _: told.append(share))
    assert positions.min() == -1
    assert positions.max() == 1
    assert told == sorted(told)
    nearest = np.argsort(((positions[:, None] - positions[None]) ** 2).sum(2), axis=1)[:, 1]
    assert np.mean(nearest // 30 == np.arange(180) // 30) > 0.95
    labels = clusters(positions)
    assert set(labels.tolist()) >= {0, 1, 2, 3, 4, 5}
    moved = project(vectors, positions)
    assert np.corrcoef(moved[:, 0], positions[:, 0])[0, 1] > 0.9, "a map that is drawn again is another one"


def test_a_new_item_is_placed_among_its_nearest() -> None:
    vectors = blobs(4, 20)
    positions = np.repeat(np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], np.float32), 20, axis=0)
    assert place(vectors[[0, 25, 79]], vectors, positions).tolist() == [[-1, -1], [-1, 1], [1, 1]]


def test_the_vector_of_an_item_does_not_tell_which_modalities_it_has(studio: Opened) -> None:
    """Of a concept the text, the picture and the sound lie together, though each modality has a cone of its own."""
    items = read_items(studio.store)
    vectors = item_vectors(items)
    cosines = vectors @ vectors.T - 2 * np.eye(len(items))
    concept = [name.split("/")[0] for name in items.ids]
    same = [concept[row] == concept[near] for row, near in enumerate(cosines.argmax(axis=1))]
    assert np.mean(same) == 1


def test_a_few_new_items_leave_the_others_where_they_are(tmp_path: Path) -> None:
    vectors = blobs(3, 10)
    names = tuple(ItemId(f"item {at}") for at in range(30))
    there = np.ones(30, np.bool_)
    table = ItemTable(names, {Modality.TEXT: vectors}, {Modality.TEXT: there}, ({},) * 30, np.zeros(30))
    save_items(table, tmp_path / "items.npz")
    positions = np.random.default_rng(0).uniform(-1, 1, (27, 2)).astype(np.float32)
    old = [at for at in range(30) if at % 10]
    before = Map(tuple(names[at] for at in old), positions, np.zeros(27, np.int16), np.ones(27, np.uint8))
    save(before, tmp_path / "map.npz")
    draw(tmp_path / "items.npz", tmp_path / "map.npz", False, lambda share, stage: None)
    made = read(tmp_path / "map.npz")
    assert made
    assert np.array_equal(made.positions[old], positions)
    assert np.isfinite(made.positions).all()
    (tmp_path / "map.npz").write_bytes(b"PK broken")
    assert read(tmp_path / "map.npz") is None


def test_a_missing_library_is_named_with_its_remedy(
    studio: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maps_module, "LIBRARY", "redis")
    monkeypatch.setattr("engine.core.extras.find_spec", lambda name: None)
    made = Maps(studio.store, tmp_path / "map.npz")
    made.draw(again=False)
    failure = made.state().failure
    assert failure
    assert failure.problem == "redis is not installed"
    assert failure.remedy == "pip install 'triveni[redis]'"


# Endpoints ----------------------------------------------------------------------------------------------------


def test_points_come_in_one_answer_with_names_and_colours(drawn: httpx.Client, studio: Opened) -> None:
    head, positions, categories = unpack(drawn.get("/studio/map/points").content)
    assert (head["items"], len(positions), len(categories)) == (ITEMS, ITEMS, ITEMS)
    assert {one["value"]: one["count"] for one in head["legend"]} == {"text": 12, "image": 12, "audio": 12}
    assert np.bincount(categories).tolist() == [12, 12, 12]
    by_category, same, coloured = unpack(drawn.get("/studio/map/points", params={"by": "category"}).content)
    assert np.array_equal(same, positions)
    names = drawn.get("/studio/map/items", params={"row": list(range(ITEMS))}).json()["items"]
    for one in names:
        legend = by_category["legend"][coloured[one["row"]]]["value"]
        assert one["id"].split("/")[0] == legend
    assert {one["title"] for one in names} >= {"A bird to see", "A bird to hear"}
    row = drawn.get("/studio/map/rows", params={"item": ["bird/seen", "gone"]}).json()["items"]
    assert row == [{"row": next(one["row"] for one in names if one["id"] == "bird/seen"), "id": "bird/seen"}]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("points?by=price", "the map cannot be coloured by 'price'"),
        ("items?row=36", "row is '36'"),
        ("items?row=x", "row is 'x'"),
        ("rows?" + "item=a&" * 501, "501 items are asked for"),
    ],
)
def test_what_cannot_be_told_is_refused(drawn: httpx.Client, path: str, said: str) -> None:
    answer = drawn.get(f"/studio/map/{path}")
    assert answer.status_code == 400
    assert said in answer.text


# The view -----------------------------------------------------------------------------------------------------


def test_the_lasso_makes_a_person_who_likes_what_is_in_it(drawn: httpx.Client, visit: "Visit") -> None:
    from tests.studio.browsing import expect

    visit.go("/map")
    canvas = visit.page.locator("canvas")
    box = canvas.bounding_box()
    assert box
    visit.page.get_by_role("button", name="Lasso").click()
    mouse = visit.page.mouse
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98)]
    for at, (x, y) in enumerate(corners):
        mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
        if not at:
            mouse.down()
    mouse.up()
    expect(visit.page.locator("aside")).to_contain_text(f"{ITEMS} items chosen")
    expect(visit.page).to_have_url(re.compile(r"\bin="))
    visit.page.get_by_role("link", name="A person who likes the first 12").click()
    expect(visit.page).to_have_url(re.compile(r"/person\?e=like"))
    expect(visit.page.locator(".history .chip.piece")).to_have_count(12)


@pytest.mark.parametrize("visit", [{}, {"dark": True}], ids=["light", "dark"], indirect=True)
def test_the_map_by_keyboard(drawn: httpx.Client, visit: "Visit") -> None:
    from tests.studio.browsing import expect

    visit.go("/map?by=category&e=like,0,item,bird/seen&e=search,0,text,a fish")
    expect(visit.page.locator(".map .mark-did")).to_have_count(2)
    expect(visit.page.locator(".map .mark-got").first).to_be_attached()
    expect(visit.page.locator(".map .mark-wants")).to_have_count(2)
    expect(visit.page.locator(".interest")).to_have_text(
        [re.compile(r"A bird to see\s*\d+%"), re.compile(r"“a fish”\s*\d+%")]
    )
    assert visit.findings() == []
    visit.page.get_by_role("button", name="bird").click()
    expect(visit.page).to_have_url(re.compile("lit=bird"))
    canvas = visit.page.locator("canvas")
    canvas.focus()
    for key in ("+", "ArrowRight", "ArrowUp", "-", "0"):
        visit.page.keyboard.press(key)
    expect(visit.page.locator(".tip")).to_be_visible()
    visit.page.keyboard.press("v")
    expect(visit.page.locator("aside")).to_contain_text(f"{ITEMS} items chosen")
    assert visit.findings() == []
    canvas.focus()
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("aside")).to_contain_text("What it carries")
    visit.settled()
    assert visit.findings() == []
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator("aside")).to_contain_text("items chosen")


def test_a_point_shows_its_item_and_opens_it(drawn: httpx.Client, visit: "Visit") -> None:
    from tests.studio.browsing import expect

    head, positions, _ = unpack(drawn.get("/studio/map/points").content)
    (found,) = drawn.get("/studio/map/rows", params={"item": "bird/seen"}).json()["items"]
    x, y = positions[found["row"]].tolist()
    visit.go("/map")
    box = visit.page.locator("canvas").bounding_box()
    assert box
    where = (box["x"] + box["width"] * (0.5 + 0.46 * x), box["y"] + box["height"] * (0.5 - 0.46 * y))
    visit.page.mouse.move(*where)
    expect(visit.page.locator(".tip")).to_contain_text("A ")
    visit.page.mouse.click(*where)
    expect(visit.page.locator("aside")).to_contain_text("What it carries")
    assert head["items"] == ITEMS


def test_where_one_looks_is_in_the_address(drawn: httpx.Client, visit: "Visit") -> None:
    from tests.studio.browsing import expect

    visit.go("/map?at=0.2~-0.1~2")
    visit.page.get_by_role("button", name="Nearer").click()
    expect(visit.page).to_have_url(re.compile(r"at=0.2%7E-0.1%7E3.2$"))
    visit.page.get_by_role("button", name="All", exact=True).click()
    expect(visit.page).to_have_url(re.compile("/map$"))
    visit.page.go_back()
    expect(visit.page).to_have_url(re.compile(r"at=0.2%7E-0.1%7E3.2$"))
    visit.page.get_by_role("button", name="Farther").click()
    expect(visit.page).to_have_url(re.compile(r"at=0.2%7E-0.1%7E2$"))
