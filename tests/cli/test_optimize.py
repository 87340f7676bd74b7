"""`triveni optimize`: builds by itself, or shows how far the server is that has the store open."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs
from typer.testing import CliRunner

from engine import opening
from engine.cli import app
from engine.config.settings import load_settings
from engine.core.types import ItemId
from engine.store import collections, edge, edge_shard
from engine.store.base import Point
from engine.store.edge import EdgeStore
from engine.store.edge_folder import Building
from tests.store.implementations import unit_vectors
from tests.tiny import concept_space


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for settings and a store, in which graphs are built over little already."""
    monkeypatch.chdir(tmp_path)
    for module in (edge, edge_shard):
        monkeypatch.setattr(module, "GRAPH_FROM_BYTES", 16 * 1024)
    say("none")
    yield tmp_path
    structlog.reset_defaults()  # the command sets it up for its own standard error


def say(quantization: str) -> None:
    Path("triveni.toml").write_text(f'[store]\nquantization = "{quantization}"\n')


def opened() -> EdgeStore:
    store = opening.open_store(load_settings(), concept_space(), bulk=True)
    assert isinstance(store, EdgeStore)
    return store


def fill(store: EdgeStore) -> None:
    vectors = unit_vectors(1, 1_000, store.dimension)
    modality = store.modalities[0]
    store.upsert([Point(ItemId(f"item {row}"), {modality: vector}) for row, vector in enumerate(vectors)])


def test_it_needs_a_catalogue() -> None:
    answer = CliRunner().invoke(app, ["optimize"])
    assert answer.exit_code == 2
    assert "there is no catalogue yet" in answer.output


def test_it_converts_what_was_built_otherwise() -> None:
    store = opened()
    fill(store)
    store.optimize()
    store.close()
    say("4bit")
    answer = CliRunner().invoke(app, ["optimize"])
    assert answer.exit_code == 0, answer.output
    assert "up to date, quantization 4bit" in answer.output
    store = opened()
    assert store._about.quantization == "4bit"
    assert store.count() == 1_000
    store.close()


def test_it_follows_the_server_that_has_the_store_open() -> None:
    store = opened()
    fill(store)
    store.announce("127.0.0.1:9")
    Building(0.5, "building the search graph of part 1 of 2").write(store._folder)
    ends = threading.Timer(1.0, Building.end, [store._folder])
    ends.start()
    answer = CliRunner().invoke(app, ["optimize"])
    ends.join()
    assert answer.exit_code == 0, answer.output
    assert "part 1 of 2" in answer.stderr
    replace(store._about, graphed=1_000).write(store._folder)
    say("int8")
    answer = CliRunner().invoke(app, ["optimize"])
    store.close()
    assert answer.exit_code == 1
    assert "with quantization none" in str(answer.exception)
    assert "restart it" in str(answer.exception)


def test_a_server_says_that_it_will_convert_before_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(opened()) as store:
        fill(store)
        store.optimize()
    say("4bit")
    monkeypatch.setattr(collections, "BACKGROUND", 100)
    with closing(opening.open_store(load_settings(), concept_space())) as served, capture_logs() as logged:
        assert isinstance(served, EdgeStore)
        with served._writing:  # nothing can be copied yet
            opening.announce(served, "127.0.0.1:0", 9)
            assert opening.build_of_server(load_settings()) == (0.0, "it begins soon")
        while opening.build_of_server(load_settings()) is not None:
            time.sleep(0.01)
        assert served._about.quantization == "4bit"
        assert served._optimizer._thread is not None
        served._optimizer._thread.join()
    assert [(line["event"], line.get("items"), line.get("quantization")) for line in logged] == [
        ("building search graphs", 1_000, "4bit"),
        ("built search graphs", None, None),
    ]


def test_what_is_too_small_for_graphs_begins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "GRAPH_FROM_BYTES", 1 << 30)
    monkeypatch.setattr(collections, "BACKGROUND", 100)
    with closing(opening.open_store(load_settings(), concept_space())) as served:
        assert isinstance(served, EdgeStore)
        fill(served)
        assert served._optimizer._thread is not None
        served._optimizer._thread.join()
        served.announce("127.0.0.1:9")
        assert opening.build_of_server(load_settings()) is None
