"""Extra vectors of the embedded store: crashes, and search graphs that are built beside it."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoders.types import Modality
from engine.core.errors import InvalidQueryError, StoreError
from engine.core.types import ItemId
from engine.store import edge, edge_shard, optimizer
from engine.store.base import Point, VectorQuery
from engine.store.edge import EdgeStore
from engine.store.edge_build import Build
from engine.store.edge_shard import Shard, ShardHits
from tests.store.implementations import assert_same_points, everything, open_edge, points, unit_vectors
from tests.store.vector_writer import ITEMS, WIDTH, matrix

ROOT = Path(__file__).parents[2]
LEARNED = "taste-1"


def ids(*numbers: int) -> list[ItemId]:
    return [ItemId(f"item {number}") for number in numbers]


def small_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> EdgeStore:
    """A store that optimizes though it is small."""
    monkeypatch.setattr(edge, "GRAPH_FROM_BYTES", 0)
    store = open_edge(folder)
    assert isinstance(store, EdgeStore)
    return store


def test_what_was_acknowledged_is_there_after_kill_9(tmp_path: Path) -> None:
    first = 0
    for batches in (1, 12):
        command = [sys.executable, "-m", "tests.store.vector_writer", str(tmp_path), str(first)]
        writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        lines = [writer.stdout.readline().strip() for _ in range(batches)]
        writer.send_signal(signal.SIGKILL)
        acknowledged = int((lines + writer.communicate()[0].split())[-1])
        assert writer.returncode == -signal.SIGKILL
        store = open_edge(tmp_path)
        read, present = store.read_vectors(LEARNED, ITEMS)
        assert present.all()
        either = np.stack([matrix(acknowledged), matrix(acknowledged + 1)])
        assert (np.abs(either - read).max(axis=2) < 1e-6).any(axis=0).all()
        for row in (0, 39):
            assert store.query([VectorQuery(read[row], LEARNED, 1)])[0].ids == (ITEMS[row],)
        mine = {name for name in store.vectors if name != LEARNED}
        assert mine & {f"taste-of{acknowledged}", f"taste-of{acknowledged + 1}"}
        assert len(mine) <= 2
        assert store.count() == len(ITEMS)
        store.close()
        first = acknowledged + 1


def test_what_an_unfinished_add_or_drop_left_is_removed(tmp_path: Path) -> None:
    store = open_edge(tmp_path)
    assert isinstance(store, EdgeStore)
    store.upsert(points(5))
    store._describe(strays=(LEARNED,))
    store._shard.add_vector(LEARNED, WIDTH)
    key = store._directory.entries[ids(1)[0]].key
    store._shard.set_vectors(LEARNED, [key], [[1.0] * WIDTH])
    store.close()
    store = open_edge(tmp_path)
    assert isinstance(store, EdgeStore)
    assert dict(store.vectors) == {}
    assert store._about.strays == ()
    assert store._shard.records([key])[0][1].keys() <= {name.value for name in Modality}
    store.add_vector(LEARNED, WIDTH + 1)
    assert store.put_vectors(LEARNED, ids(1), unit_vectors(1, 1, WIDTH + 1)) == 1
    store.close()


@pytest.mark.parametrize("done", [1, 2])
@pytest.mark.parametrize("change", ["add taste-1", "drop taste-1", "add audio"])
def test_a_kill_between_its_parts_leaves_a_shard_that_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int, change: str
) -> None:
    """Edge changes one segment after the other, its own description last, and opens only what agrees."""
    monkeypatch.setattr(edge_shard, "GRAPH_FROM_BYTES", 1024)
    store = small_store(tmp_path, monkeypatch)
    written = {one.id: one for one in points(400) if Modality.AUDIO not in one.vectors}
    names = [*written]
    store.upsert([*written.values()][:-3])
    store.optimize()
    store.upsert([*written.values()][-3:])  # into another segment
    what, name = change.split()
    if name == LEARNED:
        store._describe(strays=(name,))
    if what == "drop":
        store.add_vector(name, WIDTH)
        store.put_vectors(name, names, unit_vectors(1, len(names), WIDTH))
    shard = tmp_path / store._about.shard
    parts = [*shard.glob("segments/*/segment.json"), shard / "edge_config.json"]
    before = {path: path.read_bytes() for path in parts}
    if what == "drop":
        store.drop_vector(name)
        store._describe(strays=(name,))
    else:
        store._shard.add_vector(name, WIDTH if name == LEARNED else store.dimension)
    store.close()
    assert len(parts) == 3
    for path in parts[done:]:
        assert path.read_bytes() != before[path]
        path.write_bytes(before[path])
    with pytest.raises(StoreError, match="Incompatible"):
        Shard(shard)
    store = open_edge(tmp_path)
    assert_same_points(everything(store), written)
    store.add_vector(LEARNED, WIDTH)
    assert not store.read_vectors(LEARNED, names)[1].any(), "what was dropped has come back"
    store.upsert(points(400))
    assert store.count() == 400
    store.close()


def test_an_add_that_failed_can_be_done_again_as_another_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_edge(tmp_path)
    add = Shard.add_vector

    def add_and_fail(self: Shard, name: str, dimension: int) -> None:
        add(self, name, dimension)
        raise StoreError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(Shard, "add_vector", add_and_fail)
        with pytest.raises(StoreError, match="disk full"):
            store.add_vector(LEARNED, WIDTH)
    assert dict(store.vectors) == {}
    store.add_vector(LEARNED, WIDTH + 1)
    assert dict(store.vectors) == {LEARNED: WIDTH + 1}
    store.close()


def test_a_collection_from_before_there_were_any_opens(tmp_path: Path) -> None:
    store = open_edge(tmp_path)
    store.upsert(points(5))
    store.close()
    path = tmp_path / "store.json"
    about = json.loads(path.read_text())
    del about["extra"], about["strays"]
    path.write_text(json.dumps(about))
    store = open_edge(tmp_path)
    assert dict(store.vectors) == {}
    assert store.count() == 5
    store.close()


def test_rows_are_made_again_beside_them(tmp_path: Path) -> None:
    written = {one.id: one for one in points(9)}
    store = open_edge(tmp_path)
    store.upsert(list(written.values()))
    store.add_vector(LEARNED, WIDTH)
    store.put_vectors(LEARNED, ids(1, 2), unit_vectors(1, 2, WIDTH))
    store.close()
    (tmp_path / "rows" / "image.f32").unlink()
    store = open_edge(tmp_path)
    assert_same_points(everything(store), written)
    assert store.read_vectors(LEARNED, ids(1, 2, 3))[1].tolist() == [True, True, False]
    store.close()


def test_optimize_builds_graphs_over_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the taste vectors alone make a segment large enough, which is then indexed whole. And a put counts as
    written still when the program runs again.
    """
    count, width = 800, 64
    for module in (edge, edge_shard):
        monkeypatch.setattr(module, "GRAPH_FROM_BYTES", 64 * 1024)
    folder = tmp_path / "store"
    store = EdgeStore(folder, fingerprint="0" * 32, dimension=4, modalities=[Modality.TEXT], optimize_after=0)
    texts = unit_vectors(1, count, 4)
    store.upsert([Point(ItemId(f"item {row}"), {Modality.TEXT: text}) for row, text in enumerate(texts)])
    store.add_vector(LEARNED, width)
    tastes = unit_vectors(2, count, width)
    assert store.put_vectors(LEARNED, ids(*range(count)), tastes) == count
    store.optimize()
    assert store._shard.indexed_vectors() == 2 * count
    found = store.query([VectorQuery(tastes[row], LEARNED, 1) for row in range(50)])
    assert [hits.ids[0] for hits in found] == ids(*range(50))
    shard = store._about.shard
    store.put_vectors(LEARNED, ids(*range(count)), tastes[::-1])
    store.close()
    store = EdgeStore(folder, fingerprint="0" * 32, dimension=4, modalities=[Modality.TEXT], optimize_after=0)
    store.optimize()
    assert store._about.shard != shard
    assert store._shard.indexed_vectors() == 2 * count
    assert store.query([VectorQuery(tastes[0], LEARNED, 1)])[0].ids == (ItemId(f"item {count - 1}"),)
    store.close()


