"""The full network compiled for serving: the same numbers, and PyTorch's wherever it cannot be had."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import structlog
import torch

from encoders.types import Floats
from engine.rerank.collate import collate
from engine.rerank.compiled import COMPILED, compile_network
from engine.rerank.learned import tiers_of
from engine.rerank.model import Batch
from engine.rerank.table import RankingInput, Table
from engine.rerank.version import Version, load_version, save_version
from engine.store.memory import MemoryStore
from tests.models.versions import untaught
from tests.rerank.test_export import made_store, requests


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    return made_store()


@pytest.fixture(scope="module")
def version(store: MemoryStore) -> Version:
    plain = untaught(store, "add_to_cart")
    return replace(plain, compiled=compile_network(plain.network))


def by_pytorch(version: Version, request: RankingInput, table: Table) -> Floats:
    with torch.inference_mode():
        found: Floats = version.network(collate([request], table))[0].numpy()
    return found


def refuse(batch: Batch) -> None:
    raise AssertionError("PyTorch was asked")


def test_the_compiled_network_serves_and_gives_what_pytorch_gives(
    version: Version, store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_version(version, tmp_path)
    loaded = load_version(tmp_path)
    monkeypatch.setattr(loaded.network, "forward", refuse)
    asked = list(requests(version, store))
    assert len(asked) == 3
    for request, table in asked:
        found = tiers_of(loaded, "v")[0].logits(request, table)
        assert found.std() > 0.01, "all the same: nothing is shown"
        np.testing.assert_allclose(found, by_pytorch(version, request, table), rtol=1e-4, atol=1e-4)


def test_one_that_gives_other_numbers_or_does_not_run_is_left_out(
    version: Version, store: MemoryStore, tmp_path: Path
) -> None:
    assert version.compiled is not None
    trained_on = deepcopy(version.network)
    with torch.no_grad():
        trained_on.wide.bias += 0.01
    save_version(replace(version, network=trained_on), tmp_path)
    for graph in (version.compiled.graph, b"nothing", version.compiled.graph[:1000]):
        (tmp_path / COMPILED).write_bytes(graph)
        with structlog.testing.capture_logs() as logs:
            loaded = load_version(tmp_path)
        assert loaded.compiled is None
        assert [one["event"] for one in logs] == ["compiled network left out"]
        for request, table in requests(version, store):
            expected = by_pytorch(loaded, request, table)
            np.testing.assert_array_equal(tiers_of(loaded, "v")[0].logits(request, table), expected)


def test_versions_of_before_have_none(version: Version, tmp_path: Path) -> None:
    save_version(replace(version, compiled=None), tmp_path)
    assert load_version(tmp_path).compiled is None
