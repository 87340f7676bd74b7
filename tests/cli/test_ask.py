"""`triveni search` and `triveni recommend`, from this folder's store and from a server; only the space is tiny."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import structlog
from click.testing import Result
from structlog.testing import capture_logs
from typer.testing import CliRunner

from engine import opening
from engine.catalog.ingest import point_of
from engine.cli import app
from engine.cli.common import console, stderr
from engine.cli.serving import open_server
from engine.config.digests import settings_digests
from engine.config.settings import load_settings
from engine.core.errors import InvalidQueryError, SettingsError, StoreInUseError
from engine.core.filters import FieldKind
from engine.core.types import Item, ItemId
from engine.store.edge import EdgeStore
from tests.service.running import Running, running
from tests.tiny import concept_space, concept_text

EVENTS = [
    {"user_id": "ann", "kind": "like", "time": "2026-01-01T10:00:00Z", "item_id": "a/bird", "id": "e1"},
    {"user_id": "ann", "kind": "search", "time": "2026-01-02T10:00:00Z", "text": concept_text("car", 9).text},
    {"user_id": "ann", "kind": "like", "time": "2026-01-01T10:00:00Z", "item_id": "gone", "id": "e3"},
]
ASKED = ("recommend", "--user", "ann", "--click", "a/piano", "--limit", "9")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # What logs, a server in a thread of this process too, must not write between the answers.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr), cache_logger_on_first_use=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "open_space", lambda settings: concept_space())
    monkeypatch.setattr(console, "_width", 300)
    monkeypatch.setattr(stderr, "_width", 300)
    space = concept_space()
    store = opening.open_store(load_settings(), space)
    store.index_fields({"made": FieldKind.DATETIME, "price": FieldKind.FLOAT})
    for concept in ("bird", "car", "piano"):
        for number in range(4):
            content = concept_text(concept, number)
            name = f"a/{concept}" + (f"-{number}" if number else "")
            made = f"2025-01-0{number + 1}T00:00:00+00:00"
            item = Item(ItemId(name), (content,), {"title": f"The [{concept}] {number}", "made": made})
            store.upsert([point_of(item, {content.modality: space.encode([content])[0]})])
    store.close()
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in EVENTS))
    assert said("events", "import", "events.jsonl", "--no-check-items")
    yield tmp_path
    structlog.reset_defaults()


@contextmanager
def serving() -> Iterator[Running]:
    """A server over the store of this folder, as `triveni serve` sets it up."""
    space, settings = concept_space(), load_settings()
    store, events = opening.open_store(settings, space), opening.open_events(settings)
    with running(space, store, events, digests=settings_digests(settings)) as server:
        yield server
    store.close()
    events.close()


def asked(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def said(*arguments: str) -> str:
    done = asked(*arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def found(*arguments: str) -> set[str]:
    return {result["item_id"] for result in json.loads(said(*arguments, "--json"))["results"]}


def test_reasons_name_titles_and_texts_here_and_from_a_server() -> None:
    def shown(*more: str) -> str:
        return said(*ASKED, *more).partition("more: ")[0]  # a token knows when its list began

    here = shown()
    assert "earlier like “The [bird] 0” " in here
    assert "earlier search “" in here
    assert "click “The [piano] 0” " in here
    assert "earlier like gone was left out" in here
    assert "earlier event" not in here
    with serving() as server:
        assert shown("--server", server.address) == here


def test_the_way_of_a_request_here_and_from_a_server() -> None:
    def way(*more: str) -> list[str]:
        last = said(*ASKED, "--trace", "--model", "untrained", *more).strip().splitlines()[-1]
        return [stage.rsplit(" (", 1)[0] for stage in last.split(" → ")]

    here = way()
    assert here[0] == "version 0" and here[1] == "history 3" and here[-1].startswith("total ")
    with serving() as server:
        assert way("--server", server.address) == ["recorded 3", *here]
    assert "total" not in said(*ASKED)
    assert "no model version 'never'" in str(asked(*ASKED, "--model", "never").exception)


def test_filters_by_time_here_and_from_a_server() -> None:
    def check(*where: str) -> None:
        for ask in (("search", concept_text("bird", 7).text), ("recommend", "--like", "a/piano")):
            assert found(*ask, "--where", "made>=2025-01-03", *where) >= {"a/bird-2", "a/bird-3", "a/car-3"}
            assert not {"a/bird", "a/bird-1"} & found(*ask, "--where", "made>=2025-01-03", *where)
            assert found(*ask, "--where", "made=2025-01-02", "--filter", "made<2025-01-02T12:00", *where) == {
                "a/bird-1",
                "a/car-1",
                "a/piano-1",
            }
        refusal = asked("search", "bird", "--where", "made>3", *where)
        assert "which is datetime: use DatetimeRange with a time, such as 2025-01-31" in str(refusal.exception)

    check()
    with serving() as server:
        check("--server", server.address)


def test_text_against_a_number_is_refused() -> None:
    for condition in ("price<cheap", "price=cheap"):
        refusal = asked("search", "bird", "--where", condition)
        assert isinstance(refusal.exception, InvalidQueryError)
        assert refusal.exception.remedy
    assert "is float: use Range with a number" in str(refusal.exception)


def test_json_without_results_has_an_empty_list_here_and_from_a_server() -> None:
    def check(*where: str) -> None:
        for ask in (("search", "bird"), ("recommend", "--like", "a/piano")):
            document = json.loads(said(*ask, "--where", "made<2024-01-01", "--json", *where))
            assert document["results"] == []

    check()
    with serving() as server:
        check("--server", server.address)


def test_pages_here_and_from_a_server() -> None:
    def read(*where: str) -> list[str]:
        first = asked("search", concept_text("bird", 7).text, "--limit", "5", *where)
        token = first.stdout.rpartition("--page ")[2].strip()
        documents = [
            json.loads(said("search", concept_text("bird", 7).text, "--limit", "5", "--json", *page, *where))
            for page in ((), ("--page", token))
        ]
        return [result["item_id"] for document in documents for result in document["results"]]

    here = read()
    assert len(set(here)) == len(here) == 10
    with serving() as server:
        assert read("--server", server.address) == here
    refusal = asked("search", "a car", "--page", "made-up")
    assert str(refusal.exception).startswith("'made-up' is no token: send next_page_token as it came")
    token = asked("search", concept_text("bird", 7).text, "--limit", "5").stdout.rpartition("--page ")[2].strip()
    assert "is of another list, or cut off: send next" in str(asked("search", "a car", "--page", token).exception)


def test_nothing_fits_is_said_here_and_from_a_server() -> None:
    def check(*where: str) -> None:
        ask = ("search", concept_text("tree", 7).text, *where)
        assert "relevance" in said(*ask)
        nothing = said(*ask, "--max-false-positive-rate", "0.1")
        assert nothing.startswith("nothing fits surely enough: raise --max-false-positive-rate")
        assert asked(*ask, "--max-false-positive-rate", "0").exit_code == 2
        assert found("search", concept_text("bird", 7).text, "--max-false-positive-rate", "0.1", *where) == {
            f"a/bird{end}" for end in ("", "-1", "-2", "-3")
        }

    check()
    with serving() as server:
        check("--server", server.address)


def test_a_server_that_has_the_store_open_is_asked() -> None:
    ask = ("search", concept_text("bird", 7).text, "--json")
    here = found(*ask)
    with serving() as server:
        refusal = asked(*ask)  # it is up, but nobody has said where
        assert isinstance(refusal.exception, StoreInUseError)
        assert "--server HOST:PORT to search" in str(refusal.exception)
        assert isinstance(server.store, EdgeStore)
        server.store.announce(server.address)
        assert found(*ask) == here
        assert f"the server at {server.address} has the store open" in asked(*ask).stderr
    assert found(*ask) == here


def test_settings_that_are_not_the_servers_are_named_and_a_typo_is_an_error(folder: Path) -> None:
    with serving() as server:
        ask = ("search", "bird", "--server", server.address)
        assert "warning" not in asked(*ask).stderr
        file = folder / "triveni.toml"
        file.write_text('[policy]\ndiversity = 0.5\n[store]\ncollection = "others"\n[index]\nbatch = 7\n')
        told = asked(*ask)
        assert told.exit_code == 0
        assert told.stderr == (
            f"warning: triveni.toml says otherwise than the server at {server.address} about "
            "store.collection, policy.diversity: the server's holds\n"
        )
        file.write_text("[policy]\ndiversty = 0.5\n")
        refusal = asked(*ask)
        assert isinstance(refusal.exception, SettingsError)
        assert "did you mean policy.diversity?" in str(refusal.exception)
        file.unlink()
        other = folder / "mine.toml"
        other.write_text("[fuse]\nquery_weight = 0.1\n")
        assert "mine.toml says otherwise" in asked("--settings", "mine.toml", *ask).stderr


def test_no_server_at_an_address() -> None:
    for address in ("127.0.0.1:1", "http://localhost"):
        refusal = asked("search", "bird", "--server", address)
        assert str(refusal.exception).startswith(f"no server answers at {address}: name one as HOST:PORT")


PROGRAM = """
import json, sys
from engine.cli import app
app(sys.argv[1:], standalone_mode=False)
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
SPARED = {
    "torch",
    "onnxruntime",
    "sentence_transformers",
    "scipy",
    "qdrant_client",
    "qdrant_edge",
    "sqlalchemy",
    "pyarrow",
}


