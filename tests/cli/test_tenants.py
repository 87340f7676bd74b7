"""Tenants on the command line: each command works on the catalogue of one; only the space is tiny."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import structlog
from typer.testing import CliRunner

from engine import opening
from engine.cli import app
from engine.cli.common import console, stderr
from engine.cli.serving import open_server
from engine.config.settings import load_settings
from engine.core.errors import SettingsError
from engine.service.access.caller import Scope
from engine.service.access.keys import KeyFile
from engine.service.access.settings import AccessSettings
from tests.service.running import started
from tests.tiny import concept_space, concept_text

RUN = CliRunner()
OWN = {"acme": ("bird", "car"), "zoo": ("cat",)}
SETTINGS = """
[access]
keys = "keys.toml"
[studio]
media = "media"
[tenants.acme]
[tenants.zoo]
calls_per_second = 2e-3
burst_seconds = 3600
"""


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


def test_there_are_no_tenants_without_credentials(folder: Path) -> None:
    settings = load_settings().model_copy(update={"access": AccessSettings()})
    with ExitStack() as opened, pytest.raises(SettingsError, match="there are tenants and no credentials"):
        open_server(settings, opened, address="127.0.0.1:0")


@pytest.fixture(scope="module")
def doors(folder: Path) -> Iterator[dict[str, httpx.Client]]:
    """The server of all, as `triveni studio` opens it: by tenant what asks it over HTTP with a key of that tenant."""
    keys = KeyFile(folder / "keys.toml")
    made = {
        name: keys.add(name or "nobody", frozenset(Scope), name, None, datetime.now(UTC))[0]
        for name in (*OWN, "elsewhere", "")
    }
    structlog.reset_defaults()  # what the commands before logged to is closed
    with ExitStack() as opened:
        whole = open_server(load_settings(), opened, address="127.0.0.1:0", http="127.0.0.1:0", studio=True)
        opened.enter_context(started(whole.server))
        url = f"http://{whole.announce()}"
        yield {
            name: opened.enter_context(httpx.Client(base_url=url, headers={"x-api-key": key}, timeout=30))
            for name, key in made.items()
        }


def test_the_page_and_http_are_of_the_tenant_of_the_key(doors: dict[str, httpx.Client]) -> None:
    acme, zoo = doors["acme"], doors["zoo"]
    assert [acme.get("/studio/about").json()["items"], zoo.get("/studio/about").json()["items"]] == [2, 1]
    assert acme.get("/studio/catalogue/vectors", params={"item": "item/1"}).status_code == 200
    hidden = zoo.get("/studio/catalogue/vectors", params={"item": "item/1"})
    never = zoo.get("/studio/catalogue/vectors", params={"item": "never"})
    assert hidden.json()["detail"].replace("item/1", "never") == never.json()["detail"]
    assert [len(acme.get("/v1/items").json()["items"])] == [2]
    for name in ("elsewhere", ""):
        for path in ("/v1/items", "/studio/about", "/studio/live", "/studio/learning/reports"):
            refused = doors[name].get(path)
            assert (refused.status_code, refused.json()["code"]) == (403, "PERMISSION_DENIED"), path
    assert doors["acme"].get("/", headers={"x-api-key": ""}).status_code == 200, "the page itself holds nothing"


def test_calls_and_the_page_have_one_quota(doors: dict[str, httpx.Client]) -> None:
    answers = [doors["zoo"].get(path) for path in ("/v1/items", "/studio/about", "/v1/items", "/studio/facets") * 2]
    assert {answer.status_code for answer in answers} == {200, 429}
    assert answers[-1].json()["reason"] == answers[-2].json()["reason"] == "QUOTA"
    assert int(answers[-1].headers["retry-after"]) > 100
    assert doors["acme"].get("/v1/items").status_code == 200


def test_a_key_is_of_a_tenant_that_there_is(folder: Path) -> None:
    """`--tenant` of the command and of the program say the same; a key that no call could use is not made."""
    for arguments in (("access", "add-key", "a", "--tenant", "zoo"), ("--tenant", "zoo", "access", "add-key", "b")):
        said(*arguments)
    assert {key.name: key.tenant for key in KeyFile(folder / "keys.toml").every() if key.name in "ab"} == {
        "a": "zoo",
        "b": "zoo",
    }
    unknown = RUN.invoke(app, ("access", "add-key", "c", "--tenant", "mars")).exception
    assert "there is no tenant 'mars', there is acme, zoo" in str(unknown)
    nobodys = RUN.invoke(app, ("access", "add-key", "c")).exception
    assert str(nobodys) == "there are several tenants: acme, zoo: say whose key it is: --tenant NAME"
    assert "zoo" in said("access", "list")
