"""Searches of many calls in one batch: the same hits as alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from engine.core.deadline import Deadline
from engine.core.errors import CancelledError, DeadlineError, InvalidQueryError, OverloadedError
from engine.core.filters import Match
from engine.core.types import Query, QueryPart
from engine.encode.encoding import DirectEncoder
from engine.query.pipeline import Engine
from engine.query.search import BatchedSearch, DirectSearch, Search
from engine.store.base import VectorQuery
from tests.query.scene import NOW, I, Scene, T, likes, names_of, scene
from tests.tiny import CONCEPTS, concept_space, concept_text


@pytest.fixture(scope="module")
def mixed() -> Scene:
    return scene(each=6)


@pytest.fixture(params=["direct", "batched"])
def search(request, mixed: Scene) -> Iterator[Search]:
    """Both implementations of the protocol."""
    if request.param == "direct":
        yield DirectSearch(mixed.store)
        return
    made = BatchedSearch(mixed.store, max_batch=4, max_queue=100)
    yield made
    made.close()


def queries(concept: str, field: str = "concept") -> list[VectorQuery]:
    vector = concept_space().encode([concept_text(concept)])[0]
    return [VectorQuery(vector, T, 5, Match(field, concept)), VectorQuery(vector, I, 3)]


def test_many_threads_get_the_hits_of_the_store(mixed: Scene, search: Search):
    def ask(concept: str) -> bool:
        found = search.search(queries(concept), Deadline())
        for mine, plain in zip(found, mixed.store.query(queries(concept)), strict=True):
            assert mine.ids == plain.ids
            assert np.array_equal(mine.scores, plain.scores)
        return True

    with ThreadPoolExecutor(12) as threads:
        assert all(threads.map(ask, CONCEPTS * 5))


def test_a_bad_filter_fails_its_own_call_alone(search: Search):
    def ask(number: int) -> bool:
        if number % 4 == 0:
            with pytest.raises(InvalidQueryError, match="colour"):
                search.search(queries("cat", "colour"), Deadline())
            return True
        return len(search.search(queries("cat"), Deadline())) == 2

    with ThreadPoolExecutor(12) as threads:
        assert all(threads.map(ask, range(40)))


def test_deadlines(search: Search):
    with pytest.raises(DeadlineError):
        search.search(queries("cat"), Deadline(-1))
    gone = Deadline()
    gone.cancel()
    with pytest.raises(CancelledError):
        search.search(queries("cat"), gone)


def test_a_closed_one_refuses(mixed: Scene):
    search = BatchedSearch(mixed.store)
    search.close()
    with pytest.raises(OverloadedError, match="searching has stopped"):
        search.search(queries("cat"), Deadline())


def test_an_engine_answers_the_same_with_either(mixed: Scene, search: Search):
    space = concept_space()
    engine = Engine(DirectEncoder(space), space.manifest, mixed.store, search=search, clock=lambda: NOW)
    for query in (
        Query(parts=(QueryPart(concept_text("cat")),)),
        Query(history=likes("bird", [0, 1]) + likes("car", [2])),
    ):
        assert names_of(engine.recommend(query)) == names_of(mixed.engine.recommend(query))
