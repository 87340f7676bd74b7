"""`triveni events`, as it is typed; only the space is the tiny one."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from encoders.errors import TriveniError
from encoders.types import Text
from engine import compose
from engine.cli import app
from engine.config import load_settings
from engine.ingest import digest, point_of
from engine.types import Item, ItemId
from tests.tiny import concept_space

ROWS = [
    {"user_id": "ann", "kind": "like", "time": "2026-01-01T10:00:00Z", "item_id": "a", "id": "e1"},
    {"user_id": "bob", "kind": "rate", "time": "2026-01-01T11:00:00Z", "item_id": "a", "value": 4, "id": "e2"},
    {"user_id": "ann", "kind": "search", "time": "2026-01-02T10:00:00Z", "text": "a bird", "id": "e3"},
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compose, "open_space", lambda settings: concept_space())
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["events", *arguments])


def document(*arguments: str, code: int = 0) -> dict[str, object]:
    done = run(*arguments, "--json")
    assert done.exit_code == code, (done.output, done.exception)
    result: dict[str, object] = json.loads(done.stdout)
    return result


def write(path: Path, rows: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_import_stats_export_and_import_again(folder: Path) -> None:
    file = write(folder / "in.jsonl", ROWS)
    assert document("import", file, "--no-check-items")["recorded"] == 3
    assert document("import", file, "--no-check-items")["duplicates"] == 3
    found = document("stats")
    assert (found["events"], found["users"], found["impressions"]) == (3, 2, 0)
    assert found["kinds"] == {"like": 1, "rate": 1, "search": 1}
    assert document("export", "out.parquet", "--since", "2026-01-01T11:00:00")["events"] == 2
    assert document("import", "out.parquet", "--no-check-items")["duplicates"] == 2
    for arguments in (("stats",), ("import", file, "--no-check-items"), ("export", "again.csv")):
        done = run(*arguments)
        assert done.exit_code == 0, done.output
        assert "3" in done.output


def test_bad_lines_are_told_and_the_rest_is_kept(folder: Path) -> None:
    file = write(folder / "in.jsonl", [*ROWS, {**ROWS[0], "id": "e4", "value": -1}, {"user_id": "x"}])
    done = run("import", file, "--no-check-items")
    assert done.exit_code == 1
    assert "line 4" in done.output
    assert "0 or more" in done.output
    assert document("stats")["events"] == 3
    assert run("import", file, "--no-check-items", "--max-errors", "2").exit_code == 0


def test_items_are_looked_up_in_the_catalogue(folder: Path) -> None:
    file = write(folder / "in.jsonl", [*ROWS, {**ROWS[0], "id": "e5", "item_id": "gone"}])
    refused = run("import", file)
    assert refused.exit_code == 1
    assert isinstance(refused.exception, TriveniError)
    assert "--no-check-items" in str(refused.exception)
    space, item = concept_space(), Item(ItemId("a"), (Text("a bird"),))
    store = compose.open_store(load_settings(), space)
    vector = space.encode(item.contents)[0]
    store.upsert([point_of(item, {item.contents[0].modality: vector}, digest_=digest(item))])
    held = run("import", file)
    assert "--no-check-items" in str(held.exception)
    store.close()
    done = document("import", file, code=1)
    assert (done["recorded"], done["rejected"]) == (3, 1)
    assert "'gone' is not in the catalogue" in str(done["examples"])


def test_check_finds_what_is_wrong_in_a_file_and_nothing_in_a_good_store(folder: Path) -> None:
    file = write(folder / "in.jsonl", [*ROWS, ROWS[0], {**ROWS[1], "id": "e6", "value": None}])
    report = document("check", file, "--no-check-items", code=1)
    codes = {finding["code"] for finding in report["findings"]}  # type: ignore[attr-defined, index]
    assert {"duplicate.id", "missing.value"} <= codes
    assert "ratings without stars" in " ".join(run("check", file, "--no-check-items").output.split())
    good = write(folder / "good.jsonl", ROWS)
    run("import", good, "--no-check-items")
    assert document("check", "--no-check-items")["findings"] == []
    assert "nothing is wrong" in run("check", "--no-check-items").output


@pytest.mark.parametrize(
    "arguments",
    [
        ("import",),
        ("import", "x.jsonl", "--column", "value"),
        ("export", "x.csv", "--since", "yesterday"),
        ("import", "x.jsonl", "--kind", "adore"),
    ],
)
def test_wrong_calls_are_usage_errors(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_a_file_that_is_not_there_is_said() -> None:
    done = run("import", "gone.jsonl", "--no-check-items")
    assert "no file of events at gone.jsonl" in str(done.exception)


@pytest.mark.parametrize("command", [("stats",), ("check", "--no-check-items"), ("export", "out.jsonl")])
def test_who_reads_makes_no_store(folder: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setenv("TRIVENI_EVENTS__URL", "sqlite:///evnts.db")
    done = run(*command)
    assert isinstance(done.exception, TriveniError)
    assert str(done.exception).startswith("there is no event store evnts.db: record or import events first")
    assert not list(folder.iterdir())