def test_writes_during_an_optimisation_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = small_store(tmp_path, monkeypatch)
    store.upsert(points(30))
    for name in (LEARNED, "taste-2", "taste-3"):
        store.add_vector(name, WIDTH)
        store.put_vectors(name, ids(*range(20)), unit_vectors(1, 20, WIDTH))
    build = optimizer.Optimizer._build
    fresh = unit_vectors(2, 4, WIDTH)
    wider = unit_vectors(3, 2, WIDTH + 1)

    def build_while_writing(self: optimizer.Optimizer, work: Build, niceness: int) -> None:
        store.put_vectors(LEARNED, ids(3, 4, 25, 26), fresh)
        store.upsert(points(5))
        store.drop_vector("taste-2")
        store.drop_vector("taste-3")
        store.add_vector("taste-3", WIDTH + 1)
        store.put_vectors("taste-3", ids(7, 28), wider)
        store.add_vector("taste-4", 2)
        build(self, work, niceness)

    monkeypatch.setattr(optimizer.Optimizer, "_build", build_while_writing)
    before = store._about.shard
    store.optimize()
    assert store._about.shard != before
    for _ in range(2):
        assert dict(store.vectors) == {LEARNED: WIDTH, "taste-3": WIDTH + 1, "taste-4": 2}
        read, present = store.read_vectors(LEARNED, ids(*range(30)))
        expected = np.concatenate([unit_vectors(1, 20, WIDTH), np.zeros((10, WIDTH), np.float32)])
        expected[[3, 4, 25, 26]] = fresh
        np.testing.assert_allclose(read, expected, atol=1e-6)
        assert present.sum() == 22
        read, present = store.read_vectors("taste-3", ids(*range(30)))
        assert np.flatnonzero(present).tolist() == [7, 28]
        np.testing.assert_allclose(read[[7, 28]], wider, atol=1e-6)
        assert store.query([VectorQuery(wider[0], "taste-3", 9)])[0].ids[0] == ids(7)[0]
        assert not store.read_vectors("taste-4", ids(*range(30)))[1].any()
        assert_same_points(everything(store), {one.id: one for one in points(30)})
        store.close()
        store = small_store(tmp_path, monkeypatch)
    store.close()


def test_a_vector_that_goes_while_it_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_edge(tmp_path)
    store.upsert(points(5))
    store.add_vector(LEARNED, WIDTH)
    search = Shard.search

    def drop_and_search(self: Shard, queries: Sequence[VectorQuery], *how: Any) -> list[ShardHits]:
        store.drop_vector(LEARNED)
        return search(self, queries, *how)

    monkeypatch.setattr(Shard, "search", drop_and_search)
    with pytest.raises(InvalidQueryError, match="vector taste-1 is not in this store"):
        store.query([VectorQuery(unit_vectors(1, 1, WIDTH)[0], LEARNED, 1)])
    store.close()
