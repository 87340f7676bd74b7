"""What is printed, whatever characters it holds."""

import pytest

from encoders.errors import ContentError
from engine import cli
from engine.cli.answer import table
from engine.cli.common import console, stderr, tell
from triveni.v1 import recommendation_pb2

ODD = "row [/x] of [bold]items[/bold] :dog: \\"


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setattr(console, "_width", 200)
    monkeypatch.setattr(stderr, "_width", 200)


def test_an_error_is_printed_as_it_is(monkeypatch, capsys):
    def fail() -> None:
        raise ContentError(ODD, "mend [/it]")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"error: {ODD}: mend [/it]\n"


def test_a_place_that_cannot_be_used_ends_without_a_traceback(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(cli, "app", (tmp_path / "file" / "store").mkdir)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    place = tmp_path / "file" / "store"
    said = f"error: cannot use {place}: not a directory: name another place, or let this one be used\n"
    assert capsys.readouterr().err == said


def test_a_label_and_its_message(capsys):
    tell("unusable", "yellow", ODD)
    assert capsys.readouterr().err == f"unusable: {ODD}\n"


def test_titles_and_ids_are_printed_as_they_are(capsys):
    answer = recommendation_pb2.RecommendResponse()
    answer.results.add(item_id=ODD, score=1, rank=1)
    console.print(table(ODD, answer))
    stderr.print(ODD)
    printed = capsys.readouterr()
    assert printed.out.count(ODD) == 2
    assert printed.err == f"{ODD}\n"


def test_a_setting_by_its_old_name_is_a_warning_of_one_line(monkeypatch, capsys, tmp_path):
    (tmp_path / "triveni.toml").write_text("[learn]\nrate = 0.5\ntaste_epochs = 2\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["triveni", "events", "stats"])
    with pytest.raises(SystemExit):
        cli.main()
    assert [line for line in capsys.readouterr().err.splitlines() if "learn." in line] == [
        "warning: setting learn.rate is called learn.learning_rate now: rename it",
        "warning: setting learn.taste_epochs is called learn.tower_epochs now: rename it",
    ]
