"""What every store does, on all of them."""

import math
import threading
from dataclasses import replace
from datetime import datetime
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from encoders.errors import SpaceError, TriveniError, VectorError
from encoders.types import Floats, Modality
from engine.core.errors import InvalidItemError, InvalidQueryError, StoreError
from engine.core.filters import And, AnyOf, DatetimeRange, FieldKind, Filter, GeoRadius, Match, Not, Or, Range
from engine.core.types import ItemId, Json
from engine.store.base import Point, VectorQuery, VectorStore, point_id
from engine.store.quantization import CANDIDATES
from tests.store.implementations import (
    DIMENSION,
    FINGERPRINT,
    MODALITIES,
    OTHER,
    SCHEMA,
    assert_hits_beside_a_writer,
    assert_same_point,
    assert_same_points,
    everything,
    open_memory,
    open_store,
    point,
    points,
    unit_vectors,
)

pytestmark = pytest.mark.filterwarnings("ignore:Local mode", "ignore:Payload indexes have no effect")


def ids(*names: str) -> list[ItemId]:
    return [ItemId(name) for name in names]


def test_is_a_vector_store(store: VectorStore) -> None:
    assert isinstance(store, VectorStore)
    assert (store.fingerprint, store.dimension, store.modalities) == (FINGERPRINT, DIMENSION, MODALITIES)
    assert store.schema == SCHEMA


def test_point_ids_are_the_same_everywhere() -> None:
    assert point_id(ItemId("item 1")) == "58b104fa-b157-5d99-9589-8c66e3504783"


def test_empty_store(store: VectorStore) -> None:
    assert store.count() == 0
    assert store.retrieve(ids("a", "b")) == [None, None]
    assert len(store.candidates(ids("a"))) == 0
    assert store.candidates([]).vectors[Modality.TEXT].shape == (0, DIMENSION)
    assert store.retrieve([]) == []
    assert store.query([]) == []
    assert store.scroll().points == ()
    assert store.delete(ids("a")) == 0
    assert store.query([VectorQuery(unit_vectors(0, 1)[0], Modality.TEXT, 5)])[0].ids == ()
    store.upsert([])
    store.flush()
    store.optimize()


def test_what_is_written_is_read(store: VectorStore) -> None:
    written = points(30)
    store.upsert(written)
    assert store.count() == 30
    for one, back in zip(written, store.retrieve([one.id for one in written]), strict=True):
        assert_same_point(one, back)
    bare = store.retrieve([written[0].id], with_vectors=False, with_payload=False)[0]
    assert bare == Point(written[0].id, {}, {})


def test_retrieve_keeps_order_gaps_and_doubles(store: VectorStore) -> None:
    store.upsert([point("a", 1), point("b", 2)])
    back = store.retrieve(ids("b", "x", "a", "b"))
    assert [one and one.id for one in back] == ["b", None, "a", "b"]


def test_candidates_are_the_same_in_columns(store: VectorStore) -> None:
    written = points(20)
    store.upsert(written)
    wanted = ids("item 3", "nobody", "item 1", "item 19", "item 3")
    found = store.candidates(wanted)
    assert found.ids == ("item 3", "item 1", "item 19", "item 3")
    assert found.scores.tolist() == [0, 0, 0, 0]
    for modality in MODALITIES:
        assert found.vectors[modality].shape == (4, DIMENSION)
        assert found.vectors[modality].dtype == np.float32
        for row, item in enumerate(found.ids):
            one = written[int(item.split()[1])]
            assert found.present[modality][row] == (modality in one.vectors)
            expected = one.vectors.get(modality, np.zeros(DIMENSION))
            np.testing.assert_allclose(found.vectors[modality][row], expected, atol=1e-6)
    assert found.payloads[0] == written[3].payload
    assert store.candidates(wanted, with_payload=False).payloads == ({}, {}, {}, {})


def test_vectors_are_kept_at_unit_length(store: VectorStore) -> None:
    one = point("a", 1)
    store.upsert([Point(one.id, {name: 7 * vector for name, vector in one.vectors.items()})])
    assert_same_point(store.retrieve([one.id])[0], one)


