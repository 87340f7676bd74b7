"""`triveni index` and `triveni verify`: exit codes, what they print, and what they leave behind."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
import typer
from click.testing import Result
from typer.testing import CliRunner

from encoders.spaces.space import Space
from encoders.types import Modality, Text
from engine import opening
from engine.cli import root as settings_callback
from engine.cli.index import index, verify
from engine.cli.space import switch
from engine.config.settings import Settings, load_settings
from engine.core.errors import StoreInUseError
from engine.core.types import ItemId
from engine.store.base import Point
from engine.store.edge import EdgeStore
from tests.indexers.catalogs import mixed_rows, write_jsonl
from tests.tiny import concept_space, tiny_space

Run = Callable[..., Result]
_SPACES = {"starter": tiny_space, "other": concept_space}


def _open_space(settings: Settings) -> Space:
    return _SPACES[settings.space.name]()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs a command with real settings and a real store, in a folder of its own, with the tiny encoders."""
    monkeypatch.setattr(opening, "open_space", _open_space)
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.callback()(settings_callback)
    app.command()(index)
    app.command()(verify)
    app.command()(switch)

    def call(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        return result

    yield call
    structlog.reset_defaults()  # the commands set it up for their own standard error


@pytest.fixture
def items(root: Path) -> Path:
    return write_jsonl(root / "items.jsonl", mixed_rows(root, 14))


def test_index_then_verify(run: Run, items: Path, tmp_path: Path) -> None:
    summary = json.loads(run("index", items, "--json").stdout)
    assert (summary["added"], summary["errors"], summary["stored"]) == (14, 0, 14)
    assert summary["rows_per_second"] > 0
    assert "in the store │ 14" in " ".join(run("index", items).stdout.replace("|", "│").split())
    assert json.loads(run("verify", items, "--json").stdout)["same"] == 14
    assert "In order" in run("verify", items).stdout
    assert not (tmp_path / "var/dead-letters.jsonl").exists()


def test_differences_end_verify_with_1(run: Run, items: Path, root: Path) -> None:
    run("index", items)
    (root / "media/1.png").write_bytes((root / "media/2.png").read_bytes())
    verdict = json.loads(run("verify", items, "--json", code=1).stdout)
    assert verdict["stale"] == {"count": 1, "examples": ["item-1"]}
    shown = run("verify", items, code=1).stdout
    assert "differ" in shown
    assert "item-1" in shown


def test_verify_without_a_store_finds_everything_missing(run: Run, items: Path, tmp_path: Path) -> None:
    assert json.loads(run("verify", items, "--json", code=1).stdout)["missing"]["count"] == 14
    assert not (tmp_path / "var").exists()


def test_bad_rows_end_with_1_only_past_max_errors(run: Run, items: Path, root: Path, tmp_path: Path) -> None:
    (root / "media/1.png").write_bytes(b"broken")
    (root / "media/2.png").unlink()
    result = run("index", items, "--strict", code=1)
    assert "2 rows were refused, --max-errors is 0" in result.stderr
    assert "line 2, item-1" in result.stderr
    assert "refused: ContentError (image)" in result.stdout
    assert "refused: PathError (image)" in result.stdout
    run("index", items, "--strict", "--max-errors", 1, code=1)
    run("index", items, "--strict", "--max-errors", 2)
    lines = (tmp_path / "var/dead-letters.jsonl").read_text().splitlines()
    assert {json.loads(line)["id"] for line in lines} == {"item-1", "item-2"}
    run("index", items, "--strict", "--max-errors", 2, "--dead-letters", tmp_path / "mine.jsonl")
    assert (tmp_path / "mine.jsonl").exists()


def test_missing_contents_are_told_apart_from_refused_rows(run: Run, items: Path, root: Path, tmp_path: Path) -> None:
    (root / "media/1.png").write_bytes(b"broken")  # all that its item has
    (root / "media/2.png").unlink()
    result = run("index", items, code=1)
    assert "indexed without image: PathError" in result.stdout
    assert "line 3, item-2: indexed without image: image file 'media/2.png' is not under" in result.stderr
    assert "all 1 bad rows and 1 missing contents are in" in result.stderr
    document = json.loads(run("index", items, "--max-errors", 1, "--json").stdout)
    assert document["missing"] == [{"error": "PathError", "modality": "image", "contents": 1}]
    assert (document["errors"], document["unchanged"]) == (1, 13)
    (tmp_path / "triveni.toml").write_text("[index]\nstrict = true\n")
    assert json.loads(run("index", items, "--max-errors", 2, "--json").stdout)["errors"] == 2


def test_dry_run_leaves_no_store(run: Run, items: Path, tmp_path: Path) -> None:
    result = run("index", items, "--dry-run")
    assert "Dry run" in result.stdout
    assert not (tmp_path / "var/store").exists()


def test_prune(run: Run, items: Path, root: Path) -> None:
    run("index", items)
    write_jsonl(items, mixed_rows(root, 10))
    assert json.loads(run("index", items, "--prune", "--json").stdout)["pruned"] == 4
    write_jsonl(items, mixed_rows(root, 2))
    refused = run("index", items, "--prune", "--json", code=1)
    assert json.loads(refused.stdout)["unchanged"] == 2  # the summary is there all the same
    assert "would delete 8 of 10 items" in str(refused.exception)
    assert json.loads(run("index", items, "--prune", "--force", "--json").stdout)["pruned"] == 8


def test_named_columns_and_declared_fields(run: Run, root: Path) -> None:
    (root / "items.csv").write_text("sku,title,size,note\n007,an owl,12,x\n")
    options = ["--column", "id=sku", "--column", "text=title", "--field", "size=keyword", "--ignore", "note"]
    run("index", root / "items.csv", *options)
    run("verify", root / "items.csv", *options)
    store = opening.open_store(Settings(), tiny_space())
    (point,) = store.scroll().points
    store.close()
    assert point.id == "007"
    assert point.payload["size"] == "12"
    assert "note" not in point.payload


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.jsonl"], "no catalogue at nothing.jsonl"),
        (["items.xml"], "unknown kind"),
        (["root/items.jsonl", "--root", "nowhere"], "is not a folder"),
        (["root/items.jsonl", "--column", "sku"], "NAME=VALUE"),
        (["root/items.jsonl", "--column", "picture=x"], "no role is called"),
        (["root/items.jsonl", "--field", "price=money"], "unknown"),
        (["root/items.jsonl", "--max-errors", "-1"], "max-errors"),
        ([], "CATALOG"),
    ],
)
def test_wrong_calls_end_with_2(run: Run, items: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "items.xml").write_text("")
    output = run("index", *arguments, code=2).output
    assert message in " ".join(output.replace("│", " ").split())


