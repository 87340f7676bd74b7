"""`triveni model`."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from encoders.errors import TriveniError
from engine.cli import app
from engine.cli.common import console
from engine.core.errors import NotFoundError
from engine.models.errors import CheckpointError, ModelError
from engine.models.pointer import Pointer
from engine.models.registry import Registry
from tests.models.versions import FILE, make


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("TRIVENI_MODELS__PATH", str(tmp_path / "models"))
    monkeypatch.setattr(console, "_width", 200)
    monkeypatch.chdir(tmp_path)
    return Registry(tmp_path / "models")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["model", *arguments])


def said(*arguments: str) -> str:
    done = run(*arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return " ".join(done.output.split())


def error(*arguments: str) -> TriveniError:
    done = run(*arguments)
    assert isinstance(done.exception, TriveniError), done.output
    return done.exception


def test_versions_that_may_know_deleted_people_say_so(registry: Registry) -> None:
    a = make(registry, "bird", "a", read_at=datetime.now(UTC) - timedelta(days=2))
    deletion = registry.deletions.note([a], a.created - timedelta(days=3), a.created - timedelta(days=3))
    make(registry, "car", "b", read_at=datetime.now(UTC) + timedelta(hours=1))
    assert json.loads(run("show", "a").output)["deleted_people"] == {"count": 1, "last": deletion.time.isoformat()}
    assert [(one["version"], one["deleted_people"]) for one in json.loads(run("list", "--json").output)] == [
        ("b", 0),
        ("a", 1),
    ]
    assert "deleted people" in said("list")


def test_versions_from_the_first_to_the_last(registry: Registry) -> None:
    assert "no model version in" in said("list")
    a = make(
        registry,
        "bird",
        "a",
        metrics={"ndcg_at_10": 0.1412},
        baseline_metrics={"ndcg_at_10": 0.1},
        intervals={"ndcg_at_10": (0.13, 0.15)},
    )
    make(registry, "car", "b")
    assert "untrained engine served, a serves now" in said("promote", "a")
    assert "a served, b serves now" in said("promote", "b")
    listed = said("list")
    assert [name.strip() for name in run("list").output.splitlines()[1].strip("┃").split("┃")] == [
        "version",
        "role",
        "made",
        "events until",
        "the gate's figure",
    ]
    assert "ndcg_at_10 0.1412 (0.1300 to 0.1500), before 0.1000" in listed
    assert "serves" in listed
    nobody = {"deleted_people": {"count": 0, "last": None}}
    assert json.loads(run("show", "a").output) == {**a.model_dump(mode="json"), **nobody}
    assert json.loads(run("show").output)["version"] == "b"
    assert "b served, a serves now" in said("rollback")
    assert "b serves 25.0% of users now, a the others" in said("candidate", "b", "--share", "0.25")
    shown = {one["version"]: (one["serving"], one["share"]) for one in json.loads(run("list", "--json").output)}
    assert shown == {"a": (True, 0.0), "b": (False, 0.25)}
    assert "tried on 25.0%" in said("list")
    assert isinstance(error("retire", "b"), ModelError)
    assert "a serves everybody now" in said("candidate", "--stop")
    assert "b is deleted" in said("retire", "b")
    assert isinstance(error("retire", "a"), ModelError)
    assert registry.versions() == ["a"]
    assert "a served, the untrained engine serves now" in said("rollback")
    assert isinstance(error("rollback"), ModelError)
    assert isinstance(error("show"), NotFoundError)


def test_a_corrupt_version_is_named_and_refused(registry: Registry) -> None:
    make(registry, "bird", "good")
    make(registry, "bird", "bad")
    make(registry, "bird", "none")
    (registry.path / "bad" / FILE).write_bytes(b"")
    (registry.path / "none" / "card.json").write_text("{}")
    said("promote", "good")
    for arguments in (("promote", "bad"), ("candidate", "bad"), ("show", "bad"), ("promote", "none")):
        assert isinstance(error(*arguments), CheckpointError)
    assert isinstance(error("promote", "gone"), NotFoundError)
    assert registry.pointer() == Pointer("good", ("",))
    done = run("list")
    assert done.exit_code == 1
    assert "the card of model version none is broken" in " ".join(done.output.split())
    assert "good" in done.output


@pytest.mark.parametrize(
    "arguments", [("promote",), ("candidate",), ("candidate", "a", "--stop"), ("candidate", "a", "--share", "2")]
)
def test_wrong_calls_are_usage_errors(registry: Registry, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2
