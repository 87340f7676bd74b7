"""`triveni tune`: what it prints and writes; tests/cli/test_train.py runs it on what was recorded."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli import app
from engine.cli.common import console
from engine.cli.tune import write_learn
from engine.config.settings import load_settings
from engine.core.errors import DiskError, NotFoundError, SettingsError
from engine.learn.tuning.tune import SettingsSearch
from tests.learn.test_tune import NOW, QUICK, made_rows

BEST = {"learning_rate": 0.00312, "batch": 128, "width": 32, "dropout": 0.25, "id_dropout": 0.4}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "_width", 200)
    return tmp_path


def test_show_tells_what_was_tried_and_write_puts_the_best_into_the_settings(folder: Path) -> None:
    nothing = CliRunner().invoke(app, ["tune", "--show"])
    assert isinstance(nothing.exception, NotFoundError)
    SettingsSearch(folder / "var" / "trained" / ".tuning", NOW, datetime(2026, 3, 1, tzinfo=UTC)).run(
        made_rows(), QUICK, 2
    )
    document = json.loads(CliRunner().invoke(app, ["tune", "--show", "--json"]).stdout)
    assert [one["as_it_was"] for one in document["trials"]].count(True) == 1
    done = CliRunner().invoke(app, ["tune", "--show", "--write", "own.toml"])
    assert done.exit_code == 0, done.exception
    assert "as it is" in done.output
    assert f"{document['trials'][0]['figure']:.4f}" in done.output
    learn = load_settings(folder / "own.toml").learn
    assert {key: getattr(learn, key) for key in BEST} == document["best"] == document["trials"][0]["setting"]
    if document["best"] != NOW:
        assert f"\n[learn]\nlearning_rate = {document['best']['rate']}\n" in done.output


def test_a_settings_file_keeps_what_else_is_in_it(folder: Path) -> None:
    path = folder / "triveni.toml"
    path.write_text(
        '# ours\n[store]\npath = "here" # not there\n\n[learn]\n# tried by hand\nwidth = 16\nrate = 0.5\nepochs = 9\n'
    )
    write_learn(path, BEST)
    text = path.read_text()
    assert "# ours" in text
    assert "# not there" in text
    assert "# tried by hand" in text
    assert "\nrate" not in text  # its name of the release before; both at once would be refused
    settings = load_settings(path)
    assert (settings.learn.epochs, settings.store.path) == (9, Path("here"))
    assert {key: getattr(settings.learn, key) for key in BEST} == BEST


@pytest.mark.parametrize(("name", "text"), [("broken.toml", "[learn\n"), ("no/such/folder.toml", "")])
def test_a_file_that_cannot_be_written_is_refused(folder: Path, name: str, text: str) -> None:
    if text:
        (folder / name).write_text(text)
    with pytest.raises((SettingsError, DiskError)):
        write_learn(folder / name, BEST)
    assert not text or (folder / name).read_text() == text
