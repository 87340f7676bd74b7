"""The item vectors of versions, side by side in a store."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import StoreError
from engine.items import ItemTable
from engine.learn.dataset import table_of
from engine.learn.train import Stop
from engine.learn.write_taste import drop_taste, vector_name, write_taste
from engine.rerank.features import Table, fit_scales
from engine.rerank.taste import TasteConfig, TasteModel, TwoTowers
from engine.store.base import Point, VectorQuery, VectorStore
from tests.learn.world import catalogue
from tests.store.implementations import open_store

ITEMS = catalogue()


def towers(seed: int, taste: int = 8) -> TasteModel:
    torch.manual_seed(seed)
    return TasteModel(TwoTowers(TasteConfig(("text", "image"), 16, items=len(ITEMS), taste=taste, width=16)))


def table(items: ItemTable) -> Table:
    return table_of(items, fit_scales(items.payloads, {}), np.ones(len(items), np.bool_))


@pytest.fixture(params=["memory", "edge"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> VectorStore:
    made = open_store(request.param, tmp_path, dimension=16)
    made.upsert(
        [
            Point(name, {m: matrix[row] for m, matrix in ITEMS.vectors.items() if ITEMS.present[m][row]})
            for row, name in enumerate(ITEMS.ids[:80])
        ]
    )
    request.addfinalizer(made.close)
    return made


def test_vectors_of_versions_stand_beside_each_other(store: VectorStore) -> None:
    told: list[float] = []
    old, new = towers(1), towers(2, taste=4)
    assert write_taste(store, "1", old, ITEMS, table(ITEMS), batch=20, progress=told.append) == 80
    assert told[-1] == 1.0 and told == sorted(told) and len(told) == 5
    assert write_taste(store, "2", new, ITEMS, table(ITEMS)) == 80
    assert dict(store.vectors) == {"taste-1": 8, "taste-2": 4}
    for version, model in (("1", old), ("2", new)):
        matrix = model.items(table(ITEMS), np.arange(96))
        kept, there = store.read_vectors(vector_name(version), ITEMS.ids)
        assert np.array_equal(np.flatnonzero(there), np.arange(80))
        assert np.allclose(kept[:80], matrix[:80], atol=1e-5)
        hits = store.query([VectorQuery(matrix[33], vector_name(version), 80)])[0]
        order = np.argsort(-(matrix[:80] @ matrix[33]), kind="stable")
        assert hits.ids[0] == ITEMS.ids[33] and set(hits.ids[:10]) == {ITEMS.ids[row] for row in order[:10]}
    drop_taste(store, "1")
    assert list(store.vectors) == ["taste-2"]
    drop_taste(store, "1")


def test_a_run_that_was_stopped_goes_on_and_a_third_has_nothing_to_do(store: VectorStore) -> None:
    model, told = towers(1), list[float]()
    with pytest.raises(Stop):
        write_taste(
            store, "1", model, ITEMS, table(ITEMS), batch=32, progress=told.append, stopped=lambda: len(told) == 1
        )
    assert store.read_vectors("taste-1", ITEMS.ids)[1].sum() == 32
    assert write_taste(store, "1", model, ITEMS, table(ITEMS), batch=32) == 48
    before = store.read_vectors("taste-1", ITEMS.ids)[0]
    assert write_taste(store, "1", model, ITEMS, table(ITEMS), batch=32) == 0
    assert np.array_equal(store.read_vectors("taste-1", ITEMS.ids)[0], before)
    assert np.allclose(before[:80], model.items(table(ITEMS), np.arange(80)), atol=1e-5)


def test_another_dimension_under_the_same_version_is_refused(store: VectorStore) -> None:
    write_taste(store, "1", towers(1), ITEMS, table(ITEMS))
    with pytest.raises(StoreError, match="taste-1 has 8 dimensions"):
        write_taste(store, "1", towers(1, taste=4), ITEMS, table(ITEMS))