def test_upsert_is_idempotent_and_replaces_whole(store: VectorStore) -> None:
    store.upsert(points(10))
    store.upsert(points(10))
    assert store.count() == 10
    changed = point("item 4", 99, [Modality.AUDIO], {"colour": "black"})
    store.upsert([changed])
    assert_same_point(store.retrieve([changed.id])[0], changed)
    assert store.candidates([changed.id]).payloads[0] == {"colour": "black"}
    assert store.count() == 10
    text = store.query([VectorQuery(unit_vectors(0, 1)[0], Modality.TEXT, 20)])[0]
    assert changed.id not in text.ids
    assert store.count(Match("colour", "black")) == 1


def test_the_last_of_doubled_ids_counts(store: VectorStore) -> None:
    store.upsert([point("a", 1), point("b", 2), point("a", 3)])
    assert store.count() == 2
    assert_same_point(store.retrieve(ids("a"))[0], point("a", 3))


def test_delete(store: VectorStore) -> None:
    store.upsert(points(10))
    assert store.delete(ids("item 2", "item 5", "nobody", "item 2")) == 2
    assert store.count() == 8
    assert store.retrieve(ids("item 2")) == [None]
    assert "item 5" not in everything(store)
    hits = store.query([VectorQuery(unit_vectors(0, 1)[0], name, 20) for name in MODALITIES])
    assert not {"item 2", "item 5"} & {item for hit in hits for item in hit.ids}
    store.upsert([point("item 2", 5)])
    assert_same_point(store.retrieve(ids("item 2"))[0], point("item 2", 5))


def test_hits_are_the_nearest_with_their_cosines(store: VectorStore) -> None:
    written = points(60)
    store.upsert(written)
    vector = unit_vectors(77, 1)[0]
    asked = product(MODALITIES, (1, 7, 1000), (None, CANDIDATES))
    queries = [VectorQuery(5 * vector, name, limit, width=width) for name, limit, width in asked]
    for query, hits in zip(queries, store.query(queries), strict=True):
        cosines = {
            one.id: float(one.vectors[query.modality] @ vector) for one in written if query.modality in one.vectors
        }
        best = sorted(cosines, key=lambda item: -cosines[item])[: query.limit]
        assert list(hits.ids) == best
        np.testing.assert_allclose(hits.scores, [cosines[item] for item in best], atol=1e-5)


def test_excluded_items_are_no_hits_and_take_no_place(store: VectorStore) -> None:
    store.upsert(points(40))
    vector = unit_vectors(5, 1)[0]
    free = store.query([VectorQuery(vector, Modality.TEXT, 20)])[0].ids
    left = store.query([VectorQuery(vector, Modality.TEXT, 10, exclude=free[:5])])[0].ids
    assert left == free[5:15]
    both = VectorQuery(vector, Modality.TEXT, 40, filter=Match("colour", "red"), exclude=free[:5])
    assert set(store.query([both])[0].ids).isdisjoint(free[:5])


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


FILTERS: list[tuple[Filter, set[int]]] = [
    (Match("colour", "red"), {0, 3, 6, 9}),
    (Match("stock", 4), {4}),
    (Match("sold", False), {1, 3, 5, 7, 9}),
    (AnyOf("colour", ("red", "blue")), {0, 2, 3, 5, 6, 8, 9}),
    (AnyOf("stock", (1, 2, 77)), {1, 2}),
    (AnyOf("sold", (True, False)), set(range(10))),
    (Range("price", gte=1, lt=2), {4, 5, 6, 7}),
    (Range("price", gt=1, lte=2), {5, 6, 7, 8}),
    (Range("stock", gte=8), {8, 9}),
    (Range("stock", gt=2.5, lt=4.5), {3, 4}),
    (Range("size.width", lte=1), {0, 1}),
    (DatetimeRange("made", gte=time("2024-03-01T00:00:00Z"), lt=time("2024-05-01T01:00:00+01:00")), {2, 3}),
    (GeoRadius("place", 0.0, 0.0, 200_000), {0, 1}),
    (Not(Match("colour", "red")), {1, 2, 4, 5, 7, 8}),
    (And((Match("colour", "red"), Range("stock", gt=4))), {6, 9}),
    (Or((Match("colour", "red"), Match("stock", 1))), {0, 1, 3, 6, 9}),
    (And((Not(Or((Match("colour", "red"), Match("colour", "blue")))), Match("sold", True))), {4}),
    (Match("colour", "no such"), set()),
]  # fmt: skip


