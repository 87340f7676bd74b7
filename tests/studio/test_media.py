"""Media and thumbnails over HTTP: what items name, and nothing else."""

import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image as Pillow

from encoders.types import Modality, Text
from engine.catalog.ingest import point_of
from engine.core.types import Item, ItemId
from engine.studio.media import MediaFile
from engine.studio.thumbnails import Thumbnails
from tests.studio.running import LIMITS, Opened
from tests.tiny import CONCEPTS, concept_png, concept_space, make_png

SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20" fill="red"/></svg>'
)


def name_file(studio: Opened, item: str, path: str, modality: Modality = Modality.IMAGE) -> None:
    """An item in the store whose picture or sound is at a path."""
    text = Text("a bird")
    (vector,) = concept_space(limits=LIMITS).encode([text])
    studio.store.upsert([point_of(Item(ItemId(item), (text,), {}), {Modality.TEXT: vector}, media={modality: path})])


def test_a_picture_and_a_sound_come_as_they_are_with_fixed_types(studio: Opened, http: httpx.Client) -> None:
    picture = http.get("/studio/media/image", params={"item": "bird/seen"})
    assert picture.content == (studio.root / "bird" / "seen.png").read_bytes()
    assert picture.headers["content-type"] == "image/png"
    assert "sandbox" in picture.headers["content-security-policy"]
    assert picture.headers["x-content-type-options"] == "nosniff"
    sound = http.get("/studio/media/audio", params={"item": "bird/heard"})
    assert sound.content == (studio.root / "bird" / "heard.wav").read_bytes()
    assert sound.headers["content-type"] == "audio/wav"


def test_a_part_of_a_sound_can_be_asked_for(studio: Opened, http: httpx.Client) -> None:
    whole = (studio.root / "bird" / "heard.wav").read_bytes()
    part = http.get("/studio/media/audio", params={"item": "bird/heard"}, headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole)}"
    beyond = http.get("/studio/media/audio", params={"item": "bird/heard"}, headers={"range": "bytes=99999999-"})
    assert (beyond.status_code, beyond.json()["reason"]) == (416, "RANGE")
    assert beyond.headers["content-range"] == f"bytes */{len(whole)}"
    malformed = http.get("/studio/media/audio", params={"item": "bird/heard"}, headers={"range": "bytes=x-y"})
    assert (malformed.status_code, malformed.json()["reason"]) == (400, "MALFORMED_HEADER")
    for answer in (beyond, malformed):
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("how", ["..", "absolute", "link", "link to a folder", "folder", "gone", "NUL", "long"])
def test_no_other_file_is_served_whatever_an_item_says(studio: Opened, http: httpx.Client, how: str) -> None:
    outside = make_png(studio.root.parent / "secret.png")
    link, folder = studio.root / "link.png", studio.root / "folder"
    if not link.is_symlink():
        link.symlink_to(outside)
        folder.symlink_to(outside.parent)
    path = {
        "..": "../secret.png",
        "absolute": str(outside),
        "link": "link.png",
        "link to a folder": "folder/secret.png",
        "folder": "bird",
        "gone": "bird/gone.png",
        "NUL": "bird/\0.png",
        "long": "a" * 5000,
    }[how]
    name_file(studio, f"bad/{how}", path)
    try:
        for what in ("image", "thumbnail"):
            answer = http.get(f"/studio/media/{what}", params={"item": f"bad/{how}"})
            assert (answer.status_code, answer.json()["reason"]) == (404, "NOT_FOUND")
            assert "is no plain file below the catalogue's root" in answer.json()["detail"]
            assert str(studio.root.parent) not in answer.text, "nor is it said where that is"
            assert answer.json()["remedy"]
    finally:
        studio.store.delete([ItemId(f"bad/{how}")])


def test_a_request_names_items_and_never_paths(http: httpx.Client) -> None:
    for item in ("bird/seen.png", "../secret.png", "items.jsonl"):
        answer = http.get("/studio/media/image", params={"item": item})
        assert answer.status_code == 404
        assert f"there is no item {item!r}" in answer.json()["detail"]
    assert http.get("/studio/media/image").status_code == 400
    assert http.get("/studio/media/audio", params={"item": "bird/seen"}).status_code == 404
    assert http.get("/studio/media/../../../etc/passwd").status_code == 404