def test_another_space_is_indexed_beside_and_switched_to(
    run: Run, items: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("index", items)
    monkeypatch.setenv("TRIVENI_SPACE__NAME", "other")
    refused = run("index", items, code=1)
    assert tiny_space().fingerprint[:12] in str(refused.exception)
    assert concept_space().fingerprint[:12] in str(refused.exception)
    assert json.loads(run("index", items, "--switch", "--json").stdout)["added"] == 14
    run("verify", items)
    monkeypatch.setenv("TRIVENI_SPACE__NAME", "starter")
    run("verify", items, code=1)


def test_a_switch_beside_a_server_is_refused_until_it_stops(
    run: Run, items: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("index", items)
    held = opening.open_store(load_settings(), tiny_space())
    assert isinstance(held, EdgeStore)
    held.announce("127.0.0.1:1")
    monkeypatch.setenv("TRIVENI_SPACE__NAME", "other")
    done = run("index", items, "--switch", code=1)
    assert "the server at 127.0.0.1:1 goes on with the collection that serves now" in done.stderr
    assert isinstance(done.exception, StoreInUseError) and "not switched yet" in str(done.exception)
    assert opening.running_server(load_settings()) == "127.0.0.1:1", "so commands still find it"
    held.upsert([Point(ItemId("late"), {Modality.TEXT: tiny_space().encode([Text("late")])[0]})])
    held.close()
    switched = run("switch")
    assert "of the items of the collection before, 1 is not in it: late; what came" in switched.stderr
    run("verify", items)


def test_words_that_are_added_later_are_told_of_and_fields_that_no_row_has(
    run: Run, items: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIVENI_INDEX__WORDS", "[]")
    assert json.loads(run("index", items, "--json").stdout)["words_added"] == 0
    monkeypatch.setenv("TRIVENI_INDEX__WORDS", '["_text", "colour"]')
    done = run("index", items)
    assert "words added │ 14" in " ".join(done.stdout.replace("|", "│").split())
    assert "none of the first rows has the field colour of index.words" in done.stderr
    monkeypatch.delenv("TRIVENI_INDEX__WORDS")
    assert "index.words" not in run("index", items).stderr, "there may be items without title, name or brand"
