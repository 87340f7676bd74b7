"""Quantised vectors, and graphs that are built part by part: the same answers, whatever was there before."""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from encoders.types import Floats, Modality
from engine.core.filters import FieldKind, Filter, Match, Range
from engine.core.types import ItemId
from engine.store import edge, edge_build, edge_shard, optimizer
from engine.store.base import Point, VectorQuery, VectorStore
from engine.store.edge import EdgeStore
from engine.store.edge_build import Build, quarter_of_memory
from engine.store.edge_space import size_of_folder
from engine.store.memory import MemoryStore
from engine.store.quantization import SEARCHES, Quantization, Search
from engine.store.words import WORDS
from tests.store.implementations import (
    DIMENSION,
    FINGERPRINT,
    MODALITIES,
    NO_SERVER,
    QDRANT_API_KEY,
    QDRANT_URL,
    SESSION,
    assert_same_points,
    everything,
    open_edge,
    remove,
    unit_vectors,
    words_asked,
)
from tests.store.test_edge import hard_vectors, start_writer

COUNT, WIDTH, TASTE = 2_000, 64, "taste-1"
KINDS: tuple[Quantization, ...] = ("none", "int8", "4bit")


@pytest.fixture(scope="module", autouse=True)
def small_graphs() -> Iterator[None]:
    """Graphs are built over little already."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (edge, edge_shard):
            patch.setattr(module, "GRAPH_FROM_BYTES", 64 * 1024)
        yield


def open_quantised(folder: Path, quantization: Quantization, build_memory: int = 0) -> EdgeStore:
    return EdgeStore(
        folder,
        fingerprint="0" * 32,
        dimension=WIDTH,
        modalities=[Modality.TEXT, Modality.IMAGE],
        quantization=quantization,
        build_memory=build_memory,
        optimize_after=0,
    )


def hard_points(seed: int = 1, count: int = COUNT) -> list[Point]:
    """Texts that are hard to search, every third with an image."""
    texts, images = hard_vectors(seed, count, dimension=WIDTH), hard_vectors(seed + 100, count, dimension=WIDTH)
    return [
        Point(
            ItemId(f"item {row}"),
            {Modality.TEXT: texts[row], **({Modality.IMAGE: images[row]} if row % 3 == 0 else {})},
            {"colour": ["red", "green", "blue"][row % 3], "stock": row},
        )
        for row in range(count)
    ]


def tastes(seed: int) -> Floats:
    return unit_vectors(seed, COUNT, 16)


def fill(store: VectorStore) -> None:
    store.index_fields({"colour": FieldKind.KEYWORD, "stock": FieldKind.INTEGER})
    store.upsert(hard_points())
    store.add_vector(TASTE, 16)
    store.put_vectors(TASTE, [one.id for one in hard_points()], tastes(3))


def oracle() -> MemoryStore:
    store = MemoryStore(fingerprint="0" * 32, dimension=WIDTH, modalities=[Modality.TEXT, Modality.IMAGE])
    fill(store)
    return store


def recall(store: VectorStore, exact: VectorStore, name: str, filter_: Filter | None = None) -> float:
    """Of the ten nearest, how many are found, over 25 queries."""
    asked = tastes(4)[:25] if name == TASTE else hard_vectors(2, 25, dimension=WIDTH)
    queries = [VectorQuery(vector, name, 10, filter_) for vector in asked]
    pairs = zip(store.query(queries), exact.query(queries), strict=True)
    return float(np.mean([len({*found.ids} & {*true.ids}) / len(true.ids) for found, true in pairs]))


def assert_finds(store: VectorStore, exact: VectorStore) -> None:
    few, half = Match("colour", "red"), Range("stock", lt=COUNT / 2)
    for name in (Modality.TEXT, Modality.IMAGE, TASTE):
        for filter_ in (None, few, half):
            assert recall(store, exact, name, filter_) >= 0.97, (name, filter_)


def quantised(store: EdgeStore) -> set[str]:
    """How the vectors under the graphs are kept."""
    segments = (store._folder / store._about.shard / "segments").glob("*/segment.json")
    vectors = [one for path in segments for one in json.loads(path.read_text())["config"]["vector_data"].values()]
    return {
        next(iter(one.get("quantization_config") or {"none": None}))
        for one in vectors
        if one["index"]["type"] == "hnsw"
    }


KEPT = {"none": {"none"}, "int8": {"scalar"}, "4bit": {"turbo"}}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that was written before there was quantisation, without search graphs."""
    folder = tmp_path_factory.mktemp("filled")
    store = open_quantised(folder, "none")
    fill(store)
    store.close()
    about = json.loads((folder / "store.json").read_text())
    del about["quantization"]
    (folder / "store.json").write_text(json.dumps(about))
    return folder


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(filled, tmp_path / "store"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_quantised_collection_answers_as_an_exact_one(folder: Path, kind: Quantization) -> None:
    store, exact = open_quantised(folder, kind), oracle()
    told: list[float] = []
    store.optimize(lambda share, stage: told.append(share))
    assert quantised(store) == KEPT[kind]
    assert told == sorted(told)
    assert_finds(store, exact)
    best = store.query([VectorQuery(hard_vectors(2, 1, dimension=WIDTH)[0], Modality.TEXT, 10)])[0]
    true = exact.query([VectorQuery(hard_vectors(2, 1, dimension=WIDTH)[0], Modality.TEXT, 10)])[0]
    np.testing.assert_allclose(best.scores, true.scores, atol=1e-5)  # of the full vectors
    for one in (store, exact):
        one.delete([ItemId(f"item {row}") for row in range(0, COUNT, 5)])
        one.upsert([Point(ItemId(f"item {row}"), {Modality.TEXT: vector}) for row, vector in NEWER.items()])
    for _ in range(2):
        assert_same_points(everything(store, 1000), everything(exact, 1000))
        assert recall(store, exact, Modality.TEXT) >= 0.97
        store.close()
        store = open_quantised(folder, kind)
    store.close()


NEWER: Mapping[int, Floats] = dict(zip(range(1_900, 2_100), hard_vectors(9, 200, dimension=WIDTH), strict=True))


def test_a_collection_is_converted_while_it_is_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time all is written again; what others write meanwhile is there afterwards, however much it is."""
    monkeypatch.setattr(edge_build, "_FEW", 20)
    exact, build = oracle(), optimizer.Optimizer._build
    changes: list[int] = []
    store = open_quantised(folder, "none")
    for one in (store, exact):
        one.index_words(["colour"])
    store.close()
    reds = [VectorQuery(words_asked("red"), WORDS, COUNT)]

    def build_while_writing(self: optimizer.Optimizer, work: Build, niceness: int) -> None:
        changes.append(len(changes))
        points = hard_points(10 + len(changes), 60)
        for one in (store, exact):
            one.upsert(points)
            one.delete([ItemId(f"item {1000 + row}") for row in changes])
            one.drop_vector(TASTE)
            one.add_vector(TASTE, 16)
            one.put_vectors(TASTE, [ItemId(f"item {row}") for row in range(COUNT)], tastes(5 + len(changes)))
        build(self, work, niceness)

    monkeypatch.setattr(optimizer.Optimizer, "_build", build_while_writing)
    for kind in (*KINDS[1:], "none"):
        store = open_quantised(folder, kind)
        store.optimize()
        assert quantised(store) == KEPT[kind]
        for _ in range(2):
            assert_same_points(everything(store, 1000), everything(exact, 1000))
            assert min(recall(store, exact, name) for name in (Modality.TEXT, TASTE)) >= 0.97
            assert {*store.query(reds)[0].ids} == {*exact.query(reds)[0].ids}
            store.close()
            store = open_quantised(folder, kind)
        assert [path.name for path in folder.glob("shard-*")] == [store._about.shard]
        store.close()


def test_more_than_the_budget_is_built_part_by_part(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_build, "_LEAST", 700)
    store, exact, stages = open_quantised(folder, "4bit", build_memory=1), oracle(), list[str]()
    store.optimize(lambda share, stage: stages.append(stage))
    assert "building the search graph of part 3 of 3" in stages
    assert store._shard.indexed_vectors() == COUNT + len(range(0, COUNT, 3)) + COUNT
    assert len(list((folder / store._about.shard / "segments").glob("*/vector_index-text/graph.bin"))) == 3
    assert_finds(store, exact)
    shard = store._about.shard
    store.optimize()
    assert store._about.shard == shard, "nothing was written since"
    store.close()


def test_a_budget_is_kept_to_by_the_size_of_parts(folder: Path) -> None:
    """What Edge merges later is no larger either."""
    store = open_quantised(folder, "4bit")
    each = size_of_folder(folder / store._about.shard) / COUNT
    for parts in (1, 2, 7):
        budget = int(edge_build._FIXED + 1.1 * edge_build._TIMES * each * COUNT / parts)
        store._builds._shape = edge_build.Shape(16, 100, "4bit", budget)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(edge_build, "_LEAST", 1)
            work = store._builds.prepare(COUNT)
        assert work.parts == parts
        assert work.part <= work.segment_kb * 1024 / (4 * WIDTH) < 1.3 * COUNT / parts
        work.remove()
    store.close()


def test_the_budget_is_a_quarter_of_the_memory_unless_set(tmp_path: Path) -> None:
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert quarter_of_memory(tmp_path / "none") == whole // 4
    limit = tmp_path / "memory.max"
    limit.write_text("max\n")
    assert quarter_of_memory(limit) == whole // 4
    limit.write_text("4000000\n")
    assert quarter_of_memory(limit) == 1_000_000


def test_a_quantised_collection_is_there_after_kill_9(tmp_path: Path) -> None:
    from tests.store.writer import ITEMS

    store = EdgeStore(
        tmp_path, fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES, quantization="4bit"
    )
    vectors = unit_vectors(7, 3_000)
    store.upsert([Point(ItemId(f"other {row}"), {Modality.TEXT: vector}) for row, vector in enumerate(vectors)])
    store.optimize()
    assert quantised(store) == {"turbo"}
    store.close()
    writer = start_writer(tmp_path, 0)
    assert writer.stdout is not None
    for _ in range(4):
        writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    again = open_edge(tmp_path)
    assert again.count() >= len(vectors) + ITEMS - 2
    hits = again.query([VectorQuery(vector, Modality.TEXT, 1) for vector in vectors[:50]])
    assert [one.ids[0] for one in hits] == [f"other {row}" for row in range(50)]
    again.close()


@pytest.mark.skipif(not QDRANT_URL, reason=NO_SERVER)
def test_a_server_converts_a_collection_while_it_answers(tmp_path: Path) -> None:
    from qdrant_client import models

    from engine.store.server import ServerStore
    from engine.store.server_client import connect
    from engine.store.server_collection import QUANTIZATIONS

    client, name, exact = connect(QDRANT_URL, api_key=QDRANT_API_KEY), f"{SESSION}quantised", oracle()

    def opened(kind: Quantization) -> ServerStore:
        modalities = [Modality.TEXT, Modality.IMAGE]
        return ServerStore(
            client, name, fingerprint="0" * 32, dimension=WIDTH, modalities=modalities, quantization=kind
        )

    try:
        fill(opened("none"))
        few = models.OptimizersConfigDiff(indexing_threshold=64)
        client.call(lambda qdrant: qdrant.update_collection(name, optimizers_config=few))
        for kind in (*KINDS[1:], "none"):
            store = opened(kind)
            store.optimize()
            about = client.call(lambda qdrant: qdrant.get_collection(name))
            assert type(about.config.quantization_config) is type(QUANTIZATIONS[kind])
            assert about.config.params.vectors["text"].on_disk is (kind != "none")
            assert about.indexed_vectors_count == COUNT + len(range(0, COUNT, 3)) + COUNT
            assert_finds(store, exact)
            assert_same_points(everything(store, 1000), everything(exact, 1000))
    finally:
        remove([name])
        client.close()


def test_large_graphs_are_searched_more_widely() -> None:
    widths = [Search(384, 2.0).over(points) for points in (0, 100_000, 250_000, 500_000, 1_000_000)]
    assert widths == [Search(ef, 2.0) for ef in (384, 384, 384, 432, 480)]
    assert all(search.over(0) is search for search in SEARCHES.values())
