"""Reading captions of the free sources, on small imitations of them."""

import json
import struct
import zlib
from pathlib import Path

import pytest

from encoders.errors import SpaceError
from encoders.fitting.sources import emoji, openclipart, read_rcc, words_of

SVG = """<svg><metadata><rdf:RDF><dc:title>{title}</dc:title><dc:subject><rdf:Bag><rdf:li></rdf:li>
<rdf:li>animal</rdf:li><rdf:li>R&amp;D</rdf:li></rdf:Bag></dc:subject><dc:publisher><dc:title>public domain</dc:title>
</dc:publisher></rdf:RDF></metadata></svg>"""


def clipart(root: Path, place: str, title: str) -> None:
    for kind, body in (("png", "picture"), ("svg", SVG.format(title=title))):
        path = root / f"openclipart-{kind}/usr/share/openclipart/{kind}/{place}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)


def test_openclipart_titles_and_collections(tmp_path: Path) -> None:
    clipart(tmp_path, "animals/frog_01", "A frog")
    for number in range(5):
        clipart(tmp_path, f"food/pear_{number}", "Various")
    clipart(tmp_path, "shapes/stars/star_1", "gramastar")
    found = {item.path.stem: item for item in openclipart(tmp_path)}
    assert found["frog_01"].title == "A frog" and found["frog_01"].titled
    assert found["frog_01"].keywords == ("animal", "R&D") and found["frog_01"].short == "frog"
    assert [item.short for item in found.values() if not item.titled] == ["pear", "pear"]
    assert "star_1" not in found


def test_emoji_names_without_flags(tmp_path: Path) -> None:
    art = tmp_path / "emoji-datasource-google/package"
    names = tmp_path / "emojibase-data/package/en"
    (art / "img/google/64").mkdir(parents=True)
    names.mkdir(parents=True)
    for name in ("frog.png", "flag.png"):
        (art / "img/google/64" / name).write_bytes(b"")
    rows = [
        {"unified": "1F438", "image": "frog.png", "category": "Animals & Nature", "subcategory": "amphibian"},
        {"unified": "1F1E6", "image": "flag.png", "category": "Flags", "subcategory": "flag"},
    ]
    (art / "emoji.json").write_text(json.dumps(rows))
    labels = [{"hexcode": "1F438", "label": "frog", "tags": ["face"]}, {"hexcode": "1F1E6", "label": "flag"}]
    (names / "data.json").write_text(json.dumps(labels))
    (only,) = emoji(tmp_path)
    assert (only.title, only.keywords, only.group) == ("frog", ("face",), "emoji/amphibian/frog")


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"openclipart-png is missing"):
        openclipart(tmp_path)


def test_a_file_name_in_words() -> None:
    assert words_of("redApple_02") == "red apple"
    assert words_of("LADYBUG-x__3") == "ladybug x"


def test_qt_resource() -> None:
    plain, packed = b"plain body", zlib.compress(b"packed body")
    bodies = struct.pack(">I", len(plain)) + plain + struct.pack(">I", len(packed) + 4) + b"\0\0\0\0" + packed
    names = b"".join(struct.pack(">HI", len(n), 0) + n.encode("utf-16-be") for n in ("a.wav", "b.ogg"))
    tree = struct.pack(">IHII", 0, 2, 2, 1)  # the root: two children, from entry 1 on
    tree += struct.pack(">IHHHI", 0, 0, 0, 0, 0)
    tree += struct.pack(">IHHHI", 6 + 10, 1, 0, 0, 4 + len(plain))
    head = b"qres" + struct.pack(">4I", 1, 20, 20 + len(tree), 20 + len(tree) + len(bodies))
    assert sorted(read_rcc(head + tree + bodies + names)) == [("a.wav", b"plain body"), ("b.ogg", b"packed body")]
    with pytest.raises(SpaceError):
        list(read_rcc(b"PK\x03\x04"))
