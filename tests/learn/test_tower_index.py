"""The item vectors of versions, side by side in a store."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from structlog.testing import capture_logs

from encoders.types import Rows
from engine.core.errors import StoreError
from engine.core.types import ItemId
from engine.learn.rows.point_in_time import table_of
from engine.rerank import tower_index
from engine.rerank.fields import fit_scales
from engine.rerank.tower_index import TowerIndex, drop_others, vector_name
from engine.rerank.two_towers import TwoTowerConfig, TwoTowerModel, TwoTowers
from engine.store.base import Point, VectorQuery, VectorStore
from tests.learn.world import catalogue
from tests.store.implementations import open_store

ITEMS = catalogue()
TABLE = table_of(ITEMS, fit_scales(ITEMS.payloads, {}), np.ones(len(ITEMS), np.bool_))


def towers(seed: int, embedding: int = 8) -> TwoTowerModel:
    torch.manual_seed(seed)
    return TwoTowerModel(
        TwoTowers(TwoTowerConfig(("text", "image"), 16, items=len(ITEMS), embedding=embedding, width=16))
    )


def identity(ids: Sequence[ItemId]) -> Rows:
    return TABLE.identity[ITEMS.rows(ids)]


def index(store: VectorStore, version: str, model: TwoTowerModel, batch: int = 32) -> TowerIndex:
    return TowerIndex(store, version, model, identity, batch=batch)


def point(row: int, contents: int | None = None) -> Point:
    """An item, with the contents of another if told."""
    of = row if contents is None else contents
    return Point(ITEMS.ids[row], {m: matrix[of] for m, matrix in ITEMS.vectors.items() if ITEMS.present[m][of]})


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture(params=["memory", "edge"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> VectorStore:
    made = open_store(request.param, tmp_path, dimension=16)
    made.upsert([point(row) for row in range(80)])
    request.addfinalizer(made.close)
    return made


def test_vectors_of_versions_stand_beside_each_other(store: VectorStore) -> None:
    old, new = towers(1), towers(2, embedding=4)
    assert index(store, "1", old, batch=20).fill() == 80
    assert index(store, "2", new).fill() == 80
    assert dict(store.vectors) == {"taste-1": 8, "taste-2": 4}
    for version, model in (("1", old), ("2", new)):
        matrix = model.item_embeddings(TABLE, np.arange(96))
        kept, there = store.read_vectors(vector_name(version), ITEMS.ids)
        assert np.array_equal(np.flatnonzero(there), np.arange(80))
        assert np.allclose(kept[:80], matrix[:80], atol=1e-5)
        hits = store.query([VectorQuery(matrix[33], vector_name(version), 80)])[0]
        order = np.argsort(-(matrix[:80] @ matrix[33]), kind="stable")
        assert hits.ids[0] == ITEMS.ids[33] and set(hits.ids[:10]) == {ITEMS.ids[row] for row in order[:10]}
    for _ in range(2):
        drop_others(store, {"2"})
        assert list(store.vectors) == ["taste-2"]


def test_only_what_is_missing_is_written(store: VectorStore) -> None:
    model = towers(1)
    half = index(store, "1", model)
    store.add_vector(half.name, 8)
    assert half.write(ITEMS.ids[:30]) == 30
    assert half.fill() == 50
    assert half.fill() == 0
    assert np.allclose(
        store.read_vectors("taste-1", ITEMS.ids[:80])[0], model.item_embeddings(TABLE, np.arange(80)), atol=1e-5
    )


def test_what_is_written_while_it_runs_gets_its_vector(store: VectorStore) -> None:
    model = towers(1)
    running = index(store, "1", model)
    assert not running.ready
    running.start()
    wait_for(lambda: running.ready)
    store.upsert([point(85), point(3, contents=44)])
    running.changed([ITEMS.ids[85], ITEMS.ids[3], ITEMS.ids[90]])
    wait_for(lambda: bool(store.read_vectors("taste-1", [ITEMS.ids[85]])[1].all()))
    running.close()
    moved = TABLE.identity.copy()
    moved[44] = TABLE.identity[3]  # the contents of the one, the id of the other
    expected = model.item_embeddings(replace(TABLE, identity=moved), np.array([44]))
    found, there = store.read_vectors("taste-1", [ITEMS.ids[3], ITEMS.ids[90]])
    assert there.tolist() == [True, False]
    assert np.allclose(found[0], expected[0], atol=1e-5)


def test_items_of_other_processes_are_found_while_changes_come_all_the_time(
    store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tower_index, "RESCAN_SECONDS", 0.2)
    running = index(store, "1", towers(1))
    running.start()
    wait_for(lambda: running.ready)
    store.upsert([point(85)])  # of which nobody tells it

    def there() -> bool:
        running.changed([ITEMS.ids[3]])
        return bool(store.read_vectors("taste-1", [ITEMS.ids[85]])[1].all())

    wait_for(there)
    running.close()


def test_a_first_fill_that_fails_is_tried_again_soon(store: VectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tower_index, "RETRY_SECONDS", 0.05)
    store.add_vector("taste-1", 4)  # in the way, it has another dimension
    running = index(store, "1", towers(1))
    with capture_logs() as logs:
        running.start()
        wait_for(lambda: len(logs) > 0)
        store.drop_vector("taste-1")
        wait_for(lambda: running.ready)
    running.close()
    assert logs[0]["event"] == "item embeddings not written"
    assert store.read_vectors("taste-1", ITEMS.ids[:80])[1].all()


def test_another_dimension_under_the_same_version_is_refused(store: VectorStore) -> None:
    index(store, "1", towers(1)).fill()
    with pytest.raises(StoreError, match="taste-1 has 8 dimensions"):
        index(store, "1", towers(1, embedding=4)).fill()
