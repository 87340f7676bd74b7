"""Results in a terminal and in a notebook."""

import base64
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.encoders.media import black_png
from tests.service.running import Running
from tests.tiny import concept_png, png_bytes
from triveni.client import (
    Answer,
    Client,
    Event,
    History,
    Item,
    ItemPart,
    Problem,
    Reason,
    Result,
    Skipped,
    Training,
)
from triveni.client.show import MAX_PICTURES, Table, _width, thumbnails


def answer(*results: Result, **more: Any) -> Answer:
    return Answer(results, "request-1", **more)


EVIL = "<script>alert('x')</script>\x1b[2J\n“quoted” & more"


def test_an_answer_prints_as_an_aligned_table() -> None:
    why = (Reason("event", "like 42", 0.75, 0), Reason("popular", "many like it", 0.25))
    shown = str(
        answer(Result(1, "a/long/id", 12.345, "red shoe", reasons=why), Result(10, "b", -1.5, "日本語のテキスト"))
    )
    lines = shown.splitlines()
    assert lines == [
        " #  score  id         title             why",
        "──  ─────  ─────────  ────────────────  ─────────────────────────",
        " 1  12.35  a/long/id  red shoe          like 42 75%; many like it",
        "10  -1.50  b          日本語のテキスト",
    ]


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (ItemPart(1, "shoes/back.jpg"), "image 2 (shoes/back.jpg)"),
        (ItemPart(0), "image 1"),
        (ItemPart(0, text=" It ends ", start=90, end=99, passage=3), "image, passage 3 (“It ends”)"),
        (ItemPart(2, "a.ogg", passage=9, start_seconds=79.6, end_seconds=90), "image 3, 1:20 to 1:30 (a.ogg)"),
    ],
)
def test_parts_of_items_have_names(part: ItemPart, name: str) -> None:
    assert str(Reason("query", "a shoe", 0.5, 0, modality="image", part=part)) == f"a shoe 50% by {name}"


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 120])
def test_a_table_is_as_wide_as_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    results = [Result(n, f"id-{n}" * 9, n, "many words of a text é" * n + "語" * n) for n in range(1, 9)]
    widths = {_width(line) for line in str(answer(*results)).splitlines()}
    assert max(widths) <= max(columns, 52)  # where nothing is left of the columns, a table cannot be narrower
    assert "…" in str(answer(*results))


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    shown = str(answer(Result(1, "a\x1b]0;owned\x07", 1.0, EVIL), skipped=(Skipped("no\x1b[31m item"),)))
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert len(shown.splitlines()) == 4


def test_html_is_escaped() -> None:
    shown = answer(Result(1, EVIL, 1.0, EVIL, reasons=(Reason("event", EVIL, 1.0),)), skipped=(Skipped(EVIL),))
    html = shown._repr_html_()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 4
    assert re.findall(r"<(/?\w+)", html).count("td") == 5
    assert answer()._repr_html_() == "<p>no results</p>"


def test_reprs_are_short_and_say_what_matters() -> None:
    results = [Result(n, f"id-{n}", 1 / n, "a text", {"title": f"Title {n}"}) for n in range(1, 6)]
    shown = answer(*results, tier="full")
    assert repr(shown) == "Answer(5 results: 'id-1', 'id-2', 'id-3', …; tier='full', request_id='request-1')"
    assert repr(shown[1]) == "Result(2, 'id-2', 'Title 2', score=0.5)"
    assert [one.id for one in shown[3:]] == ["id-4", "id-5"]
    assert len(str(History((Event("like", "42"),))).splitlines()) == 3
    assert str(answer()) == "no results"
    with pytest.raises(AttributeError):
        shown.tier = "small"  # type: ignore[misc]


def test_pictures_come_from_below_the_folder_only(tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    (tmp_path / "secret.png").write_bytes(png_bytes())
    (media / "link.png").symlink_to(tmp_path / "secret.png")
    (media / "a.png").write_bytes(concept_png("bird"))
    (media / "a.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (media / "a.txt").write_text("no picture")
    paths = [
        "a.png",
        "a.svg",
        "a.txt",
        "../secret.png",
        "link.png",
        str(tmp_path / "secret.png"),
        "gone.png",
        "",
        "\0",
    ]
    shown = thumbnails(media, paths)
    assert [bool(one) for one in shown] == [True, True] + [False] * 7
    assert base64.b64encode(concept_png("bird")).decode() in shown[0]
    assert shown[1].startswith('<img style="max-width:96px;max-height:96px" src="data:image/svg+xml;base64,')


def test_pictures_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(png_bytes(3, 2000))
    assert (tmp_path / "large.png").stat().st_size > 200_000
    (tmp_path / "broken.png").write_bytes(b"\x89PNG" + bytes(200_000))
    (tmp_path / "just.png").write_bytes(b"\x89PNG" + bytes(120_000))
    bomb = black_png(9000, 9000) + bytes(200_000)  # within Pillow's own limit: 243 MB as it is decoded
    (tmp_path / "bomb.png").write_bytes(bomb)
    (tmp_path / "program.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n" + b" " * 200_000)
    assert thumbnails(tmp_path, ["bomb.png", "program.png"]) == ["", ""]
    (large, broken, *many) = thumbnails(tmp_path, ["large.png", "broken.png", *["just.png"] * 100])
    assert 1000 < len(large) < 40_000  # Pillow made it small
    assert broken == ""
    assert 0 < sum(map(bool, many)) <= MAX_PICTURES // 120_000


def test_an_answer_shows_the_pictures_of_its_catalogue(server: Running, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(concept_png("bird"))
    with Client(server.address, media=tmp_path) as client:
        found = client.search("bird", limit=2)
        assert found.media == tmp_path
        assert "<img" not in found._repr_html_()  # these items came without a path
    shown = answer(Result(1, "a", 1.0, image_path="a.png"), Result(2, "b", 0.5), media=tmp_path)
    assert shown._repr_html_().count("<img") == 1
    assert "<img" not in answer(Result(1, "a", 1.0, image_path="a.png"))._repr_html_()


def test_a_table_without_rows() -> None:
    assert Table(("a",), [], ["a note"]).text() == "a note"
    assert Table(("a",), [], ["<b>"]).html() == "<p>&lt;b&gt;</p>"


def test_reprs_leave_out_what_says_nothing() -> None:
    time = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert repr(Event("like", "42", time=time)) == "Event(kind='like', item='42', time=2026-01-31T12:00:00+00:00)"
    assert repr(Item("a", payload={"price": 1})) == "Item(id='a', payload={'price': 1})"
    assert "reason" not in repr(Problem("wrong", "do better"))
    assert repr(Training("t", "running", 0.123456)) == "Training(id='t', state='running', progress=0.1235)"
