"""What only the embedded store has: crashes, locks, rows, and search graphs built beside it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from encoders.types import Floats, Modality
from engine.core.errors import StoreError, StoreInUseError
from engine.core.types import ItemId
from engine.store import edge, edge_read, optimizer
from engine.store.base import Point, VectorQuery
from engine.store.edge import EdgeStore
from engine.store.edge_build import Build
from engine.store.quantization import CANDIDATES, Search
from tests.store.implementations import (
    DIMENSION,
    MODALITIES,
    assert_same_point,
    assert_same_points,
    everything,
    open_edge,
    point,
    points,
    unit_vectors,
)
from tests.store.writer import ITEMS, version

ROOT = Path(__file__).parents[2]


def start_writer(folder: Path, first: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.store.writer", str(folder), str(first)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_what_was_acknowledged_is_there_after_kill_9(tmp_path: Path) -> None:
    first = 0
    for batches in (1, 9, 16):
        writer = start_writer(tmp_path, first)
        assert writer.stdout is not None
        lines = [writer.stdout.readline().strip() for _ in range(batches + 1)]
        writer.send_signal(signal.SIGKILL)
        rest = writer.communicate()[0].split()
        assert writer.returncode == -signal.SIGKILL
        acknowledged = int((lines + rest)[-1])
        store = open_edge(tmp_path)
        found = everything(store)
        for item in range(ITEMS):
            one = found.get(ItemId(f"item {item}"))
            number = one.payload["version"] if one else None
            if one is None:
                assert item in (acknowledged % ITEMS, (acknowledged + 1) % ITEMS)
                continue
            assert isinstance(number, int)
            assert number in (acknowledged, acknowledged + 1)
            assert_same_point(one, version(item, number))
            nearest = store.query([VectorQuery(one.vectors[Modality.AUDIO], Modality.AUDIO, 1)])[0]
            assert nearest.ids == (one.id,)
        assert store.count() == len(found) >= ITEMS - 2
        store.close()
        first = acknowledged + 1


def test_one_process_at_a_time(tmp_path: Path) -> None:
    writer = start_writer(tmp_path, 0)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "open\n"
    try:
        with pytest.raises(
            StoreInUseError, match=f"in use by process {writer.pid} .*: stop that process, or ask its server"
        ) as caught:
            open_edge(tmp_path)
        assert caught.value.status == "FAILED_PRECONDITION"
    finally:
        writer.kill()
        writer.communicate()
    store = open_edge(tmp_path)
    with pytest.raises(StoreInUseError, match=f"process {os.getpid()} "):
        open_edge(tmp_path)
    store.close()
    open_edge(tmp_path).close()


def test_two_collections_can_be_open_at_once(tmp_path: Path) -> None:
    stores = [open_edge(tmp_path / name) for name in "ab"]
    for store in stores:
        store.close()


@pytest.mark.parametrize("damage", ["power cut", "lost file", "cut off"])
def test_rows_that_cannot_be_trusted_are_made_again(tmp_path: Path, damage: str) -> None:
    written = {one.id: one for one in points(30)}
    store = open_edge(tmp_path)
    store.index_words(["title"])
    store.add_vector("taste-1", 3)
    store.upsert(list(written.values()))
    store.close()
    if damage == "lost file":
        (tmp_path / "rows" / "image.f32").unlink()
    elif damage == "cut off":
        os.truncate(tmp_path / "rows" / "image.f32", 4 * DIMENSION)
    else:
        rows = tmp_path / "rows" / "image.f32"
        rows.write_bytes(bytes(rows.stat().st_size))
        (tmp_path / "rows" / "unsynced").write_text("another boot")
    store = open_edge(tmp_path)
    assert_same_points(everything(store), written)
    assert not (tmp_path / "rows" / "unsynced").exists()
    store.close()


def test_a_foreign_description_is_refused(tmp_path: Path) -> None:
    open_edge(tmp_path).close()
    text = (tmp_path / "store.json").read_text()
    (tmp_path / "store.json").write_text(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(StoreError, match="was written by another version: index the catalogue again"):
        open_edge(tmp_path)
    (tmp_path / "store.json").write_text("{")
    with pytest.raises(StoreError, match=r"store\.json cannot be read"):
        open_edge(tmp_path)
    (tmp_path / "store.json").write_text(text)
    open_edge(tmp_path).close()


def small_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> EdgeStore:
    """A store that optimizes though it is small."""
    monkeypatch.setattr(edge, "GRAPH_FROM_BYTES", 0)
    store = open_edge(folder)
    assert isinstance(store, EdgeStore)
    return store


def test_writes_during_an_optimisation_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = small_store(tmp_path, monkeypatch)
    store.upsert(points(30))
    build = optimizer.Optimizer._build
    changed = point("item 3", 99, [Modality.TEXT], {"colour": "new"})

    def build_while_writing(self: optimizer.Optimizer, work: Build, niceness: int) -> None:
        store.upsert([changed, point("added", 5), point("gone", 6)])
        store.delete([ItemId("item 4"), ItemId("gone")])
        store.index_fields({"colour": edge_keyword})
        build(self, work, niceness)

    from engine.core.filters import FieldKind, Match

    edge_keyword = FieldKind.KEYWORD
    monkeypatch.setattr(optimizer.Optimizer, "_build", build_while_writing)
    before = next(tmp_path.glob("shard-*"))
    store.optimize()
    after = list(tmp_path.glob("shard-*"))
    assert len(after) == 1
    assert after[0] != before
    expected = {one.id: one for one in [*points(30), changed, point("added", 5)]}
    del expected[ItemId("item 4")]
    for _ in range(2):
        assert_same_points(everything(store), expected)
        assert store.count(Match("colour", "new")) == 1
        hits = store.query([VectorQuery(changed.vectors[Modality.TEXT], Modality.TEXT, 1)])[0]
        assert hits.ids == ("item 3",)
        store.close()
        store = small_store(tmp_path, monkeypatch)
    store.close()


def test_a_failed_optimisation_leaves_the_store_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "fails.py"
    program.write_text("raise SystemExit('out of luck')")
    store = small_store(tmp_path / "store", monkeypatch)
    store.upsert(points(10))
    monkeypatch.setattr(optimizer, "_PROGRAM", program)
    with pytest.raises(StoreError, match="failed with code 1: out of luck"):
        store.optimize()
    assert len(list((tmp_path / "store").glob("shard-*"))) == 1
    assert store.count() == 10
    monkeypatch.undo()
    store.optimize()
    store.close()


def hard_vectors(seed: int, count: int, intrinsic: int = 48, dimension: int = 384) -> Floats:
    """Unit vectors on a bent surface of 48 dimensions, with noise: no easy clusters."""
    fixed, drawn = np.random.default_rng(7), np.random.default_rng(seed)
    flat, bent = fixed.standard_normal((2, intrinsic, dimension)) / np.sqrt(intrinsic)
    inner = drawn.standard_normal((count, intrinsic))
    vectors = inner @ flat + np.tanh(inner @ bent) + 0.02 * drawn.standard_normal((count, dimension))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


HARD = 12_000


@pytest.fixture(scope="module")
def hard_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeStore]:
    """12,000 hard texts with a search graph; readers go on while it is built."""
    folder = tmp_path_factory.mktemp("hard")
    store = EdgeStore(folder, fingerprint="0" * 32, dimension=384, modalities=[Modality.TEXT], optimize_after=0)
    texts = hard_vectors(1, HARD)
    store.upsert([Point(ItemId(f"item {row}"), {Modality.TEXT: text}) for row, text in enumerate(texts)])
    building = threading.Thread(target=store.optimize)
    building.start()
    answers = 0
    while building.is_alive():
        hits = store.query([VectorQuery(texts[5], Modality.TEXT, 1)])[0]
        assert hits.ids == ("item 5",)
        answers += 1
        building.join(0.05)
    assert answers > 10
    assert store._shard.indexed_vectors() == HARD
    yield store
    store.close()


def recall_at_10(store: EdgeStore, width: Search | None = None) -> float:
    texts, queries = hard_vectors(1, HARD), hard_vectors(2, 200)
    best = np.argpartition(-(queries @ texts.T), 10, axis=1)[:, :10]
    found = store.query([VectorQuery(query, Modality.TEXT, 10, width=width) for query in queries])
    shares = [len({f"item {row}" for row in rows} & {*hits.ids}) / 10 for rows, hits in zip(best, found, strict=True)]
    return float(np.mean(shares))


def test_recall_at_the_default_setting_on_hard_data(hard_store: EdgeStore) -> None:
    assert recall_at_10(hard_store) >= 0.95


def test_the_graph_is_what_answers_as_widely_as_it_is_asked(hard_store: EdgeStore) -> None:
    """A narrow search of the graph misses neighbours; comparing all of them would not."""
    assert 0.2 < recall_at_10(hard_store, Search(10)) < 0.95 <= recall_at_10(hard_store, CANDIDATES)


def test_an_optimisation_starts_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "GRAPH_FROM_BYTES", 0)
    store = EdgeStore(tmp_path, fingerprint="0" * 32, dimension=DIMENSION, modalities=MODALITIES, optimize_after=20)
    store.upsert(points(19))
    assert store._optimizer._thread is None
    store.upsert(points(25)[19:])
    building = store._optimizer._thread
    assert building is not None
    building.join(60)
    assert [path.name for path in tmp_path.glob("shard-*")] != ["shard-0"]
    assert_same_points(everything(store), {one.id: one for one in points(25)})
    store.close()


def test_an_unfinished_optimisation_is_dropped_at_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "slow.py"
    program.write_text("import time; time.sleep(600)")
    monkeypatch.setattr(optimizer, "_PROGRAM", program)
    store = small_store(tmp_path / "store", monkeypatch)
    store.upsert(points(10))
    errors: list[StoreError] = []

    def build() -> None:
        try:
            store.optimize()
        except StoreError as error:
            errors.append(error)

    building = threading.Thread(target=build)
    building.start()
    while len(list((tmp_path / "store").glob("shard-*"))) < 2:
        time.sleep(0.01)
    store.close()
    building.join(60)
    assert len(errors) == 1
    store = small_store(tmp_path / "store", monkeypatch)
    assert store.count() == 10
    assert [path.name for path in (tmp_path / "store").glob("shard-*")] == ["shard-0"]
    store.close()


def test_rows_are_used_again_only_after_a_rest(tmp_path: Path) -> None:
    from engine.store.rows import VectorRows

    vectors = unit_vectors(0, 3)
    column = {Modality.TEXT: (np.arange(3), vectors)}
    for rest, again in ((0.0, True), (100.0, False)):
        rows = VectorRows(tmp_path / str(rest), DIMENSION, MODALITIES, rest)
        first = rows.write(3, column)
        rows.release(first[:2])
        assert set(rows.write(3, column)).isdisjoint(first)
        rows.sync()
        assert rows.synced() is again
        assert (set(rows.write(3, column)) >= set(first[:2])) is again
        kept, present = rows.read(np.array(first[2:]))
        np.testing.assert_array_equal(kept[Modality.TEXT], vectors[2:])
        assert not present[Modality.IMAGE].any()
        rows.close()


def test_rows_come_again_while_nobody_flushes(tmp_path: Path) -> None:
    """A server that writes the same items for months neither flushes nor optimizes a small store."""
    store = open_edge(tmp_path)
    store._rows._rest_seconds = 0.0
    changing = points(256)
    for _ in range(40):
        store.upsert(changing)
    assert (tmp_path / "rows" / "present.u8").stat().st_size <= 4096
    assert len(store._rows._released) < 4096
    assert_same_points(everything(store), {one.id: one for one in changing})
    for _ in range(10):
        store.delete([one.id for one in changing])
        store.upsert(changing)
    assert (tmp_path / "rows" / "present.u8").stat().st_size <= 4096
    store.close()


def test_a_store_too_small_for_a_graph_is_looked_at_now_and_then() -> None:
    """Not at every write once enough was written."""
    looks: list[None] = []
    watched = optimizer.Optimizer(10, threading.RLock(), lambda unbuilt: looks.append(None), lambda build, ids: None)
    for number in range(100):
        watched.wrote([ItemId(str(number))])
        watched.start_if_due(5)
        if watched._thread is not None:
            watched._thread.join()
    assert len(looks) == 10


def test_payloads_in_memory_are_bounded_by_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_read, "_CACHED_BYTES", 200_000)
    store = open_edge(tmp_path)
    store.upsert([point(f"item {row}", row, payload={"text": "x" * 10_000}) for row in range(60)])
    store.upsert([point("large", 99, payload={"text": "x" * 100_000})])
    names = [ItemId(f"item {row}") for row in range(60)]
    assert [one.payload["text"] for one in store.retrieve(names) if one] == ["x" * 10_000] * 60
    assert store.retrieve([ItemId("large")])[0].payload["text"] == "x" * 100_000  # type: ignore[union-attr]
    held = store._reader._cache._held
    assert 0 < sum(len(str(payload)) for _, payload in held.values()) <= 200_000
    assert "large" not in held
    store.close()


def test_payloads_that_are_read_once_are_not_kept(tmp_path: Path) -> None:
    store = open_edge(tmp_path)
    store.upsert(points(20))
    names = [one.id for one in points(20)]
    assert all(store.retrieve(names, once=True))
    assert len(store.scroll(limit=20).points) == 20
    assert store._reader._cache._held == {}
    assert all(store.retrieve(names))
    assert set(store._reader._cache._held) == set(names)
    store.close()


def test_a_row_used_again_shows_nothing_of_its_last_owner(tmp_path: Path) -> None:
    from engine.store.rows import VectorRows

    rows = VectorRows(tmp_path, DIMENSION, MODALITIES, 0.0)
    vectors = unit_vectors(0, 2)
    first = rows.write(1, {name: (np.arange(1), vectors[:1]) for name in MODALITIES})
    rows.release(first)
    rows.synced()
    assert rows.write(1, {Modality.AUDIO: (np.arange(1), vectors[1:])}) == first
    read, present = rows.read(np.array(first))
    assert [bool(present[name][0]) for name in MODALITIES] == [False, False, True]
    np.testing.assert_array_equal(read[Modality.IMAGE], np.zeros((1, DIMENSION)))
    np.testing.assert_array_equal(read[Modality.AUDIO], vectors[1:])
    rows.close()


def test_columns_grow_and_take_no_space_for_what_is_not_there(tmp_path: Path) -> None:
    store = open_edge(tmp_path)
    texts = unit_vectors(1, 3_000)
    for start in range(0, 3_000, 500):
        store.upsert([Point(ItemId(f"item {row}"), {Modality.TEXT: texts[row]}) for row in range(start, start + 500)])
    found = store.candidates([ItemId(f"item {row}") for row in range(3_000)], with_payload=False)
    np.testing.assert_allclose(found.vectors[Modality.TEXT], texts, atol=1e-6)
    assert (tmp_path / "rows" / "audio.f32").stat().st_blocks == 0
    store.close()


def full_disk(**changes: object) -> None:
    raise OSError("disk full")


def test_an_optimized_copy_that_cannot_be_adopted_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = small_store(tmp_path, monkeypatch)
    store.upsert(points(10))
    with monkeypatch.context() as broken:
        broken.setattr(store._builds, "_describe", full_disk)
        with pytest.raises(StoreError, match="cannot be built: disk full: make room on the disk"):
            store.optimize()
    assert [path.name for path in tmp_path.glob("shard-*")] == ["shard-0"]
    store.upsert([point("after", 1)])
    store.close()
    store = small_store(tmp_path, monkeypatch)
    assert_same_points(everything(store), {one.id: one for one in [*points(10), point("after", 1)]})
    store.close()
