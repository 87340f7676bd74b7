"""`triveni recommend`: events that were recorded before are named by what they were about; only the space is tiny."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from engine import compose
from engine.cli import app
from engine.cli.common import console
from engine.config import load_settings
from engine.ingest import point_of
from engine.types import Item, ItemId
from tests.service.running import running
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
    monkeypatch.setattr(compose, "open_space", lambda settings: concept_space())
    monkeypatch.setattr(console, "_width", 300)
    space = concept_space()
    store = compose.open_store(load_settings(), space)
    for concept in ("bird", "car", "piano"):
        for number in range(4):
            content = concept_text(concept, number)
            name = f"a/{concept}" + (f"-{number}" if number else "")
            item = Item(ItemId(name), (content,), {"title": f"The [{concept}] {number}"})
            store.upsert([point_of(item, {content.modality: space.encode([content])[0]})])
    store.close()
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in EVENTS))
    assert said("events", "import", "events.jsonl", "--no-check-items")
    yield tmp_path
    structlog.reset_defaults()


def said(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def test_reasons_name_titles_and_texts_here_and_from_a_server() -> None:
    here = said(*ASKED)
    assert "earlier like “The [bird] 0” " in here
    assert "earlier search “" in here
    assert "click “The [piano] 0” " in here
    assert "earlier like gone was left out" in here
    assert "earlier event" not in here
    space, settings = concept_space(), load_settings()
    store, events = compose.open_store(settings, space), compose.open_events(settings)
    with running(space, store, events) as server:
        there = said(*ASKED, "--server", server.address)
    store.close()
    events.close()
    assert there == here
