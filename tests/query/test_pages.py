"""Pages of a list: together they are the list, and no item comes twice."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.errors import InvalidQueryError
from engine.core.types import ItemId, PolicyOptions, Query, QueryPart, Recommendation, mark_of
from engine.query.settings import PolicySettings, RetrieveSettings
from tests.query.scene import MIXED, Scene, likes, scene
from tests.query.test_pipeline_properties import catalogue, queries
from tests.tiny import CONCEPTS, concept_text


def pages(world: Scene, query: Query, sizes: Iterator[int]) -> list[list[Recommendation]]:
    """A list read to its end."""
    return list(reading(world, query, sizes))


def reading(world: Scene, query: Query, sizes: Iterator[int]) -> Iterator[list[Recommendation]]:
    shown: frozenset[bytes] = frozenset()
    while True:
        answer = world.engine.recommend(replace(query, limit=next(sizes), shown=shown))
        yield list(answer.results)
        shown |= {mark_of(result.item) for result in answer.results}
        if not answer.full:
            return


def names(results: list[Recommendation]) -> list[ItemId]:
    return [result.item for result in results]


some_sizes = st.lists(st.integers(3, 20), min_size=1, max_size=4)


def around(sizes: list[int]) -> Iterator[int]:
    while True:
        yield from sizes


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(queries, some_sizes)
def test_pages_together_are_the_list(query: Query, sizes: list[int]) -> None:
    """With slots for interests, caps and thresholds; diversity compares with a whole list, however long that is."""
    query = replace(query, policy=replace(query.policy, diversity=0.0))
    whole = catalogue().engine.recommend(replace(query, limit=1000))
    read = [result for page in pages(catalogue(), query, around(sizes)) for result in page]
    assert names(read) == [result.item for result in whole.results]
    assert [result.rank for result in read] == list(range(1, len(read) + 1))
    if whole.tier != "cold":  # whose scores only tell the order of what was read
        assert [result.score for result in read] == pytest.approx([one.score for one in whole.results], abs=1e-4)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(queries, some_sizes)
def test_no_item_comes_twice_and_none_is_missing_however_varied(query: Query, sizes: list[int]) -> None:
    whole = catalogue().engine.recommend(replace(query, limit=1000))
    read = [result.item for page in pages(catalogue(), query, around(sizes)) for result in page]
    assert len(read) == len(set(read))
    if not query.policy.max_per_value:  # else another one of a value may be in the list
        assert set(read) == {result.item for result in whole.results}


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_nothing_comes_twice_while_items_are_written_and_deleted(data: st.DataObject) -> None:
    world = scene(concepts=CONCEPTS[:3], each=10)
    query = Query(parts=(QueryPart(concept_text(CONCEPTS[0], 90)),), history=likes(CONCEPTS[1], range(2)))
    read: list[ItemId] = []
    for number in range(6):
        shown = frozenset(map(mark_of, read))
        answer = world.engine.recommend(replace(query, limit=5, shown=shown))
        read += names(list(answer.results))
        for fresh in range(data.draw(st.integers(0, 4))):
            concept = data.draw(st.sampled_from(CONCEPTS[:3]))
            world.add(concept, 100 + 10 * number + fresh, data.draw(st.sampled_from(MIXED)))
        world.store.delete(data.draw(st.lists(st.sampled_from(read), max_size=2)))
        for again in data.draw(st.lists(st.sampled_from(read), max_size=2)):  # written anew, perhaps as another thing
            concept, _, own = again.partition("-")
            world.add(concept, int(own), MIXED[number % len(MIXED)])
    assert len(read) == len(set(read)) >= 25


def test_a_page_that_explores_shows_nothing_twice() -> None:
    world = scene(policy=PolicySettings(explore=0.5))
    query = Query(history=likes("cat", range(3)))
    read = [result for page in pages(world, query, iter([10, 10, 10, 900])) for result in page]
    assert len(read) == len(set(names(read)))
    assert {result.propensity for result in read[:30]} > {0.5}


def test_a_page_far_down_explores_no_more_than_the_first() -> None:
    """What earlier positions would show by chance is not what this page shows."""
    world = scene(policy=PolicySettings(explore=0.2, diversity=0.0))
    query = Query(history=likes("cat", range(3)))
    lists = [islice(reading(world, query, iter([5] * 10)), 10) for _ in range(3)]
    read = [result for one in lists for page in one for result in page]
    assert len(read) == 150
    assert sum(result.propensity < 0.5 for result in read) < 60  # 30 at 0.2; so many once in 10⁸ runs


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 3), st.floats(0, 1), some_sizes, st.booleans())
def test_caps_hold_over_all_pages_however_varied(most: int, diversity: float, sizes: list[int], liked: bool) -> None:
    asked = {"history": likes("cat", range(3))} if liked else {"parts": (QueryPart(concept_text("cat", 90)),)}
    policy = PolicyOptions(diversity=diversity, max_per_value={"concept": most})
    read = [one for page in pages(catalogue(), Query(policy=policy, **asked), around(sizes)) for one in page]
    assert max(Counter(one.payload["concept"] for one in read).values()) <= most


def test_a_list_ends_at_the_longest_limit() -> None:
    world = scene(concepts=CONCEPTS[:2], retrieve=RetrieveSettings(max_limit=15))
    shown = frozenset(mark_of(ItemId(str(number))) for number in range(10))
    parts = (QueryPart(concept_text(CONCEPTS[0], 90)),)
    assert len(world.ask(parts=parts, limit=5, shown=shown, policy=PolicyOptions()).results) == 5
    with pytest.raises(InvalidQueryError, match="10 were shown, and 6 more make 16: a list ends after 15"):
        world.ask(parts=parts, limit=6, shown=shown)
