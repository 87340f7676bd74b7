"""Random operations and random filters: every store gives the answers of the plain one."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from encoders.types import Modality
from engine.core.filters import And, AnyOf, DatetimeRange, Filter, GeoRadius, Match, Not, Or, Range
from engine.core.types import ItemId, Json
from engine.store.base import Hits, VectorQuery, VectorStore
from engine.store.match import distance_m, matches
from tests.store.conftest import Pool
from tests.store.implementations import (
    MODALITIES,
    SCHEMA,
    assert_same_point,
    assert_same_points,
    everything,
    open_memory,
    point,
    unit_vectors,
)

pytestmark = pytest.mark.filterwarnings("ignore:Local mode", "ignore:Payload indexes have no effect")
quick = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

names = st.sampled_from([ItemId(f"item {number}") for number in range(8)])
made = st.builds(
    point,
    names,
    st.integers(0, 50),
    st.lists(st.sampled_from(MODALITIES), min_size=1, max_size=3, unique=True),
    st.fixed_dictionaries({}, optional={"stock": st.integers(0, 4), "colour": st.sampled_from(["red", "blue"])}),
)
operations = st.one_of(
    st.tuples(st.just("upsert"), st.lists(made, min_size=1, max_size=5)),
    st.tuples(st.just("delete"), st.lists(names, min_size=1, max_size=3)),
    st.tuples(st.just("query"), st.integers(0, 5)),
)


@quick
@given(operations=st.lists(operations, max_size=8))
def test_any_operations_give_the_answers_of_the_oracle(
    kind: str, pool: Pool, operations: list[tuple[str, object]]
) -> None:
    store, oracle = pool.take(kind), open_memory()
    oracle.index_fields(SCHEMA)
    for name, argument in operations:
        match name, argument:
            case "upsert", list():
                store.upsert(argument)
                oracle.upsert(argument)
            case "delete", list():
                assert store.delete(argument) == oracle.delete(argument)
            case "query", int():
                compare(store, oracle, argument)
    assert store.count() == oracle.count()
    assert_same_points(everything(store, 3), everything(oracle, 5))
    compare(store, oracle, 9)
    wanted = [ItemId(f"item {number}") for number in (5, 1, 1, 7)]
    for mine, plain in zip(store.retrieve(wanted), oracle.retrieve(wanted), strict=True):
        assert_same_point(mine, plain)


def compare(store: VectorStore, oracle: VectorStore, seed: int) -> None:
    """The same hits with the same scores; items with equal scores may change places."""
    filters: list[Filter | None] = [None, Match("colour", "red"), Not(Range("stock", gte=2))]
    queries = [
        VectorQuery(vector, modality, limit, filter_, exclude)
        for vector in unit_vectors(seed, 1)
        for modality in MODALITIES
        for filter_, limit in zip(filters, (2, 9, 3), strict=True)
        for exclude in ((), (ItemId("item 1"), ItemId("item 3")))
    ]
    for query, mine, plain in zip(queries, store.query(queries), oracle.query(queries), strict=True):
        np.testing.assert_allclose(mine.scores, plain.scores, atol=1e-5)
        assert above_last(mine) == above_last(plain)
        cosines = scores(oracle, query)
        np.testing.assert_allclose(mine.scores, [cosines[item] for item in mine.ids], atol=1e-5)


def scores(oracle: VectorStore, query: VectorQuery) -> dict[ItemId, float]:
    found = oracle.candidates(list(everything(oracle)))
    return dict(zip(found.ids, (found.vectors[query.modality] @ query.vector).tolist(), strict=True))


def above_last(hits: Hits) -> set[ItemId]:
    """The hits whose score is clearly above the last one's: those are decided, ties at the end are not."""
    return {item for item, score in zip(hits.ids, hits.scores, strict=True) if score > hits.scores[-1] + 1e-5}


