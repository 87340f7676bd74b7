"""Bad rows: each becomes a dead letter that says what to do, and its neighbours are indexed."""

# ruff: noqa: E501 (a table)

import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from encoders.spaces.space import Space
from engine.core.types import ItemId
from engine.store.base import VectorStore
from indexers.catalog import Catalog
from indexers.errors import CatalogError
from indexers.pipeline import index
from tests.indexers.catalogs import everything, write_jsonl
from tests.tiny import png_bytes, wav_bytes


def nothing(root: Path) -> None:
    """The row alone is bad."""


def huge_png(root: Path) -> None:
    Pillow.new("1", (15200, 15225)).save(root / "x.png")


def long_wav(root: Path) -> None:
    raw = bytearray(wav_bytes(seconds=0.05))
    raw[4:8] = struct.pack("<I", 10 * 3600 * 32_000 + 36)
    raw[40:44] = struct.pack("<I", 10 * 3600 * 32_000)
    (root / "x.wav").write_bytes(raw)


def write(name: str, raw: bytes) -> Callable[[Path], object]:
    return lambda root: (root / name).write_bytes(raw)


def link_out(root: Path) -> None:
    (root.parent / "secret.png").write_bytes(png_bytes(1))
    (root / "x.png").symlink_to(root.parent / "secret.png")


def link_folder_out(root: Path) -> None:
    (root.parent / "outside").mkdir()
    (root.parent / "outside/x.png").write_bytes(png_bytes(1))
    (root / "folder").symlink_to(root.parent / "outside")


def beside(root: Path) -> None:
    (root.parent / "root-2").mkdir()
    (root.parent / "root-2/x.png").write_bytes(png_bytes(1))


@dataclass(frozen=True)
class Case:
    name: str
    row: dict[str, Any] | str
    error: str
    modality: str
    reason: str
    remedy: str
    make: Callable[[Path], object] = nothing
    id: str = "bad"


PICTURE = {"id": "bad", "text": "an owl", "image": "x.png"}
SOUND = {"id": "bad", "text": "an owl", "audio": "x.wav"}
ROOT = "--root"

