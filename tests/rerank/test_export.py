"""The reranker as ONNX: ONNX Runtime gives what PyTorch gives, on what real requests are made of."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from typer.testing import CliRunner

from encoders.types import Floats, Text
from engine.cli import app
from engine.core.types import Event, EventKind, ItemId, Query
from engine.encode.encoding import DirectEncoder
from engine.models.registry import Registry
from engine.query.models import Fixed
from engine.query.pipeline import Engine
from engine.rerank.collate import collate
from engine.rerank.graph import INPUTS
from engine.rerank.served import LearnedModel
from engine.rerank.table import RankingInput, Table
from engine.rerank.version import KIND, Version, save_version
from engine.store.base import Point
from engine.store.memory import MemoryStore
from tests.models.versions import draft, untaught
from tests.tiny import CONCEPTS, concept_space, concept_text

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def made_store() -> MemoryStore:
    space = concept_space()
    made = MemoryStore(fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities)
    for number, concept in enumerate(CONCEPTS):
        text = concept_text(concept)
        made.upsert([Point(ItemId(concept), {text.modality: space.encode([text])[0]}, {"price": float(number)})])
    return made


@pytest.fixture
def store() -> MemoryStore:
    return made_store()


def requests(version: Version, store: MemoryStore) -> Iterator[tuple[RankingInput, Table]]:
    """What the network is given for users with histories of several lengths."""
    model = LearnedModel(version, "v", concept_space().fingerprint, store)
    asked: list[tuple[RankingInput, Table]] = []
    full = model.tiers[0]
    score = full.logits

    def kept(request: RankingInput, table: Table) -> Floats:
        asked.append((request, table))
        return score(request, table)

    full.logits = kept
    engine = Engine(DirectEncoder(concept_space()), concept_space().manifest, store, models=Fixed(model))
    for length in (1, 2, 7):
        history = [Event(EventKind.LIKE, ItemId(one), time=NOW - timedelta(hours=9)) for one in CONCEPTS[:length]]
        history.append(Event(EventKind.SEARCH, None, Text("a small bird"), time=NOW - timedelta(minutes=1)))
        engine.recommend(Query(history=tuple(history), limit=4))
    return iter(asked)


def test_onnx_runtime_gives_what_pytorch_gives(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    version = untaught(store, "add_to_cart")
    monkeypatch.setenv("TRIVENI_MODELS__PATH", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    Registry(tmp_path / "models").create(draft(kind=KIND), lambda folder: save_version(version, folder), version="v")
    done = CliRunner().invoke(app, ["model", "export", "v", "-o", "model.onnx"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert tuple(one.name for one in session.get_inputs()) == INPUTS
    about = session.get_modelmeta().custom_metadata_map
    assert tuple(json.loads(about["features"])) == version.features
    assert tuple(json.loads(about["event_kinds"])) == version.token_kinds.names
    compared = 0
    for request, table in requests(version, store):
        batch = collate([request], table)
        with torch.inference_mode():
            expected = version.network(batch).numpy()
        (found,) = session.run(["logits"], {name: getattr(batch, name).numpy() for name in INPUTS})
        assert expected.std() > 0.01, "all the same: nothing is shown"
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
        compared += 1
    assert compared == 3
    refused = CliRunner().invoke(app, ["model", "export", "v", "-o", "small.onnx", "--small"])
    assert "v has no small network" in str(refused.exception)
