"""Tenants on the command line: each command works on the catalogue of one; only the space is tiny."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from engine import opening
from engine.cli import app
from engine.cli.common import console, stderr
from engine.core.errors import SettingsError
from tests.tiny import concept_space, concept_text

RUN = CliRunner()
OWN = {"acme": ("bird", "car"), "zoo": ("cat",)}
SETTINGS = "[tenants.acme]\n[tenants.zoo]\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose settings have two tenants, with a catalogue and an event of each: all items are called alike."""
    made = tmp_path_factory.mktemp("tenants")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        patch.setattr(opening, "open_space", lambda settings, limits=None: concept_space())
        patch.setattr(console, "_width", 300)
        patch.setattr(stderr, "_width", 300)
        Path("triveni.toml").write_text(SETTINGS)
        for name, concepts in OWN.items():
            rows = [{"id": f"item/{row}", "text": concept_text(one).text} for row, one in enumerate(concepts)]
            Path("items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            said("--tenant", name, "index", "items.jsonl")
            event = {"user_id": "ann", "kind": "like", "item_id": "item/0", "time": "2026-01-01T10:00:00Z"}
            Path("events.jsonl").write_text(json.dumps(event) + "\n")
            said("--tenant", name, "events", "import", "events.jsonl")
        yield made
    structlog.reset_defaults()


def said(*arguments: str) -> str:
    done = RUN.invoke(app, arguments)
    assert done.exit_code == 0, (arguments, done.output, done.exception)
    return done.stdout


def found(tenant: str) -> dict[str, str]:
    results = json.loads(said("--tenant", tenant, "search", "bird", "--json"))["results"]
    return {result["item_id"]: result["text"] for result in results}


def test_each_has_a_catalogue_and_events_of_its_own_in_its_folder(folder: Path) -> None:
    for name, concepts in OWN.items():
        assert found(name) == {f"item/{row}": concept_text(one).text for row, one in enumerate(concepts)}
        own = folder / "var" / "tenants" / name
        assert (own / "store").is_dir() and (own / "events.db").is_file() and (own / "index-run.json").is_file()
        assert json.loads(said("--tenant", name, "events", "stats", "--json"))["events"] == 1
    assert not (folder / "var" / "store").exists()
    assert not (folder / "var" / "events.db").exists()


def test_a_tenant_has_to_be_named_and_be_there(folder: Path) -> None:
    for command in (("search", "bird"), ("index", "items.jsonl"), ("events", "stats"), ("model", "list"), ("train",)):
        refused = RUN.invoke(app, command).exception
        assert isinstance(refused, SettingsError), command
        assert str(refused) == "there are several tenants: acme, zoo: name one: triveni --tenant NAME COMMAND"
        other = RUN.invoke(app, ("--tenant", "../acme", *command)).exception
        assert "there is no tenant '../acme', there is acme, zoo" in str(other)
    assert "space concepts" in said("space", "show"), "which is that of all"


def test_a_server_is_of_all(folder: Path) -> None:
    for command in ("serve", "studio"):
        refused = RUN.invoke(app, ("--tenant", "acme", command)).exception
        assert f"`triveni {command}` is not of one tenant, 'acme': leave --tenant out" in str(refused)
