"""How sure it is that results fit a query, and that nothing does."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.spaces.tail import TYPICAL, Tail
from encoders.types import Modality
from engine.core.types import PolicyOptions, Query, QueryPart
from engine.query.policy.select import Policy
from engine.query.relevance import Background
from engine.query.settings import PolicySettings
from tests.query.scene import Scene, likes, scene
from tests.query.test_pipeline_properties import catalogue, queries
from tests.tiny import CONCEPTS, concept_space, concept_text

HERE, AWAY = CONCEPTS[:-1], CONCEPTS[-1]


@cache
def world() -> Scene:
    """Everything but one concept."""
    return scene(concepts=HERE, each=20)


scores = st.floats(-50, 200, width=32)


@given(st.lists(scores, min_size=1), st.floats(-2, 3), st.floats(0.1, 3))
def test_a_tail_falls_through_its_two_points(values: list[float], tenth: float, step: float) -> None:
    tail = Tail(tenth, tenth + step)
    found = tail.probability(np.sort(np.array(values, np.float32)))
    assert (np.diff(found) <= 0).all()
    assert ((found >= 0) & (found <= 1)).all()
    points = np.array([tenth, tenth + step, tenth + 2 * step], np.float32)
    np.testing.assert_allclose(tail.probability(points), [0.1, 0.01, 0.001], rtol=1e-3)
    for rate in (0.1, 0.01, 1e-6):
        assert tail.probability(np.array([tail.cutoff(rate)], np.float32))[0] == pytest.approx(rate, rel=1e-3)


@pytest.mark.parametrize("concept", HERE)
def test_what_is_there_is_found(concept: str) -> None:
    found = world().search(concept_text(concept, 90), max_false_positive_rate=0.1)
    assert not found.no_match
    assert {result.payload["concept"] for result in found.results} == {concept}


def test_what_is_not_there_is_not() -> None:
    found = world().search(concept_text(AWAY, 90), max_false_positive_rate=0.5)
    assert (found.results, found.no_match) == ((), True)
    plain = world().search(concept_text(AWAY, 90))
    assert plain.results
    assert not plain.no_match
    assert all(result.relevance is not None and result.relevance < 0.5 for result in plain.results)


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.2))
@settings(max_examples=30, deadline=None)
def test_related_pairs_among_the_sample_do_not_move_the_tail_far(seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    scores = random.normal(0.0, 1.0, 40_000)
    plain = Tail.of(scores.astype(np.float32))
    np.testing.assert_allclose([plain.tenth, plain.hundredth], [1.2816, 2.3263], atol=0.08)
    related = round(share * len(scores))
    scores[:related] += 12.0
    assert Tail.of(scores.astype(np.float32)).cutoff(1e-4) < 11.0


def test_without_a_query_there_is_no_relevance_and_nothing_is_left_out() -> None:
    for history in ((), likes(HERE[0], range(3))):
        found = world().ask(history=history, policy=PolicyOptions(max_false_positive_rate=0.01))
        assert found.results
        assert not found.no_match
        assert {result.relevance for result in found.results} == {None}


@settings(max_examples=60, deadline=None)
@given(queries, st.sampled_from([0.5, 0.1, 0.01]))
def test_it_rises_with_the_similarity_and_the_rate_cuts_it(query: Query, rate: float) -> None:
    whole = catalogue().engine.recommend(query)
    told = [result.relevance for result in whole.results]
    assert all((one is None) != bool(query.parts) for one in told)
    if not query.parts:
        return
    assert all(0 <= one <= 1 for one in told if one is not None)
    alone = all(part.weight > 0 for part in query.parts) and not query.history
    if alone and query.policy.diversity == 0.0:
        assert all(one is not None and other is not None and one >= other for one, other in pairwise(told))
    cut = Query(
        query.parts,
        query.history,
        query.filter,
        query.limit,
        modalities=query.modalities,
        policy=PolicyOptions(query.policy.exclude, query.policy.include_seen, 0.0, max_false_positive_rate=rate),
    )
    answer = catalogue().engine.recommend(cut)
    assert all(result.relevance is not None and result.relevance >= 1 - rate for result in answer.results)
    assert not (answer.no_match and answer.results)


def test_a_copy_is_beyond_doubt() -> None:
    name = f"{HERE[0]}-0"
    parts = (QueryPart(concept_text(HERE[0], 0)),)
    best = world().ask(parts=parts, limit=1, policy=PolicyOptions(max_false_positive_rate=1e-4)).results[0]
    assert (best.item, best.relevance) == (name, pytest.approx(1, abs=1e-4))


def test_the_larger_the_catalogue_the_less_sure_it_is() -> None:
    found = []
    for each in (10, 40):
        answer = scene(concepts=HERE[:1], each=each).search(concept_text(HERE[1], 90), limit=each)
        found.append({result.item: result.relevance for result in answer.results})
    few, many = found
    assert len(few) == 10
    for name, relevance in few.items():
        assert relevance is not None
        assert many[name] == pytest.approx(relevance**4, rel=1e-3)


def test_a_small_catalogue_takes_the_word_of_the_space_and_is_looked_at_again_as_it_grows() -> None:
    small = scene(concepts=HERE[:1], each=5)
    background = Background(small.store, concept_space().calibration, 0.5)
    kinds = frozenset({Modality.TEXT})
    assert background._tail(background._current(), kinds, tuple(Modality)) == TYPICAL
    for concept in HERE[:4]:
        for number in range(100, 150):
            small.add(concept, number, tuple(Modality))
    sample = background._current()
    assert sample.size == small.store.count() == 205
    assert background._tail(sample, kinds, tuple(Modality)) != TYPICAL


def test_the_settings_have_a_rate_and_a_request_its_own() -> None:
    strict = PolicySettings(max_false_positive_rate=0.01)
    assert Policy.of(PolicyOptions(), strict).max_false_positive_rate == 0.01
    assert Policy.of(PolicyOptions(max_false_positive_rate=1.0), strict).max_false_positive_rate == 1.0
    found = scene(concepts=HERE, policy=strict).search(concept_text(AWAY, 90))
    assert found.no_match