@pytest.mark.parametrize(("filter_", "passing"), FILTERS, ids=[str(number) for number in range(len(FILTERS))])
def test_filters_of_every_kind(store: VectorStore, filter_: Filter, passing: set[int]) -> None:
    store.upsert([replace(one, vectors=point("x", number).vectors) for number, one in enumerate(points(10))])
    names = {f"item {number}" for number in passing}
    assert store.count(filter_) == len(names)
    assert {one.id for one in store.scroll(filter_=filter_).points} == names
    hits = store.query([VectorQuery(unit_vectors(0, 1)[0], Modality.IMAGE, 10, filter=filter_)])[0]
    assert set(hits.ids) == names


HELD_TIMES: list[Json] = [
    "2024-05-01T10:00:00Z",
    "2024-05-01t12:00:00+02:00",
    "2024-05-01 10:00:00.000z",
    "2024-05-01T10:00:00",
    "2024-05-01T10:00",
    ["soon", "2024-05-01T05:00:00-0500"],
    "2024-05-01T09:59:60Z",
    "2024-05-01",
    "2024-05-01T10:00:00.000001Z",
    "soon",
    1714557600,
    "1714557600",
    True,
    None,
    [],
    {"at": "2024-05-01T10:00:00Z"},
]
"""The first seven are one time, then an earlier and a later one, then what is none."""
TEN = time("2024-05-01T10:00:00Z")
TIMES: list[tuple[Filter, set[int]]] = [
    (DatetimeRange("made", gte=TEN, lte=TEN), {0, 1, 2, 3, 4, 5, 6}),
    (DatetimeRange("made", gte=time("2024-05-01T00:00:00Z"), lte=time("2024-05-01T00:00:00Z")), {7}),
    (DatetimeRange("made", gte=TEN), {0, 1, 2, 3, 4, 5, 6, 8}),
    (DatetimeRange("made", gt=TEN), {8}),
    (DatetimeRange("made", lt=time("2024-05-01T11:00:00+01:00")), {7}),
    (DatetimeRange("made", lte=TEN), {0, 1, 2, 3, 4, 5, 6, 7}),
    (Not(DatetimeRange("made", gte=time("2020-01-01T00:00:00Z"))), set(range(9, len(HELD_TIMES)))),
]


@pytest.mark.parametrize(("filter_", "passing"), TIMES, ids=[str(number) for number in range(len(TIMES))])
def test_times_are_compared_as_such_and_what_is_none_passes_nothing(
    store: VectorStore, kind: str, filter_: Filter, passing: set[int]
) -> None:
    if kind == "local":
        pytest.skip("the client's local mode reads fewer forms of times than Qdrant does")
    store.upsert([point(str(number), 1, payload={"made": held}) for number, held in enumerate(HELD_TIMES)])
    names = {str(number) for number in passing}
    assert {one.id for one in store.scroll(filter_=filter_).points} == names
    hits = store.query([VectorQuery(unit_vectors(0, 1)[0], Modality.TEXT, 99, filter=filter_)])[0]
    assert set(hits.ids) == names


def test_a_batch_may_mix_filters(store: VectorStore) -> None:
    store.upsert([replace(one, vectors=point("x", number).vectors) for number, one in enumerate(points(10))])
    vector = unit_vectors(0, 1)[0]
    filters = [None, Match("colour", "red"), Match("stock", 3), None]
    hits = store.query([VectorQuery(vector, Modality.TEXT, 10, filter=one) for one in filters])
    assert [len(hit.ids) for hit in hits] == [10, 4, 1, 10]


def test_fields_can_be_indexed_after_the_points_and_twice(store: VectorStore) -> None:
    store.upsert([point("a", 1, payload={"late": "x"}), point("b", 2, payload={"late": "y"})])
    with pytest.raises(InvalidQueryError, match="'late'"):
        store.count(Match("late", "x"))
    for _ in range(2):
        store.index_fields({"late": FieldKind.KEYWORD})
    assert store.schema == {**SCHEMA, "late": FieldKind.KEYWORD}
    assert store.count(Match("late", "x")) == 1


