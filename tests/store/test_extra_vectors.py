"""Extra vectors beside those of the space: what every store does with them, on all of them."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from encoders.errors import VectorError
from encoders.types import Floats, Modality
from engine.core.errors import InvalidQueryError, StoreError
from engine.core.filters import AnyOf, Filter, Match, Range
from engine.core.types import ItemId
from engine.store.base import VectorQuery, VectorStore
from engine.store.match import matches
from tests.store.conftest import Pool
from tests.store.implementations import (
    DIMENSION,
    SCHEMA,
    assert_hits_beside_a_writer,
    assert_same_points,
    everything,
    open_memory,
    open_store,
    point,
    points,
    unit_vectors,
)

pytestmark = pytest.mark.filterwarnings("ignore:Local mode", "ignore:Payload indexes have no effect")

WIDTH = 5
LEARNED = "taste-1"


def item(number: int) -> ItemId:
    return ItemId(f"item {number}")


def ids(*numbers: int) -> list[ItemId]:
    return [item(number) for number in numbers]


def rows(seed: int, count: int, width: int = WIDTH) -> Floats:
    """Vectors of any length."""
    return np.random.default_rng(seed).normal(0, 3, (count, width)).astype(np.float32)


def held(store: VectorStore, name: str = LEARNED) -> dict[ItemId, list[float]]:
    """An extra vector of all items that have it, rounded."""
    every = sorted(everything(store))
    matrix, present = store.read_vectors(name, every)
    assert not matrix[~present].any()
    return {one: np.round(matrix[row], 4).tolist() for row, one in enumerate(every) if present[row]}


def expected(ids: list[ItemId], matrix: Floats) -> dict[ItemId, list[float]]:
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    return dict(zip(ids, np.round(unit, 4).tolist(), strict=True))


def close(a: dict[ItemId, list[float]], b: dict[ItemId, list[float]]) -> bool:
    return a.keys() == b.keys() and all(np.allclose(a[one], b[one], atol=2e-4) for one in a)


def test_a_store_has_none_at_first(store: VectorStore) -> None:
    assert dict(store.vectors) == {}


def test_add_and_drop(store: VectorStore) -> None:
    for _ in range(2):
        store.add_vector(LEARNED, WIDTH)
        store.add_vector("taste-2024.01_x", DIMENSION)
    assert dict(store.vectors) == {LEARNED: WIDTH, "taste-2024.01_x": DIMENSION}
    assert store.modalities == tuple(Modality)
    for _ in range(2):
        store.drop_vector(LEARNED)
    assert dict(store.vectors) == {"taste-2024.01_x": DIMENSION}


def test_another_kind_of_the_same_name_is_refused(store: VectorStore) -> None:
    store.add_vector(LEARNED, WIDTH)
    with pytest.raises(StoreError, match="taste-1 has 5 dimensions, not 6: drop it first"):
        store.add_vector(LEARNED, WIDTH + 1)
    assert dict(store.vectors) == {LEARNED: WIDTH}


@pytest.mark.parametrize(
    "name", ["", "text", "taste", "-1", "taste-", "Taste-1", "taste-1/x", "taste-é", "t-" + 65 * "1"]
)
def test_bad_names_are_refused(store: VectorStore, name: str) -> None:
    with pytest.raises(StoreError, match="is no proper name: use a word, a hyphen and a version"):
        store.add_vector(name, WIDTH)


@pytest.mark.parametrize("dimension", [0, -1, 65_537])
def test_bad_dimensions_are_refused(store: VectorStore, dimension: int) -> None:
    with pytest.raises(StoreError, match=f"has dimension {dimension}: give it 1 to 65536"):
        store.add_vector(LEARNED, dimension)


def test_put_leaves_the_points_as_they_are(store: VectorStore) -> None:
    store.upsert(points(20))
    store.index_fields(SCHEMA)
    before = everything(store)
    store.add_vector(LEARNED, WIDTH)
    some = [*ids(3, 7), ItemId("nobody"), *ids(12)]
    matrix = rows(1, 4)
    assert store.put_vectors(LEARNED, some, matrix) == 3
    assert_same_points(everything(store), before)
    assert_same_points({one.id: one for one in store.retrieve(ids(3, 4)) if one}, {n: before[n] for n in ids(3, 4)})
    assert store.candidates(ids(3)).vectors.keys() == set(Modality)
    assert close(held(store), expected(ids(3, 7, 12), matrix[[0, 1, 3]]))
    read, present = store.read_vectors(LEARNED, [item(12), ItemId("nobody"), item(4), item(12)])
    assert (read.shape, read.dtype, present.tolist()) == ((4, WIDTH), np.float32, [True, False, False, True])
    np.testing.assert_array_equal(read[0], read[3])
    assert store.count(Match("colour", "red")) == 7


def test_put_again_replaces_and_the_last_of_doubled_ids_counts(store: VectorStore) -> None:
    store.upsert(points(4))
    store.add_vector(LEARNED, WIDTH)
    store.put_vectors(LEARNED, ids(0, 1), rows(1, 2))
    matrix = rows(2, 3)
    assert store.put_vectors(LEARNED, ids(1, 2, 1), matrix) == 2
    assert close(held(store), expected(ids(0, 2, 1), np.stack([rows(1, 2)[0], matrix[1], matrix[2]])))
    assert store.put_vectors(LEARNED, [], np.zeros((0, WIDTH), np.float32)) == 0
    assert store.put_vectors(LEARNED, [ItemId("nobody")], rows(1, 1)) == 0
    read, present = store.read_vectors(LEARNED, [])
    assert (read.shape, present.shape) == ((0, WIDTH), (0,))


def test_many_are_written_in_parts(store: VectorStore) -> None:
    count = 300
    store.upsert([point(item(number), number, [Modality.TEXT]) for number in range(count)])
    store.add_vector(LEARNED, WIDTH)
    matrix = rows(1, count + 1)
    assert store.put_vectors(LEARNED, [*ids(*range(count)), ItemId("nobody")], matrix) == count
    assert close(held(store), expected(ids(*range(count)), matrix[:count]))


FILTERS: list[Filter | None] = [None, Match("colour", "red"), AnyOf("stock", (3, 4, 9, 10, 44)), Range("price", lt=4)]


def test_search_equals_brute_force(store: VectorStore) -> None:
    count = 60
    written = points(count)
    store.upsert(written)
    store.add_vector(LEARNED, WIDTH)
    owners = [number for number in range(count) if number % 5]
    matrix = rows(3, len(owners))
    store.put_vectors(LEARNED, ids(*owners), matrix)
    vector = rows(4, 1)[0]
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    unit = vector / np.linalg.norm(vector)
    scores = dict(zip(owners, (matrix @ unit).tolist(), strict=True))
    queries = [
        VectorQuery(vector, LEARNED, limit, filter_, tuple(ids(*exclude)))
        for filter_ in FILTERS
        for limit in (1, 7, 1000)
        for exclude in ((), (1, 3, 6, 9))
    ]
    text = VectorQuery(unit_vectors(0, 1)[0], Modality.TEXT, 5, FILTERS[1])
    answers = store.query([text, *queries])
    assert list(answers[0].ids) == list(store.query([text])[0].ids)
    for query, hits in zip(queries, answers[1:], strict=True):
        passing = [
            number
            for number in owners
            if item(number) not in query.exclude
            and (query.filter is None or matches(query.filter, written[number].payload, SCHEMA))
        ]
        best = sorted(passing, key=lambda number: -scores[number])[: query.limit]
        assert list(hits.ids) == ids(*best)
        np.testing.assert_allclose(hits.scores, [scores[number] for number in best], rtol=1e-4, atol=1e-4)


def test_several_versions_side_by_side(store: VectorStore) -> None:
    store.upsert(points(9))
    store.add_vector(LEARNED, WIDTH)
    store.put_vectors(LEARNED, ids(0, 1), rows(1, 2))
    store.add_vector("taste-2", 3)
    store.put_vectors("taste-2", ids(1, 2), rows(2, 2, 3))
    answers = store.query([VectorQuery(rows(5, 1)[0], LEARNED, 9), VectorQuery(rows(5, 1, 3)[0], "taste-2", 9)])
    assert [set(hits.ids) for hits in answers] == [set(ids(0, 1)), set(ids(1, 2))]
    store.drop_vector(LEARNED)
    assert close(held(store, "taste-2"), expected(ids(1, 2), rows(2, 2, 3)))
    assert store.count() == 9


def test_upsert_keeps_them_and_delete_takes_them(store: VectorStore) -> None:
    store.upsert(points(9))
    store.add_vector(LEARNED, WIDTH)
    store.add_vector("taste-2", 3)
    store.put_vectors(LEARNED, ids(1, 2, 3), rows(1, 3))
    store.put_vectors("taste-2", ids(3), rows(2, 1, 3))
    changed = point(item(3), 99, [Modality.AUDIO], {"price": 7.5})
    store.upsert([changed, point(item(2), 98), point("new", 97)])
    before = everything(store)
    assert before[item(3)].payload == {"price": 7.5}
    assert before[item(3)].vectors.keys() == {Modality.AUDIO}
    assert close(held(store), expected(ids(1, 2, 3), rows(1, 3)))
    assert close(held(store, "taste-2"), expected(ids(3), rows(2, 1, 3)))
    hits = store.query([VectorQuery(rows(1, 3)[2], LEARNED, 1, Range("price", gte=7, lt=8))])[0]
    assert hits.ids == (item(3),)
    store.delete(ids(3))
    assert close(held(store), expected(ids(1, 2), rows(1, 3)[:2]))
    store.upsert([changed])
    assert not store.read_vectors(LEARNED, ids(3))[1].any()


def test_a_name_can_come_again_as_another_kind(store: VectorStore) -> None:
    store.upsert(points(5))
    store.add_vector(LEARNED, WIDTH)
    store.put_vectors(LEARNED, ids(1, 2), rows(1, 2))
    store.drop_vector(LEARNED)
    store.upsert(points(5))
    store.add_vector(LEARNED, 3)
    assert held(store) == {}
    assert store.put_vectors(LEARNED, ids(4), rows(1, 1, 3)) == 1
    assert store.query([VectorQuery(rows(1, 1, 3)[0], LEARNED, 5)])[0].ids == (item(4),)


def test_what_is_not_there_says_so(store: VectorStore) -> None:
    store.upsert(points(3))
    vector = rows(1, 1)
    for ask in (
        lambda: store.put_vectors(LEARNED, ids(1), vector),
        lambda: store.read_vectors(LEARNED, ids(1)),
        lambda: store.query([VectorQuery(vector[0], LEARNED, 1)]),
    ):
        with pytest.raises(InvalidQueryError, match="vector taste-1 is not in this store: it"):
            ask()
    store.add_vector("taste-2", WIDTH)
    with pytest.raises(InvalidQueryError, match="it keeps text, image, audio, taste-2"):
        store.query([VectorQuery(vector[0], LEARNED, 1)])


NAN = np.full(WIDTH, np.nan, np.float32)
ONES = np.ones(WIDTH, np.float32)
BAD: list[tuple[Floats, str]] = [
    (np.stack([ONES, NAN]), "taste-1 vector of item 'item 2' holds NaN or infinity"),
    (np.stack([ONES, ONES * np.float32(np.inf)]), "holds NaN or infinity"),
    (np.stack([ONES, ONES * np.float32(3e38)]), "numbers too large"),
    (np.stack([ONES, 0 * ONES]), "taste-1 vector of item 'item 2' is all zeros: leave the item out"),
    (np.ones((2, WIDTH + 1), np.float32), r"taste-1 vectors have shape \(2, 6\), not \(2, 5\): give one row"),
    (np.ones((3, WIDTH), np.float32), r"shape \(3, 5\), not \(2, 5\)"),
    (ONES, r"shape \(5,\)"),
]


@pytest.mark.parametrize(("matrix", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_vectors_are_refused_whole(store: VectorStore, matrix: Floats, message: str) -> None:
    store.upsert(points(4))
    store.add_vector(LEARNED, WIDTH)
    with pytest.raises(VectorError, match=message):
        store.put_vectors(LEARNED, ids(1, 2), matrix)
    assert held(store) == {}


def test_bad_query_vectors_are_refused(store: VectorStore) -> None:
    store.add_vector(LEARNED, WIDTH)
    for vector, message in (
        (np.ones(DIMENSION, np.float32), r"shape \(8,\), not \(5,\)"),
        (NAN, "NaN"),
        (0 * ONES, "zeros"),
    ):
        with pytest.raises(VectorError, match=message):
            store.query([VectorQuery(vector, LEARNED, 1)])


def test_a_closed_store_says_so(kind: str, tmp_path: Path) -> None:
    store = open_store(kind, tmp_path)
    store.upsert(points(2))
    store.add_vector(LEARNED, WIDTH)
    store.close()
    for ask in (
        lambda: store.add_vector("taste-2", WIDTH),
        lambda: store.put_vectors(LEARNED, ids(1), rows(1, 1)),
        lambda: store.read_vectors(LEARNED, ids(1)),
        lambda: store.drop_vector(LEARNED),
    ):
        with pytest.raises(StoreError, match="closed"):
            ask()


def test_they_are_there_when_opened_again(kind: str, tmp_path: Path) -> None:
    if kind == "memory":
        pytest.skip("the memory store keeps nothing: its snapshot is tested below")
    store = open_store(kind, tmp_path)
    written = points(25)
    store.upsert(written)
    store.add_vector(LEARNED, WIDTH)
    store.put_vectors(LEARNED, ids(*range(20)), rows(1, 20))
    store.add_vector("taste-2", 3)
    store.drop_vector("taste-2")
    store.add_vector("taste-3", 3)
    store.close()
    store = open_store(kind, tmp_path)
    assert dict(store.vectors) == {LEARNED: WIDTH, "taste-3": 3}
    assert close(held(store), expected(ids(*range(20)), rows(1, 20)))
    assert_same_points(everything(store), {one.id: one for one in written})
    store.close()


@pytest.mark.parametrize("source", ["memory", "edge", "local"])
def test_snapshots_carry_them(store: VectorStore, source: str, tmp_path: Path) -> None:
    origin = open_store(source, tmp_path / "origin")
    origin.upsert(points(30, seed=3))
    origin.add_vector(LEARNED, WIDTH)
    origin.put_vectors(LEARNED, ids(*range(0, 30, 2)), rows(1, 15))
    origin.add_vector("taste-2", 3)
    origin.snapshot(tmp_path / "snapshot.parquet")
    store.upsert(points(10))
    for name, width in ((LEARNED, WIDTH), ("taste-2", 4), ("taste-old", 2)):
        store.add_vector(name, width)
        store.put_vectors(name, ids(1, 2), rows(9, 2, width))
    for _ in range(2):
        store.restore(tmp_path / "snapshot.parquet")
        assert dict(store.vectors) == {LEARNED: WIDTH, "taste-2": 3}
        assert close(held(store), held(origin))
        assert held(store, "taste-2") == {}
        assert_same_points(everything(store), everything(origin))
    query = VectorQuery(rows(5, 1)[0], LEARNED, 10)
    assert store.query([query])[0].ids == origin.query([query])[0].ids
    origin.close()


def test_a_snapshot_without_them_drops_them(store: VectorStore, tmp_path: Path) -> None:
    origin = open_memory()
    origin.upsert(points(3))
    origin.snapshot(tmp_path / "snapshot")
    store.upsert(points(3))
    store.add_vector(LEARNED, WIDTH)
    store.restore(tmp_path / "snapshot")
    assert dict(store.vectors) == {}


def test_readers_beside_a_writer(kind: str, store: VectorStore) -> None:
    """Each vector that is read is one that was written, while they are put, and the points upserted."""
    if kind == "local":
        pytest.skip("qdrant-client's local mode is not made for threads")
    count, versions = 20, 12
    names = ids(*range(count))
    written, untouched = names[:12], names[12:]
    made = np.stack([unit_vectors(version, count, WIDTH) for version in range(versions)])
    store.upsert(points(count))
    store.add_vector(LEARNED, WIDTH)
    store.put_vectors(LEARNED, names, made[0])
    errors: list[Exception] = []
    reads = [0, 0]
    done = threading.Event()

    def read(who: int) -> None:
        try:
            while not done.is_set():
                matrix, present = store.read_vectors(LEARNED, names)
                assert present.all()
                assert (np.abs(made - matrix).max(axis=2) < 1e-5).any(axis=0).all()
                hits = store.query([VectorQuery(made[0, who], LEARNED, 30), VectorQuery(made[0, who], LEARNED, 3)])
                assert_hits_beside_a_writer(kind, hits[0], untouched, written)
                assert len(set(hits[1].ids)) == 3
                assert len(store.candidates(names)) == count
                reads[who] += 1
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=read, args=(who,)) for who in range(2)]
    for thread in threads:
        thread.start()
    for version in range(1, versions):
        store.put_vectors(LEARNED, written, made[version, :12])
        store.upsert(points(count, seed=version)[:5])
        assert len(store.query([VectorQuery(made[0, 0], LEARNED, 30)])[0].ids) == count
    done.set()
    for thread in threads:
        thread.join()
    assert not errors, errors[0]
    assert min(reads) > 0


some_ids = st.lists(st.integers(0, 7), min_size=1, max_size=5)
operations = st.one_of(
    st.tuples(st.just("upsert"), some_ids, st.integers(0, 50)),
    st.tuples(st.just("delete"), some_ids, st.just(0)),
    st.tuples(st.just("put"), some_ids, st.integers(0, 50)),
    st.tuples(st.just("put 2"), some_ids, st.integers(0, 50)),
    st.tuples(st.just("add 2"), st.just([]), st.sampled_from([2, 3])),
    st.tuples(st.just("drop 2"), st.just([]), st.just(0)),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(operations=st.lists(operations, min_size=1, max_size=12))
def test_any_operations_give_what_the_oracle_gives(
    kind: str, pool: Pool, operations: list[tuple[str, list[int], int]]
) -> None:
    store, oracle = pool.take(kind), open_memory()
    for one in (store, oracle):
        one.add_vector(LEARNED, WIDTH)
    for name, numbers, seed in operations:
        results = [apply(one, name, numbers, seed) for one in (store, oracle)]
        assert results[0] == results[1]
    assert dict(store.vectors) == dict(oracle.vectors)
    assert_same_points(everything(store), everything(oracle))
    for name, width in oracle.vectors.items():
        assert close(held(store, name), held(oracle, name))
        query = VectorQuery(unit_vectors(1, 1, width)[0], name, 9)
        assert set(store.query([query])[0].ids) == set(oracle.query([query])[0].ids) == set(held(oracle, name))


def apply(store: VectorStore, name: str, numbers: list[int], seed: int) -> object:
    """Do it, and give what it returned, or what it refused."""
    try:
        match name:
            case "upsert":
                return store.upsert([point(item(number), seed + number) for number in numbers])
            case "delete":
                return store.delete(ids(*numbers))
            case "put":
                return store.put_vectors(LEARNED, ids(*numbers), rows(seed, len(numbers)))
            case "put 2":
                width = store.vectors.get("taste-2", 2)
                return store.put_vectors("taste-2", ids(*numbers), rows(seed, len(numbers), width))
            case "add 2":
                return store.add_vector("taste-2", seed)
            case _:
                return store.drop_vector("taste-2")
    except (StoreError, InvalidQueryError) as error:
        return str(error)