CASES = [
    Case("corrupt picture", PICTURE, "ContentError", "image", "", "", write("x.png", b"no picture at all")),
    Case("truncated picture", PICTURE, "ContentError", "image", "", "", write("x.png", png_bytes(3, 200)[:-300])),
    Case("empty picture", PICTURE, "ContentError", "image", "zero bytes", "", write("x.png", b"")),
    Case("231 megapixels", PICTURE, "LimitError", "image", "231420000 pixels", "limits.max_pixels", huge_png),
    Case("large file", PICTURE, "LimitError", "image", "100001 bytes", "limits.max_bytes", write("x.png", b"x" * 100_001)),
    Case("corrupt sound", SOUND, "ContentError", "audio", "", "", write("x.wav", b"RIFF" + b"x" * 100)),
    Case("truncated sound", SOUND, "ContentError", "audio", "", "", write("x.wav", wav_bytes()[:30])),
    Case("empty sound", SOUND, "ContentError", "audio", "zero bytes", "", write("x.wav", b"")),
    Case("ten hours", SOUND, "ContentError", "audio", "header claims 1152000000 bytes", "", long_wav),
    Case("a million characters", {"id": "bad", "text": "x" * 1_000_000}, "LimitError", "text", "1000000", "limits."),
    Case("NUL in the text", {"id": "bad", "text": "a\0b"}, "ContentError", "text", "NUL", "remove"),
    Case("lone surrogate in the text", {"id": "bad", "text": "a\ud800b"}, "ContentError", "text", "D800", "unicode"),
    Case("blank text", {"id": "bad", "text": "  "}, "ContentError", "text", "blank", ""),
    Case("text that is none", {"id": "bad", "text": 7}, "RowError", "text", "text is a int: '7'", "write it as a text"),
    Case("path that is none", {"id": "bad", "image": 7}, "RowError", "image", "image is a int: '7'", "path of a file"),
    Case("missing file", PICTURE, "PathError", "image", "'x.png' is not under", ROOT),
    Case("path outside", {"id": "bad", "image": "../x.png"}, "PathError", "image", "outside the root", ROOT, lambda root: write("x.png", png_bytes(1))(root.parent)),
    Case("absolute path outside", {"id": "bad", "image": "/etc/hostname"}, "PathError", "image", "outside the root", ROOT),
    Case("link outside", PICTURE, "PathError", "image", "outside the root", ROOT, link_out),
    Case("folder link outside", {"id": "bad", "image": "folder/x.png"}, "PathError", "image", "outside the root", ROOT, link_folder_out),
    Case("folder of like name", {"id": "bad", "image": "../root-2/x.png"}, "PathError", "image", "outside the root", ROOT, beside),
    Case("link in a circle", PICTURE, "PathError", "image", "cannot be used", "", lambda root: (root / "x.png").symlink_to("x.png")),
    Case("folder as a file", PICTURE, "PathError", "image", "not a plain file", "name a file", lambda root: (root / "x.png").mkdir()),
    Case("named pipe", PICTURE, "PathError", "image", "not a plain file", "name a file", lambda root: os.mkfifo(root / "x.png")),
    Case("NUL in the path", {"id": "bad", "image": "a\0b"}, "PathError", "image", "cannot be used", "name a file"),
    Case("surrogate in the path", {"id": "bad", "image": "a\ud800b"}, "PathError", "image", "cannot be used", "name a file"),
    Case("endless path", {"id": "bad", "image": "a" * 5000}, "PathError", "image", "name too long", "name a file"),
    Case("no content", {"id": "bad", "price": 1}, "InvalidItemError", "", "no content", "give it a text"),
    Case("reserved field", {"id": "bad", "text": "a", "_x": 1}, "InvalidItemError", "", "'_x' begins with _", "rename"),
    Case("NaN in the payload", '{"id": "bad", "text": "a", "p": {"q": [NaN]}}', "InvalidItemError", "", "p.q is nan", "finite"),
    Case("endless number", '{"id": "bad", "text": "a", "p": 1e999}', "InvalidItemError", "", "p is inf", "finite"),
    Case("large number", {"id": "bad", "text": "a", "p": 2**63}, "InvalidItemError", "", str(2**63), "64-bit"),
    Case("surrogate in the payload", {"id": "bad", "text": "a", "p": "\ud800"}, "InvalidItemError", "", "surrogate", "Unicode"),
    Case("deep payload", json.dumps({"id": "bad", "text": "a", "p": json.loads("[" * 40 + "]" * 40)}), "InvalidItemError", "", "over 32 deep", "flatten"),
    Case("no id", {"text": "an owl"}, "RowError", "", "row has no id", "an id of its own", id=""),
    Case("empty id", {"id": "", "text": "an owl"}, "RowError", "", "row has no id", "an id of its own", id=""),
    Case("id that is none", {"id": 1.5, "text": "an owl"}, "RowError", "", "id is a float", "as a text", id=""),
    Case("long id", {"id": "x" * 513, "text": "an owl"}, "InvalidItemError", "", "513 bytes", "shorten", id=""),
    Case("surrogate in the id", {"id": "\ud800", "text": "an owl"}, "InvalidItemError", "", "Unicode", "surrogates", id=""),
    Case("duplicate id", {"id": "good-1", "text": "again"}, "DuplicateError", "", "'good-1' was in the catalogue", "an id of its own", id="good-1"),
    Case("no JSON", '{"id": "bad"', "RowError", "", "not JSON", "one JSON object per line", id=""),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bad_row_fails_alone(case: Case, memory: VectorStore, space: Space, root: Path, tmp_path: Path) -> None:
    case.make(root)
    rows = [{"id": "good-1", "text": "one"}, case.row, {"id": "good-2", "text": "two"}]
    letters = tmp_path / "dead-letters.jsonl"
    catalog = Catalog(write_jsonl(root / "items.jsonl", rows), root, max_bytes=100_000)
    report = index(catalog, memory, space, strict=True, dead_letters=letters)
    assert set(everything(memory)) == {"good-1", "good-2"}
    assert everything(memory)[ItemId("good-1")].payload["_text"] == "one"
    (letter,) = (json.loads(line) for line in letters.read_text().splitlines())
    assert letter["line"] == 2
    assert letter["id"] == case.id
    assert letter["modality"] == case.modality
    assert letter["error"] == case.error
    assert case.reason in letter["reason"]
    assert case.remedy in letter["remedy"]
    assert letter["reason"] == letter["reason"][:1].lower() + letter["reason"][1:]
    assert report.failed == {(letter["error"], case.modality): 1}
    assert [example.reason for example in report.examples] == [letter["reason"]]


def test_absolute_path_and_inner_link_under_the_root_are_read(memory: VectorStore, space: Space, root: Path) -> None:
    (root / "real.png").write_bytes(png_bytes(1))
    (root / "link.png").symlink_to("real.png")
    rows = [{"id": "1", "image": str(root / "real.png")}, {"id": "2", "image": "link.png"}]
    assert index(Catalog(write_jsonl(root / "items.jsonl", rows), root), memory, space).errors == 0
    stored = everything(memory)
    assert [stored[ItemId(i)].payload["_image"] for i in "12"] == ["real.png", "link.png"]


def test_root_may_be_a_link_itself(memory: VectorStore, space: Space, root: Path) -> None:
    (root / "x.png").write_bytes(png_bytes(1))
    (root.parent / "alias").symlink_to(root)
    catalog = Catalog(write_jsonl(root / "i.jsonl", [{"id": "1", "image": "x.png"}]), root.parent / "alias")
    assert index(catalog, memory, space).errors == 0


def test_file_is_that_of_the_last_run(memory: VectorStore, space: Space, root: Path, tmp_path: Path) -> None:
    letters = tmp_path / "deep" / "dead-letters.jsonl"
    bad = Catalog(write_jsonl(root / "bad.jsonl", [{"id": "1", "text": ""}, {"id": "2", "text": ""}]))
    index(bad, memory, space, dead_letters=letters)
    index(bad, memory, space, dead_letters=letters)
    assert len(letters.read_text().splitlines()) == 2
    good = Catalog(write_jsonl(root / "good.jsonl", [{"id": "1", "text": "a"}]))
    index(good, memory, space, dead_letters=letters)
    assert list(letters.parent.iterdir()) == []


def test_place_that_cannot_be_written(memory: VectorStore, space: Space, root: Path) -> None:
    (root / "file").write_text("")
    catalog = Catalog(write_jsonl(root / "i.jsonl", [{"id": "1", "text": "a"}]))
    with pytest.raises(CatalogError, match=r"cannot be written .*--dead-letters"):
        index(catalog, memory, space, dead_letters=root / "file" / "letters.jsonl")


def test_root_that_is_no_folder(root: Path) -> None:
    path = write_jsonl(root / "i.jsonl", [])
    with pytest.raises(CatalogError, match="is not a folder"):
        Catalog(path, root / "nothing")


def test_a_file_name_of_other_bytes_beside_a_bad_text(memory: VectorStore, space: Space, root: Path) -> None:
    """Such a name cannot be an id, so it is in no letter; the run goes on."""
    (root / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"\xff\xfe\x00")
    (root / "owl.txt").write_text("an owl")
    report = index(Catalog(root), memory, space)
    assert set(everything(memory)) == {"owl"}
    assert report.errors == 1
    assert [letter.id for letter in report.examples] == [""]
    assert "UTF-8" in report.examples[0].reason
