"""`triveni init` over catalogues of a dozen shapes: what it takes their columns for, and that its settings work."""

import json
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from engine import opening
from engine.cli import app
from engine.cli import index as cli_index
from engine.core.errors import SettingsError
from engine.store.base import VectorStore
from indexers.guess import guess_catalog
from tests.indexers.catalogs import write_sqlite
from tests.indexers.shapes import SHAPES, Shape, sentence, table
from tests.tiny import tiny_space


@pytest.fixture
def run(tmp_path: Path, memory: VectorStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """The real commands, with the tiny encoders and the store in memory."""
    monkeypatch.setattr(opening, "open_space", lambda settings: tiny_space())
    monkeypatch.setattr(cli_index, "_open", lambda *_, **__: memory)
    monkeypatch.setattr(cli_index, "_note_media_root", lambda *_: None)  # it has no folder to note it in
    monkeypatch.setattr(memory, "close", lambda: None)  # the next command goes on with it
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == code, (result.output, result.exception)
        return result.output

    yield call
    structlog.reset_defaults()


def document_of(output: str) -> dict[str, Any]:
    """The JSON after the lines of the log."""
    found: dict[str, Any] = json.loads(output[output.index("{") :])
    return found


def normal(columns: object) -> object:
    """Mappings without the difference of lists, tuples and single names."""
    assert isinstance(columns, dict)
    return {role: tuple(one) if isinstance(one, list | tuple) else (one,) for role, one in columns.items()}


@pytest.mark.parametrize("make", SHAPES, ids=lambda make: make.__name__)
def test_a_guess_is_right_and_its_settings_index_the_catalogue(
    make: Callable[[Path], Shape], run: Callable[..., str], tmp_path: Path
) -> None:
    shape = make(tmp_path)
    said = " ".join(run("init", shape.path).split())
    index = tomllib.loads((tmp_path / "triveni.toml").read_text())["index"]
    told = {role: names for role, names in shape.columns.items() if names != role}
    assert normal(index.get("columns", {})) == normal(told)
    assert index["fields"] == {**shape.fields, **dict.fromkeys(shape.split, "keyword")}
    assert (index.get("delimiter", ""), index.get("encoding", "utf-8")) == (shape.delimiter, shape.encoding)
    assert (index.get("split", {}), tuple(index.get("ignore", ()))) == (shape.split, shape.ignore)
    assert {key: index[key] for key in ("decimals", "times", "rename") if key in index} == shape.conventions
    for doubt in shape.doubts:
        assert doubt in said
    commands = [shlex.split(line) for line in said.split(" triveni ")[1:]]
    assert [words[0] for words in commands[-4:]] == ["index", "verify", "search", "studio"]
    place = [shape.path, *(["--root", shape.root] if shape.root else [])]
    for command, words in zip(("index", "verify"), commands[-4:-2], strict=True):
        assert words == [command, *place]
        document = document_of(run(*words, "--json"))
        assert document["in_order"] if command == "verify" else document["errors"] == 0


def test_a_query_is_looked_at_too(run: Callable[..., str], tmp_path: Path) -> None:
    url = write_sqlite(tmp_path / "it's.db", [{"sku": n, "name": sentence(n)} for n in range(5)])
    said = run("init", url, "--query", "select * from items where name <> ''", "-o", "my own.toml")
    (index, *_) = (line for line in said.splitlines() if line.startswith("  triveni"))
    words = shlex.split(index)[1:]
    assert words[:2] == ["--settings", "my own.toml"]
    assert document_of(run(*words, "--json"))["added"] == 5


def test_settings_are_not_overwritten(run: Callable[..., str], tmp_path: Path) -> None:
    table(tmp_path / "x.csv", [{"id": 1, "text": "a river"}])
    (tmp_path / "triveni.toml").write_text("[store]\npath = 'mine'\n")
    result = CliRunner().invoke(app, ["init", "x.csv"])
    assert isinstance(result.exception, SettingsError)
    assert "--force" in str(result.exception)
    assert "mine" in (tmp_path / "triveni.toml").read_text()
    run("init", "x.csv", "--force")
    assert "mine" in (tmp_path / "triveni.toml.before").read_text()
    assert "mine" not in (tmp_path / "triveni.toml").read_text()


@pytest.mark.parametrize(
    ("rows", "doubt"),
    [
        (
            [{"id": "a", "text": "x"}, {"id": "a", "text": "y"}],
            "id is called like an id, but names several rows alike",
        ),
        ([{"id": "a", "n": 1}, {"id": "b", "n": 2}], "no column holds a text, picture or sound: name one"),
        ([{"id": "a", "text": "x"}, {"id": "b", "text": ""}], "1 of 2 rows hold no text, picture or sound"),
        ([{"id": "1", "image": "https://h/a.png", "title": "x"}], "image holds addresses of the web, which are not"),
        ([{"id": "1", "image": "gone.png", "title": "x"}], "0 of the first 1 files are below"),
        ([{"id": "1", "sku": "2", "title": "x"}], "sku could be the id as well: --column id=sku"),
        ([{"id": "1", "title": "x", "price": "€ 12.50"}], "price holds amounts such as € 12.50"),
        ([{"pic": "a.png", "n": 1}, {"pic": "b.png", "n": 1}], "the paths in pic do, as each has its own"),
    ],
)
def test_doubts(tmp_path: Path, rows: list[dict[str, object]], doubt: str) -> None:
    table(tmp_path / "x.csv", rows)
    assert doubt in " / ".join(guess_catalog(tmp_path / "x.csv").doubts)


def test_a_path_names_its_item_where_nothing_else_does(tmp_path: Path) -> None:
    table(tmp_path / "x.csv", [{"pic": "a.png", "kind": "x"}, {"pic": "b.png", "kind": "x"}])
    assert guess_catalog(tmp_path / "x.csv").mapped == {"id": "pic", "image": "pic"}


def test_addresses_in_a_column_of_the_name_of_a_role_do_not_play_it(tmp_path: Path) -> None:
    table(tmp_path / "x.csv", [{"id": "1", "image": "https://h/a.png", "title": "x"}])
    guess = guess_catalog(tmp_path / "x.csv")
    assert "image" not in guess.columns
    assert guess.ignore == ["image"]


@pytest.mark.parametrize("raw", [b"", b"id,text\n", b'id,text\n1,"never closed\n'])
def test_what_cannot_be_guessed_is_said(run: Callable[..., str], tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "x.csv").write_bytes(raw)
    assert "x.csv" in run("init", "x.csv", code=2)
    assert not (tmp_path / "triveni.toml").exists()