def test_a_search_from_a_server_loads_neither_encoders_nor_stores() -> None:
    def loaded(*arguments: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "search", "bird", "--json", *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout)["results"]
        return set(json.loads(done.stderr.splitlines()[-1]))

    with serving() as server:
        modules = loaded("--server", server.address)
        assert modules & (SPARED | {"pydantic_settings"}) == set()
        assert isinstance(server.store, EdgeStore)
        server.store.announce(server.address)
        assert loaded() & SPARED == set()


def command(address: str, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """A search from a server in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "engine.cli", "search", "bird", "--server", address, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "", **environment},
    )


def test_a_reader_that_has_enough_and_a_terminal_without_unicode() -> None:
    with serving() as server:
        for arguments in ((), ("--json",), ("--json", "--limit", "1")):  # more and less than a buffer
            process = command(server.address, *arguments)
            assert process.stdout and process.stderr
            process.stdout.close()
            assert process.stderr.read() == ""
            process.stderr.close()
            assert process.wait(60) == 1
        shown, errors = command(server.address, PYTHONIOENCODING="ascii").communicate(timeout=60)
        assert "The [bird] 0" in shown
        assert errors == ""
        document, _ = command(server.address, "--json", PYTHONIOENCODING="ascii").communicate(timeout=60)
        assert json.loads(document)["results"]


@pytest.mark.parametrize("text", ["\udcff", "a\ud800"])
@pytest.mark.parametrize("option", ["", "--item", "--where"])
def test_what_is_no_text_is_refused(text: str, option: str) -> None:
    words = f"made={text}" if option == "--where" else text
    refusal = asked("search", *(["bird", option] if option else []), words)
    assert "is not valid Unicode: type it in UTF-8" in str(refusal.exception)


def test_a_server_that_is_not_ready_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/venv/bin/triveni", "serve"])
    with closing(opening.open_store(load_settings(), concept_space())):
        refusal = asked("search", "bird")
        assert isinstance(refusal.exception, StoreInUseError)
        assert "a server that is not ready yet: try again once its log says `ready`" in str(refusal.exception)


def test_a_server_says_how_words_are_added_to_a_catalogue_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "open_space", lambda settings, limits: concept_space(limits=limits))
    with ExitStack() as opened, capture_logs() as logged:
        open_server(load_settings(), opened, address="127.0.0.1:0")
    (said,) = [line["words"] for line in logged if line.get("what") == "catalogue" and "words" in line]
    assert said.endswith("stop the server, and `triveni index CATALOG` adds them")
