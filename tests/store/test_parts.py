"""Items with several parts of a modality, on all stores."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import grpc as wire

from encoders.errors import VectorError
from encoders.types import Floats, Modality
from engine.core.filters import FieldKind, Match
from engine.core.types import Candidates, ItemId
from engine.store import edge, edge_shard, server_wire
from engine.store.base import Point, VectorQuery, VectorStore
from engine.store.edge import EdgeStore
from engine.store.edge_shard import Shard
from engine.store.parts import parts_name
from engine.store.quantization import Quantization
from tests.store.implementations import (
    DIMENSION,
    assert_same_point,
    everything,
    open_memory,
    open_store,
    unit_vectors,
)

pytestmark = pytest.mark.filterwarnings("ignore:Local mode", "ignore:Payload indexes have no effect")
T, I = Modality.TEXT, Modality.IMAGE  # noqa: E741


def item(name: str, seed: int, texts: int, images: int, **payload: object) -> Point:
    """A point of so many texts and pictures."""
    vectors = unit_vectors(seed, texts + images)
    given = {T: vectors[:texts], I: vectors[texts:]}
    return Point(
        ItemId(name),
        {m: rows[0] for m, rows in given.items() if len(rows)},
        payload,  # type: ignore[arg-type]
        {m: rows[1:] for m, rows in given.items() if len(rows) > 1},
    )


def catalogue(count: int = 40) -> list[Point]:
    """Items of none to five parts of two modalities."""
    return [item(f"item {n}", n, n % 3, 1 + n % 5 if n % 7 else 0 if n % 3 else 2, stock=n) for n in range(count)]


def nearest(points: Sequence[Point], modality: Modality, vector: Floats) -> dict[ItemId, float]:
    """By item the cosine of its nearest part: one after the other."""
    return {
        one.id: max(float(part @ vector) for part in one.parts(modality)) for one in points if modality in one.vectors
    }


def assert_nearest(store: VectorStore, points: Sequence[Point]) -> None:
    for modality in (T, I):
        for vector in unit_vectors(99, 5):
            wanted = nearest(points, modality, vector)
            (hits,) = store.query([VectorQuery(vector, modality, 10)])
            assert len(set(hits.ids)) == len(hits.ids) == min(10, len(wanted))
            np.testing.assert_allclose(hits.scores, sorted(wanted.values(), reverse=True)[:10], atol=1e-5)
            np.testing.assert_allclose(hits.scores, [wanted[name] for name in hits.ids], atol=1e-5)


def assert_parts(found: Candidates, points: Sequence[Point]) -> None:
    """That candidates are these points, with all of their parts."""
    assert found.ids == tuple(point.id for point in points)
    for row, point in enumerate(points):
        for modality in (T, I):
            own = found.vectors[modality][row][None][: int(found.present[modality][row])]
            if found.parts is not None:
                mine = (found.parts.owners == row) & found.parts.present[modality]
                own = np.concatenate([own, found.parts.vectors[modality][mine]])
            wanted = point.parts(modality)
            np.testing.assert_allclose(own, wanted.reshape(-1, DIMENSION), atol=1e-6)


def test_all_parts_are_written_read_and_searched(store: VectorStore) -> None:
    written = catalogue()
    store.upsert(written)
    assert store.count() == len(written)
    for one, back in zip(written, store.retrieve([one.id for one in written]), strict=True):
        assert_same_point(one, back)
    for _ in range(2):  # the second time, what is kept in memory
        assert_parts(store.candidates([one.id for one in written]), written)
    assert_nearest(store, written)
    found = everything(store, limit=7)
    assert len(found) == len(written)
    for one in written:
        assert_same_point(one, found[one.id])


def test_candidates_are_taken_with_their_parts(store: VectorStore) -> None:
    written = catalogue()
    store.upsert(written)
    found = store.candidates([one.id for one in written])
    for rows in ([5, 3, 39, 0], [9], [], [1, 1, 2]):
        assert_parts(found.take(rows), [written[row] for row in rows])


def test_without_further_parts_candidates_have_none(store: VectorStore) -> None:
    store.upsert([item("a", 1, 1, 1), item("b", 2, 0, 1)])
    assert store.candidates([ItemId("a"), ItemId("b")]).parts is None


def test_parts_are_replaced_as_one_and_go_with_the_item(store: VectorStore) -> None:
    store.upsert([item("a", 1, 2, 5), item("b", 2, 1, 2)])
    five = store.candidates([ItemId("a")])
    assert five.parts is not None and five.parts.present[I].sum() == 4
    for fewer in (item("a", 3, 1, 3), item("a", 4, 0, 1), item("a", 5, 3, 2)):
        store.upsert([fewer])
        assert_parts(store.candidates([ItemId("a")]), [fewer])
        assert_nearest(store, [fewer, item("b", 2, 1, 2)])
        assert store.count() == 2
    assert store.delete([ItemId("a")]) == 1
    assert_nearest(store, [item("b", 2, 1, 2)])
    assert store.retrieve([ItemId("a")]) == [None]


def test_filters_exclusions_and_choices_hold_for_all_parts(store: VectorStore) -> None:
    written = catalogue()
    store.index_fields({"stock": FieldKind.INTEGER})
    store.upsert(written)
    vector, names = written[4].parts(I)[2], [one.id for one in written]
    only = VectorQuery(vector, I, 50, Match("stock", 4))
    without = VectorQuery(vector, I, 50, exclude=(names[4],))
    among = VectorQuery(vector, I, 50, among=(names[4], names[8]))
    first, second, third = store.query([only, without, among])
    assert first.ids == (names[4],)
    assert first.scores[0] == pytest.approx(1, abs=1e-5)
    assert names[4] not in second.ids
    assert set(third.ids) == {names[4], names[8]}


def test_parts_survive_reopening_and_a_lost_column(tmp_path: Path) -> None:
    written = catalogue()
    first = open_store("edge", tmp_path)
    first.upsert(written)
    first.close()
    for lost in (False, True):
        if lost:  # as after a power cut
            (tmp_path / "edge" / "rows" / "image.f32").unlink()
        again = open_store("edge", tmp_path)
        assert_parts(again.candidates([one.id for one in written]), written)
        assert_nearest(again, written)
        again.close()


def test_a_collection_from_before_opens_and_takes_parts(tmp_path: Path) -> None:
    """One whose description knows nothing of parts; and one that was killed while it got its first ones."""
    alone, folder = [item("a", 1, 1, 1), item("b", 2, 1, 0)], tmp_path / "edge"
    first = open_store("edge", tmp_path)
    first.upsert(alone)
    first.close()
    about = json.loads((folder / "store.json").read_text())
    assert about.pop("parts") == []
    (folder / "store.json").write_text(json.dumps(about))
    shard = Shard(folder / about["shard"])
    shard.add_parts(parts_name(I), DIMENSION)  # and no description of it
    shard.close()
    again = open_store("edge", tmp_path)
    assert_nearest(again, alone)
    several = [item("a", 3, 2, 4), item("c", 4, 1, 2)]
    again.upsert(several)
    assert_nearest(again, [*several, alone[1]])
    again.close()
    assert json.loads((folder / "store.json").read_text())["parts"]


@pytest.mark.parametrize("quantization", ["none", "4bit"])
def test_graphs_hold_all_parts(tmp_path: Path, quantization: Quantization, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (edge, edge_shard):
        monkeypatch.setattr(module, "GRAPH_FROM_BYTES", 8 * 1024)
    store = EdgeStore(
        tmp_path,
        fingerprint="0" * 32,
        dimension=DIMENSION,
        modalities=[T, I],
        quantization=quantization,
        optimize_after=0,
    )
    written = catalogue(600)
    store.upsert(written[:500])
    store.optimize()
    assert store._shard.indexed_vectors() > 800
    store.upsert(written[500:])
    store.delete([written[3].id])
    store.optimize()
    there = [one for one in written if one.id != written[3].id]
    assert_parts(store.candidates([one.id for one in there]), there)
    oracle = open_memory()
    oracle.upsert(there)
    queries = [VectorQuery(vector, I, 10) for vector in unit_vectors(5, 20)]
    shares = [
        len({*found.ids} & {*right.ids}) / 10
        for found, right in zip(store.query(queries), oracle.query(queries), strict=True)
    ]
    assert np.mean(shares) > 0.9
    store.close()
    again = EdgeStore(tmp_path, fingerprint="0" * 32, dimension=DIMENSION, modalities=[T, I], quantization="int8")
    again.optimize()  # all points are written again, into another shard
    assert_parts(again.candidates([one.id for one in there]), there)
    (hits,) = again.query([VectorQuery(there[3].parts(I)[2], I, 1)])
    assert hits.ids == (there[3].id,)
    again.close()


def test_snapshots_hold_all_parts(store: VectorStore, tmp_path: Path) -> None:
    written = catalogue()
    store.upsert(written)
    store.snapshot(tmp_path / "all.parquet")
    other = open_memory()
    other.restore(tmp_path / "all.parquet")
    assert_nearest(other, written)
    other.snapshot(tmp_path / "again.parquet")
    store.upsert([item("item 4", 77, 1, 1), item("new", 78, 3, 3)])
    store.restore(tmp_path / "again.parquet")
    assert_nearest(store, written)
    assert_parts(store.candidates([one.id for one in written]), written)


@pytest.mark.parametrize(
    "more",
    [
        {I: np.ones((2, DIMENSION + 1), np.float32)},
        {I: np.zeros((1, DIMENSION), np.float32)},
        {I: np.ones(DIMENSION, np.float32)},
        {I: np.full((1, DIMENSION), np.nan, np.float32)},
        {T: np.ones((1, DIMENSION), np.float32)},
    ],
    ids=["dimension", "zeros", "no rows", "nan", "no first part"],
)
def test_bad_parts_are_refused(store: VectorStore, more: dict[Modality, Floats]) -> None:
    good = item("a", 1, 0, 1)
    with pytest.raises(VectorError, match="'b'"):
        store.upsert([good, Point(ItemId("b"), good.vectors, {}, more)])
    assert store.count() == 0


def test_parts_come_over_grpc_as_they_were_sent() -> None:
    """On the wire a multivector is a list of blocks of float32."""
    rows = unit_vectors(3, 4)
    several = wire.MultiDenseVector(vectors=[wire.DenseVector(data=row.tolist()) for row in rows])
    named = {
        "image": wire.VectorOutput(dense=wire.DenseVector(data=rows[0].tolist())),
        parts_name(I): wire.VectorOutput(multi_dense=several),
    }
    vectors = wire.VectorsOutput(vectors=wire.NamedVectorsOutput(vectors=named))
    sent = wire.GetResponse(result=[wire.RetrievedPoint(vectors=vectors), wire.RetrievedPoint()])
    points = server_wire._message("qdrant.GetResponse").FromString(sent.SerializeToString()).result
    (owners, matrix) = server_wire._columns(points, ["image", "text"])["image"]
    assert owners.tolist() == [0]
    np.testing.assert_array_equal(matrix[0], rows[0])
    found = server_wire._several(points, [parts_name(I), parts_name(T)])
    assert found.keys() == {parts_name(I)}
    np.testing.assert_array_equal(found[parts_name(I)][0], rows)