def test_a_thumbnail_is_small_made_once_and_not_sent_twice(studio: Opened, http: httpx.Client) -> None:
    first = http.get("/studio/media/thumbnail", params={"item": "bird/seen"})
    assert first.headers["content-type"] == "image/webp"
    with Pillow.open(io.BytesIO(first.content)) as picture:
        assert picture.size == (384, 384)
    (made,) = studio.cache.glob(f"{first.headers['etag'].strip(chr(34))}.webp")
    before = made.stat().st_ino
    again = http.get(
        "/studio/media/thumbnail", params={"item": "bird/seen"}, headers={"if-none-match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert made.stat().st_ino == before, "it was made again"
    large = http.get("/studio/media/thumbnail", params={"item": "bird/seen", "side": 1024})
    with Pillow.open(io.BytesIO(large.content)) as picture:
        assert picture.size == (512, 512), "a picture is never made larger"
    odd = http.get("/studio/media/thumbnail", params={"item": "bird/seen", "side": 5000})
    assert (odd.status_code, odd.json()["code"]) == (400, "INVALID_ARGUMENT")


def test_a_changed_picture_gets_a_new_thumbnail_and_a_broken_one_a_reason(studio: Opened, http: httpx.Client) -> None:
    path = studio.root / "changing.svg"
    path.write_bytes(SVG)
    name_file(studio, "changing", "changing.svg")
    red = http.get("/studio/media/thumbnail", params={"item": "changing"})
    with Pillow.open(io.BytesIO(red.content)) as picture:
        assert picture.convert("RGB").getpixel((5, 5))[0] > 200
    assert http.get("/studio/media/image", params={"item": "changing"}).headers["content-type"] == "image/svg+xml"
    path.write_bytes(SVG.replace(b"red", b"#0000ff"))
    blue = http.get("/studio/media/thumbnail", params={"item": "changing"})
    assert blue.headers["etag"] != red.headers["etag"]
    path.write_bytes(b"no picture")
    broken = http.get("/studio/media/thumbnail", params={"item": "changing"})
    assert (broken.status_code, broken.json()["code"]) == (400, "INVALID_ARGUMENT")
    large = studio.root / "large.png"
    Pillow.new("RGB", (1100, 1100)).save(large)
    name_file(studio, "changing", "large.png")
    refused = http.get("/studio/media/thumbnail", params={"item": "changing"})
    assert "the limit is 1048576" in refused.json()["detail"]
    studio.store.delete([ItemId("changing")])


def test_thumbnails_take_no_more_room_than_they_may_and_the_oldest_go(tmp_path: Path) -> None:
    files = []
    for seed in range(6):
        (tmp_path / f"{seed}.png").write_bytes(concept_png("bird", seed, size=256))
        files.append(MediaFile(tmp_path / f"{seed}.png", ""))
    size = Thumbnails(tmp_path / "one", 1 << 20, LIMITS).path(files[0], 384).stat().st_size
    cache = Thumbnails(tmp_path / "cache", int(size * 3.5), LIMITS)
    paths = [cache.path(file, 384) for file in files[:3]]
    cache.path(files[0], 384)  # it is looked at again: the second is the oldest now
    cache.path(files[3], 384)
    assert [path.is_file() for path in paths] == [True, False, True]
    taken = sum(path.stat().st_size for path in (tmp_path / "cache").iterdir())
    assert taken <= size * 3.5
    opened_again = Thumbnails(tmp_path / "cache", int(size * 1.5), LIMITS)
    opened_again.path(files[4], 384)
    assert len(list((tmp_path / "cache").iterdir())) == 1, "what was there before counts, too"
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    assert opened_again.path(files[4], 384).is_file(), "one that somebody removed is made again"


def test_threads_that_ask_for_one_thumbnail_make_it_once(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(concept_png("bird", 1, size=512))
    made = []

    class Counting(Thumbnails):
        def _make(self, source: Path, side: int, path: Path) -> int:
            made.append(path)
            return super()._make(source, side, path)

    cache = Counting(tmp_path / "cache", 1 << 20, LIMITS)
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: cache.path(MediaFile(tmp_path / "a.png", ""), 384), range(16)))
    assert len(made) == len(set(paths)) == 1


def test_a_thumbnail_that_goes_before_it_is_read_is_made_again(tmp_path: Path) -> None:
    """Two pictures and room for one: each that is made pushes the other out."""
    files = []
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(concept_png(CONCEPTS[number], size=512))
        files.append(MediaFile(tmp_path / f"{number}.png", str(number)))
    cache = Thumbnails(tmp_path / "cache", 1, LIMITS)
    with ThreadPoolExecutor(4) as threads:
        read = list(threads.map(lambda number: cache.read(files[number % 2], 384)[1], range(200)))
    assert all(one.startswith(b"RIFF") for one in read)
    assert len(set(read)) == 2