def test_a_field_keeps_its_kind(store: VectorStore) -> None:
    with pytest.raises(StoreError, match="'price' is indexed as float, not keyword: use another field"):
        store.index_fields({"price": FieldKind.KEYWORD})
    with pytest.raises(StoreError, match=r"'a b\[\]' cannot be indexed"):
        store.index_fields({"a b[]": FieldKind.KEYWORD})
    assert store.schema == SCHEMA


def test_scroll_gives_each_point_once(store: VectorStore) -> None:
    written = {one.id: one for one in points(57)}
    store.upsert(list(written.values()))
    assert_same_points(everything(store, limit=10), written)
    assert_same_points(everything(store, limit=57), written)
    red = store.scroll(filter_=Match("colour", "red"), limit=5)
    rest = store.scroll(filter_=Match("colour", "red"), limit=50, cursor=red.next_cursor)
    assert len({one.id for one in (*red.points, *rest.points)}) == 19
    assert red.points[0].vectors == {}


def test_scroll_doubles_nothing_under_writes(store: VectorStore) -> None:
    store.upsert(points(60))
    seen: list[str] = []
    cursor: str | None = None
    for step in range(100):
        page = store.scroll(cursor=cursor, limit=7)
        seen += [one.id for one in page.points]
        store.upsert([point(f"new {step}", step), point(f"item {step % 60}", step)])
        store.delete([ItemId(f"new {step - 1}")])
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(seen) == len(set(seen))
    assert {f"item {number}" for number in range(60)} <= set(seen)


@pytest.mark.parametrize("field", ["stock", "price", "made", "size.width"])
def test_ordered_scroll_begins_with_the_largest(store: VectorStore, field: str) -> None:
    store.upsert([*points(9), point("none", 1)])
    page = store.scroll(order_by=field, limit=4)
    bare = store.scroll(order_by=field, limit=4, with_payload=False).points
    assert [(one.id, one.payload) for one in bare] == [(one.id, {}) for one in page.points]
    assert [one.id for one in page.points] == ["item 8", "item 7", "item 6", "item 5"]
    assert page.next_cursor is None
    assert len(store.scroll(order_by=field, limit=99).points) == 9
    red = store.scroll(order_by=field, filter_=Match("colour", "red"))
    assert [one.id for one in red.points] == ["item 6", "item 3", "item 0"]


def text(vector: Floats) -> Point:
    return Point(ItemId("a"), {Modality.TEXT: vector})


ONES = np.ones(DIMENSION, np.float32)
BAD_POINTS: list[tuple[Point, type[TriveniError], str]] = [
    (text(np.ones(DIMENSION + 1, np.float32)), VectorError, r"shape \(9,\), not \(8,\): encode"),
    (text(ONES * np.float32(math.nan)), VectorError, "text vector of item 'a' holds NaN"),
    (text(ONES * np.float32(math.inf)), VectorError, "holds NaN or infinity"),
    (text(ONES * np.float32(3e38)), VectorError, "numbers too large"),
    (text(ONES * 0), VectorError, "all zeros: leave the modality out"),
    (Point(ItemId("a"), {}), VectorError, "no vector: give it one"),
    (point("", 1), InvalidItemError, "item id is empty"),
    (point("a\ud800", 1), InvalidItemError, "not valid Unicode"),
    (point("a", 1, payload={"x": math.nan}), InvalidItemError, "item 'a': payload field x is nan"),
    (point("a", 1, payload={"x": 2**70}), InvalidItemError, "send 64-bit integers"),
    (point("a", 1, payload={"x": ["\udfff"]}), InvalidItemError, "lone surrogate.*: send valid Unicode"),
    (point("a", 1, payload={"x": {"y": (1, 2)}}), InvalidItemError, "field x.y is a tuple"),  # type: ignore[dict-item]
]


