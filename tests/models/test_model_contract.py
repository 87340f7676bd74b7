"""The suite of served models: over a small one, and over the real reranker with weights drawn at random."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from engine.compose.engine import model_loaders
from engine.core.errors import PluginError
from engine.models.card import ModelCard
from engine.query.models import ServedModel
from engine.rerank.version import KIND
from engine.store.base import VectorStore
from engine.testing import ServedModelContract
from engine.testing.small import small_store
from tests.distributions import add_distribution
from tests.models.versions import DirectionModel, load_untaught


class TestDirection(ServedModelContract):
    def model(self, store: VectorStore) -> ServedModel:
        return DirectionModel("one", store.fingerprint, np.eye(1, store.dimension, dtype=np.float32)[0])


def card_of(store: VectorStore) -> ModelCard:
    return ModelCard(
        kind="untaught", fingerprint=store.fingerprint, version="one", created=datetime(2026, 1, 1, tzinfo=UTC)
    )


class TestUntaught(ServedModelContract):
    def model(self, store: VectorStore) -> ServedModel:
        return load_untaught(Path(), card_of(store), store)


def odd(*_: object) -> int:
    return 3


def test_kinds_of_other_distributions_are_loaded_by_the_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = {"untaught": "tests.models.versions:load_untaught", "odd": "tests.models.test_model_contract:odd"}
    add_distribution(monkeypatch, tmp_path, "triveni.models", points)
    store = small_store()
    loaders = model_loaders(store)
    assert {KIND, "untaught", "odd"} == set(loaders)
    assert loaders["untaught"](tmp_path, card_of(store)).version == "one"
    with pytest.raises(PluginError, match=r"kind of model 'odd' makes a int, which is no ServedModel.*others 1\.2"):
        loaders["odd"](tmp_path, card_of(store))