times = st.datetimes(
    datetime(2023, 1, 1), datetime(2023, 1, 4), timezones=st.sampled_from([UTC, timezone(timedelta(hours=5))])
)
numbers = st.integers(-3, 3)
floats = st.sampled_from([-2.5, -1.0, -0.25, 0.0, 0.5, 1.0, 2.0, 2.5])
degrees = st.integers(-60, 60).map(float)
places: st.SearchStrategy[Json] = st.fixed_dictionaries({"lat": degrees, "lon": degrees})
stamps = st.one_of(
    times.map(lambda time: time.isoformat()), st.sampled_from(["2023-01-02", "2023-01-02T10:00:00", "soon"])
)
odd: st.SearchStrategy[Json] = st.sampled_from([None, "x", "1", True, [], {}, {"lat": 1.0}])


def some(values: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    """A value of the field's kind, a list of such, or one of another kind."""
    return st.one_of(values, st.lists(values, max_size=3), odd)


payloads = st.fixed_dictionaries(
    {},
    optional={
        "colour": some(st.sampled_from(["red", "green", ""])),
        "stock": st.one_of(some(numbers), st.sampled_from([2.0, 2.5])),
        "price": some(st.one_of(floats, numbers)),
        "sold": some(st.booleans()),
        "made": some(stamps),
        "place": some(places),
        "size": st.one_of(st.fixed_dictionaries({"width": floats}), odd),
    },
)


def ends(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A lower bound, an upper bound, or both."""
    lower = st.dictionaries(st.sampled_from(["gte", "gt"]), values, max_size=1)
    upper = st.dictionaries(st.sampled_from(["lte", "lt"]), values, max_size=1)
    return st.builds(lambda low, high: {**low, **high}, lower, upper).filter(bool)


bounds, time_bounds = ends(floats), ends(times)
conditions: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Match, st.just("colour"), st.sampled_from(["red", "green", ""])),
    st.builds(Match, st.just("stock"), numbers),
    st.builds(Match, st.just("sold"), st.booleans()),
    st.builds(AnyOf, st.just("colour"), st.tuples(st.sampled_from(["red", "blue", ""]), st.just("green"))),
    st.builds(AnyOf, st.just("stock"), st.lists(numbers, min_size=1, max_size=3).map(tuple)),
    st.builds(AnyOf, st.just("sold"), st.lists(st.booleans(), min_size=1, max_size=2).map(tuple)),
    st.builds(
        lambda field, limits: Range(field, **limits), st.sampled_from(["stock", "price", "size.width"]), bounds
    ),
    st.builds(lambda limits: DatetimeRange("made", **limits), time_bounds),
    st.builds(GeoRadius, st.just("place"), degrees, degrees, st.sampled_from([1e3, 1e6, 5e6, 2.1e7])),
)
filters = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)


@quick
@given(held=st.lists(payloads, min_size=1, max_size=6), asked=st.lists(filters, min_size=1, max_size=6))
def test_filters_mean_the_same_everywhere(
    kind: str, pool: Pool, held: list[dict[str, Json]], asked: list[Filter]
) -> None:
    if kind == "local":
        assume(not any(mixed(payload) for payload in held))
    store = pool.take(kind)
    store.upsert([point(f"item {number}", number, payload=payload) for number, payload in enumerate(held)])
    for filter_ in asked:
        passing = {f"item {n}" for n, payload in enumerate(held) if matches(filter_, payload, SCHEMA)}
        assert {one.id for one in store.scroll(filter_=filter_).points} == passing, filter_
        assert store.count(filter_) == len(passing)
        hits = store.query([VectorQuery(unit_vectors(0, 1)[0], Modality.TEXT, 9, filter=filter_)])[0]
        assert set(hits.ids) == passing


def mixed(payload: dict[str, Json]) -> bool:
    """Whether a value is not of its field's kind: local mode has no indexes, and judges those by themselves."""
    return any(isinstance(value, float) for value in [payload.get("stock")])


@given(a=st.tuples(degrees, degrees), b=st.tuples(degrees, degrees))
def test_distance_is_a_metric_on_the_sphere(a: tuple[float, float], b: tuple[float, float]) -> None:
    assert distance_m(a, a) == 0
    assert distance_m(a, b) == distance_m(b, a) <= 6_371_008.8 * np.pi


def test_distance_of_known_places() -> None:
    assert distance_m((51.5074, -0.1278), (48.8566, 2.3522)) == pytest.approx(343_556, rel=1e-3)  # London, Paris
    assert distance_m((0, 0), (0, 1)) == pytest.approx(111_195, rel=1e-4)