@pytest.mark.parametrize(("bad", "error", "message"), BAD_POINTS, ids=[message for *_, message in BAD_POINTS])
def test_bad_points_are_refused_whole(
    store: VectorStore, bad: Point, error: type[TriveniError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        store.upsert([point("good", 1), bad])
    assert type(caught.value) is error
    assert store.count() == 0


BAD_FILTERS: list[tuple[Filter, str]] = [
    (Match("colur", "red"), "unknown filter field 'colur': fields that can be filtered on: colour, made, place"),
    (Not(And((Match("colour", "red"), Match("nope", 1)))), "unknown filter field 'nope'"),
    (Range("colour", gte=1), "Range does not fit field 'colour', which is keyword: use Match or AnyOf with a text"),
    (DatetimeRange("colour", gte=time("2024-01-01T00:00:00Z")), "which is keyword: use Match or AnyOf with a text"),
    (Range("made", gte=2024), "which is datetime: use DatetimeRange with a time, such as 2025-01-31"),
    (Match("made", "2024-01-01"), "which is datetime: use DatetimeRange with a time"),
    (Match("price", 1), "Match does not fit field 'price', which is float: use Range with a number"),
    (Match("stock", "1"), "filter value '1' does not fit field 'stock', which is integer: use a whole number"),
    (Match("stock", True), "filter value True does not fit field 'stock'"),
    (Match("sold", 1), "filter value 1 does not fit field 'sold', which is bool: use true or false"),
    (Match("stock", 2**64), "use 64-bit integers"),
    (AnyOf("colour", ("red", 1)), "filter value 1 does not fit field 'colour'"),
    (AnyOf("colour", ()), "filter on 'colour' has no values"),
    (Range("price"), "range on 'price' has no bound"),
    (Range("price", gte=math.nan), "or NaN"),
    (Range("price", gte=1, gt=1), "range on 'price' has both gte and gt: give it one of them"),
    (DatetimeRange("made", lte=time("2024-01-01T00:00:00Z"), lt=time("2024-01-01T00:00:00Z")), "both lte and lt"),
    (DatetimeRange("made", gte=datetime(2024, 1, 1)), "without time zone"),
    (GeoRadius("place", 91.0, 0.0, 1.0), "lat 91.0"),
    (GeoRadius("place", 1.0, 0.0, -1.0), "radius -1.0 m"),
    (And(()), "and filter without parts"),
    (Or(()), "or filter without parts"),
]


@pytest.mark.parametrize(("filter_", "message"), BAD_FILTERS, ids=[message for _, message in BAD_FILTERS])
def test_bad_filters_are_refused(store: VectorStore, filter_: Filter, message: str) -> None:
    for ask in (
        lambda: store.query([VectorQuery(unit_vectors(0, 1)[0], Modality.TEXT, 5, filter=filter_)]),
        lambda: store.count(filter_),
        lambda: store.scroll(filter_=filter_),
    ):
        with pytest.raises(InvalidQueryError, match=message) as caught:
            ask()
        assert caught.value.field == "filter"


def test_bad_queries_are_refused(store: VectorStore) -> None:
    good = unit_vectors(0, 1)[0]
    for limit in (0, -1):
        with pytest.raises(InvalidQueryError, match=f"limit is {limit}: ask for at least 1"):
            store.query([VectorQuery(good, Modality.TEXT, limit)])
        with pytest.raises(InvalidQueryError, match=f"limit is {limit}"):
            store.scroll(limit=limit)
    for bad, message in ((good[:-1], "query vector has shape"), (good * np.nan, "NaN"), (good * 0, "all zeros")):
        with pytest.raises(VectorError, match=message):
            store.query([VectorQuery(bad, Modality.TEXT, 5)])
    with pytest.raises(InvalidQueryError, match="cursor 'x' is not valid"):
        store.scroll(cursor="x")
    with pytest.raises(InvalidQueryError, match="cannot order by 'colour': fields with an order: made, price"):
        store.scroll(order_by="colour")
    with pytest.raises(InvalidQueryError, match="a cursor together with order_by"):
        store.scroll(order_by="price", cursor=point_id(ItemId("a")))


def test_a_closed_store_says_so(kind: str, tmp_path: Path) -> None:
    store = open_store(kind, tmp_path)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.query([VectorQuery(unit_vectors(0, 1)[0], Modality.TEXT, 5)])
    with pytest.raises(StoreError, match="closed"):
        store.upsert([point("a", 1)])


def test_what_was_closed_is_there_when_opened_again(kind: str, tmp_path: Path) -> None:
    if kind == "memory":
        pytest.skip("the memory store keeps nothing: its snapshot is tested below")
    written = {one.id: one for one in points(25)}
    store = open_store(kind, tmp_path)
    store.index_fields(SCHEMA)
    store.upsert([*written.values(), point("gone", 1)])
    store.delete(ids("gone"))
    store.close()
    store = open_store(kind, tmp_path)
    assert store.schema == SCHEMA
    assert_same_points(everything(store), written)
    assert store.count(Match("colour", "red")) == 9
    store.close()
    for other, dimension in ((OTHER, DIMENSION), (FINGERPRINT, DIMENSION + 1)):
        with pytest.raises(SpaceError, match="keeps"):
            open_store(kind, tmp_path, other, dimension)


@pytest.mark.parametrize("source", ["memory", "edge", "local"])
def test_snapshots_move_between_stores(store: VectorStore, source: str, tmp_path: Path) -> None:
    origin = open_store(source, tmp_path / "origin")
    origin.index_fields({"colour": FieldKind.KEYWORD})
    origin.upsert(points(40, seed=3))
    origin.snapshot(tmp_path / "a" / "snapshot.parquet")
    store.upsert([point("before", 1), point("item 1", 2)])
    store.restore(tmp_path / "a" / "snapshot.parquet")
    assert_same_points(everything(store), everything(origin))
    assert store.schema == SCHEMA
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["snapshot.parquet"]
    query = [VectorQuery(unit_vectors(1, 1)[0], Modality.AUDIO, 10, filter=Match("colour", "red"))]
    assert store.query(query)[0].ids == origin.query(query)[0].ids
    origin.close()


def test_a_snapshot_brings_its_schema(kind: str, tmp_path: Path) -> None:
    origin, store = open_memory(), open_store(kind, tmp_path)
    origin.index_fields({"colour": FieldKind.KEYWORD, "sold": FieldKind.BOOL})
    origin.upsert(points(10))
    origin.snapshot(tmp_path / "snapshot")
    store.restore(tmp_path / "snapshot")
    assert store.schema == origin.schema
    assert store.count(Match("sold", True)) == 5
    store.close()


def test_bad_snapshots_change_nothing(store: VectorStore, tmp_path: Path) -> None:
    store.upsert([point("a", 1)])
    other = open_memory(OTHER)
    other.upsert(points(3))
    other.snapshot(tmp_path / "other")
    with pytest.raises(SpaceError, match=f"is of space {OTHER}, the store of {FINGERPRINT}"):
        store.restore(tmp_path / "other")
    store.snapshot(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / "short").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty").write_bytes(b"")
    for name in ("short", "empty", "missing"):
        with pytest.raises(StoreError, match=f"{name} cannot be read"):
            store.restore(tmp_path / name)
    assert list(everything(store)) == ["a"]


def test_readers_beside_a_writer_see_whole_points(kind: str, store: VectorStore) -> None:
    if kind == "local":
        pytest.skip("qdrant-client's local mode is not made for threads")
    versions = 9

    def version(item: int, number: int) -> Point:
        return point(f"item {item}", 100 * item + number, payload={"stock": number})

    store.upsert([version(item, 0) for item in range(20)])
    names = [ItemId(f"item {item}") for item in range(20)]
    written, untouched = names[:12], names[12:]
    errors: list[Exception] = []
    reads = [0, 0]
    done = threading.Event()

    def read(who: int) -> None:
        try:
            while not done.is_set():
                found = store.candidates(names)
                assert len(found) == 20
                for item, payload in enumerate(found.payloads):
                    number = payload["stock"]
                    assert isinstance(number, int)
                    assert number == 0 or item < 12
                    expected = version(item, number)
                    for modality in MODALITIES:
                        np.testing.assert_allclose(
                            found.vectors[modality][item], expected.vectors[modality], atol=1e-6
                        )
                assert len(everything(store)) == 20
                hits = store.query([VectorQuery(unit_vectors(who, 1)[0], Modality.TEXT, 30)])[0]
                assert_hits_beside_a_writer(kind, hits, untouched, written)
                reads[who] += 1
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=read, args=(who,)) for who in range(2)]
    for thread in threads:
        thread.start()
    for number in range(1, versions):
        store.upsert([version(item, number) for item in range(12)])
        assert len(store.query([VectorQuery(unit_vectors(0, 1)[0], Modality.TEXT, 30)])[0].ids) == 20
        if number % 4 == 0:
            store.flush()
    done.set()
    for thread in threads:
        thread.join()
    assert not errors, errors[0]
    assert min(reads) > 0
