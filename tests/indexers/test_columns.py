"""Which columns play which role: by the command line and the settings, for every command that reads a catalogue."""

import json
from pathlib import Path

import pytest

from encoders.types import Image, Text
from engine import opening
from engine.config.settings import Settings
from indexers.catalog import Catalog
from indexers.errors import CatalogError, RowError
from indexers.readers import Row, TextFormat, open_catalog
from indexers.rows import load, payload_of, row_id
from tests.indexers.catalogs import good, write_jsonl
from tests.indexers.test_cli import Run, run  # noqa: F401 (a fixture)
from tests.tiny import make_png, tiny_space

ROW = {"sku": "a1", "shop": 7, "title": "Owl", "about": "A bird.", "pics": {"main": "1.png"}, "price": 3}


def test_several_columns_play_a_role(tmp_path: Path) -> None:
    make_png(tmp_path / "1.png")
    columns = {"id": ("shop", "sku"), "text": ("title", "about", "none"), "image": ("photo", "pics.main")}
    catalog = Catalog(write_jsonl(tmp_path / "x.jsonl", [ROW]), columns=columns)
    (row,) = catalog.reader().rows()
    assert isinstance(row, Row)
    item = load(row, catalog.media(), columns, frozenset(), 1 << 20).item
    assert item.id == "7/a1"
    assert item.contents == (Text("Owl\nA bird."), Image((tmp_path / "1.png").read_bytes()))
    assert item.payload == {"pics": {"main": "1.png"}, "price": 3}, "what plays a role leaves the payload"


def test_the_digest_of_a_row_is_its_id() -> None:
    columns = {"id": "@hash"}
    ids = [row_id(Row(1, values), columns) for values in ({"text": "a"}, {"text": "b"}, {"image": b"\xff"})]
    assert len(set(ids)) == 3
    assert row_id(Row(9, {"text": "a"}), columns) == ids[0], "the same row has the same id wherever it stands"
    assert payload_of(Row(1, {"text": "a", "n": 1}), columns, frozenset()) == {"n": 1}


@pytest.mark.parametrize("missing", [{"shop": 7}, {"sku": "a1"}, {"sku": "", "shop": 7}])
def test_every_part_of_an_id_is_needed(missing: dict[str, object]) -> None:
    with pytest.raises(RowError, match=r"row has no (sku|shop)"):
        row_id(Row(1, missing), {"id": ("shop", "sku")})  # type: ignore[arg-type]


def test_a_column_of_several_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("sku,title\n1,Owl\n")
    with pytest.raises(CatalogError, match=r"no column 'about' for the text.*correct --column text=about"):
        open_catalog(tmp_path / "x.csv", columns={"id": "sku", "text": ("title", "about")}).check()
    with pytest.raises(CatalogError, match=r"no column 'id'.*--column id=@hash takes a digest of the row"):
        open_catalog(tmp_path / "x.csv", columns={"text": "title"}).check()
    open_catalog(tmp_path / "x.csv", columns={"id": "@hash", "text": "title"}).check()


@pytest.mark.parametrize(("encoding", "delimiter"), [("cp1252", ";"), ("utf-16", "\t"), ("utf-8", "|")])
def test_text_files_of_other_forms(tmp_path: Path, encoding: str, delimiter: str) -> None:
    lines = ["id,text,tags,price", '1,"Größe, groß",rot / blau,3', "2,Maß,,4", ""]
    text = "\n".join(lines).replace('"Größe, groß"', "Größe").replace(",", delimiter)
    (tmp_path / "x.csv").write_bytes(text.encode(encoding))
    form = TextFormat(delimiter, encoding, {"tags": "/"})
    assert good(open_catalog(tmp_path / "x.csv", text=form)) == [
        {"id": "1", "text": "Größe", "tags": ["rot", "blau"], "price": 3},
        {"id": "2", "text": "Maß", "price": 4},
    ]


@pytest.mark.parametrize(
    ("delimiter", "encoding", "split", "reason"),
    [
        (";;", "utf-8", {}, "';;' cannot separate cells"),
        ('"', "utf-8", {}, "cannot separate cells"),
        ("", "utf-9", {}, "encoding 'utf-9' is unknown: name one such as"),
        ("", "utf-8", {"tags": ""}, "nothing separates the values of tags"),
    ],
)
def test_forms_that_make_no_sense(delimiter: str, encoding: str, split: dict[str, str], reason: str) -> None:
    with pytest.raises(CatalogError, match=reason):
        TextFormat(delimiter, encoding, split)


def test_settings_map_columns_for_every_command(run: Run, root: Path, tmp_path: Path) -> None:  # noqa: F811
    make_png(root / "1.png")
    (root / "x.csv").write_bytes("sku;title;about;photo;tags;junk\nA;Größe;groß;1.png;x|y;z\n".encode("cp1252"))
    (tmp_path / "triveni.toml").write_text(
        "[index]\n"
        'columns = { id = "sku", text = ["title", "about"], image = "photo" }\n'
        'ignore = ["junk"]\ndelimiter = ";"\nencoding = "cp1252"\nsplit = { tags = "|" }\n'
    )
    assert json.loads(run("index", root / "x.csv", "--json").stdout)["added"] == 1
    assert json.loads(run("verify", root / "x.csv", "--json").stdout)["in_order"]
    store = opening.open_store(Settings(), tiny_space())
    (point,) = store.scroll().points
    store.close()
    own = {name: value for name, value in point.payload.items() if not name.startswith("_")}
    assert (point.id, point.payload["_text"], point.payload["_image"]) == ("A", "Größe\ngroß", "1.png")
    assert own == {"tags": ["x", "y"]}
    said = run("verify", root / "x.csv", "--column", "text=about", "--json", code=1).stdout
    assert json.loads(said)["stale"]["count"] == 1, "the command line goes before the settings"
