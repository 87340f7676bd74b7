"""What holds for every query."""

import math
from datetime import timedelta
from functools import cache

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.filters import AnyOf, Range
from engine.core.types import Event, EventKind, ItemId, PolicyOptions, Query, QueryPart
from tests.query.scene import NOW, A, I, Scene, T, scene
from tests.tiny import CONCEPTS, concept_audio, concept_image, concept_text

KNOWN = [ItemId(f"{concept}-{number}") for concept in CONCEPTS[:5] for number in range(8)]


@cache
def catalogue() -> Scene:
    return scene(concepts=CONCEPTS[:5], each=8)


contents = st.builds(
    lambda make, concept, seed: make(concept, seed),
    st.sampled_from([concept_text, concept_image, concept_audio]),
    st.sampled_from(CONCEPTS),
    st.integers(0, 3),
)
items = st.sampled_from([*KNOWN, ItemId("unknown")])
times = st.none() | st.integers(-5, 4000).map(lambda days: NOW - timedelta(days=days))
events = st.builds(
    lambda kind, item, time: Event(kind, item=item, time=time), st.sampled_from(list(EventKind)), items, times
) | st.builds(
    lambda kind, content, time: Event(kind, content=content, time=time),
    st.sampled_from([EventKind.SEARCH, EventKind.UPLOAD, EventKind.DISLIKE]),
    contents,
    times,
)
parts = st.builds(QueryPart, contents | st.sampled_from(KNOWN), st.sampled_from([1.0, 0.3, -0.5, 1e-30, 1e30]))
filters = st.none() | st.sampled_from([AnyOf("concept", ("bird", "car")), Range("number", gte=2, lt=6)])
policies = st.builds(
    PolicyOptions,
    exclude=st.lists(items, max_size=4).map(tuple),
    include_seen=st.booleans(),
    diversity=st.sampled_from([None, 0.0, 0.5, 1.0]),
    max_per_value=st.sampled_from([{}, {"concept": 2}]),
    min_score=st.sampled_from([None, 1.0]),
)
queries = st.builds(
    Query,
    parts=st.lists(parts, max_size=3).map(lambda some: tuple(some) if any(p.weight > 0 for p in some) else ()),
    history=st.lists(events, max_size=8).map(tuple),
    filter=filters,
    limit=st.integers(1, 30),
    modalities=st.sampled_from([(), (T,), (A, I)]),
    policy=policies,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(queries)
def test_always(query: Query):
    answer = catalogue().engine.recommend(query)
    names = [result.item for result in answer.results]
    assert len(names) == len(set(names)) <= query.limit
    assert [result.rank for result in answer.results] == list(range(1, len(names) + 1))
    assert not set(names) & set(query.policy.exclude)
    if not query.policy.include_seen:
        assert not set(names) & {event.item for event in query.history}
    points = catalogue().store.retrieve(names)
    for result, point in zip(answer.results, points, strict=True):
        assert point is not None
        assert math.isfinite(result.score)
        assert not query.modalities or set(query.modalities) & set(point.vectors)
        if isinstance(query.filter, AnyOf):
            assert result.payload["concept"] in query.filter.values
        if isinstance(query.filter, Range):
            assert 2 <= int(str(result.payload["number"])) < 6
        if query.policy.min_score is not None and answer.tier != "cold":
            assert result.score >= query.policy.min_score
        assert abs(sum(reason.share for reason in result.reasons) - 1) < 1e-6
    concepts = [result.payload["concept"] for result in answer.results]
    if query.policy.max_per_value:
        assert all(concepts.count(concept) <= 2 for concept in concepts)
    skipped = {index for index, _ in answer.skipped}
    weightless = {n for n, event in enumerate(query.history) if event.kind is EventKind.IMPRESSION}
    assert skipped == {n for n, event in enumerate(query.history) if event.item == "unknown"} - weightless
    scores = [result.score for result in answer.results]
    if query.parts and query.policy.diversity == 0.0:
        assert scores == sorted(scores, reverse=True)


@settings(max_examples=30, deadline=None)
@given(queries)
def test_the_same_query_gives_the_same_answer(query: Query):
    first, second = (catalogue().engine.recommend(query) for _ in range(2))
    assert first.results == second.results
    assert first.request_id != second.request_id
