"""Stages can be replaced from outside, and what scores mean goes with them."""

from dataclasses import replace

import numpy as np
import pytest

from encoders.types import Rows
from engine.core.types import UNTRAINED, Candidates, ItemId, PolicyOptions, Query, Reason, ReasonKind, Tier
from engine.encode.encoding import DirectEncoder
from engine.query.pipeline import Engine
from engine.query.scored import LEARNED, Meaning, Scored
from engine.query.stages import Request, Stages, Tools, popular_items, select_items
from tests.query.scene import NOW, Scene, likes, names_of, scene
from tests.tiny import concept_space


@pytest.fixture(scope="module")
def shop() -> Scene:
    return scene(each=6)


def engine_with(shop: Scene, stages: Stages) -> Engine:
    space = concept_space()
    return Engine(DirectEncoder(space), space.manifest, shop.store, clock=lambda: NOW, stages=stages)


def test_another_cold_start(shop: Scene) -> None:
    """The shop's own choice for those who are new; all that follows treats it like any other candidates."""

    def of_the_day(request: Request, tools: Tools) -> Scored:
        chosen = tools.store.candidates([ItemId("car-1"), ItemId("cat-2"), ItemId("drum-3")])
        scores = np.array([3.0, 2.0, 1.0], np.float32)
        why = lambda results, rows: [(Reason(ReasonKind.POPULAR),)] * len(rows)  # noqa: E731
        return Scored.of(chosen.scored(scores), Meaning.ORDER, "of-the-day", why)

    engine = engine_with(shop, Stages(popular=of_the_day))
    answer = engine.recommend(Query(limit=2, policy=PolicyOptions(min_score=99.0)))
    assert (names_of(answer), answer.tier, answer.model) == (["car-1", "cat-2"], "of-the-day", UNTRAINED)
    assert engine.recommend(Query(history=likes("cat", [0]), limit=1)).tier == Tier.RETRIEVAL


def test_a_selection_of_ones_own_over_the_engine_s(shop: Scene) -> None:
    def backwards(request: Request, scored: Scored, tools: Tools) -> tuple[Scored, np.ndarray]:
        chosen, propensities = select_items(request, scored, tools)
        return chosen.take(np.arange(len(propensities))[::-1]), propensities[::-1]

    query = Query(history=likes("cat", [0, 1]), limit=5)
    plain = shop.engine.recommend(query)
    turned = engine_with(shop, Stages(select=backwards)).recommend(query)
    assert names_of(turned) == names_of(plain)[::-1]
    why = [[[reason.index for reason in result.reasons] for result in one.results] for one in (turned, plain)]
    assert why[0] == why[1][::-1]


def test_the_engine_s_own_stages_are_the_default(shop: Scene) -> None:
    query = Query(limit=4)
    own = engine_with(shop, replace(Stages(), popular=popular_items)).recommend(query)
    assert names_of(own) == names_of(shop.engine.recommend(query))


def scored(size: int = 4, similarity: list[float] | None = None) -> Scored:
    pool = Candidates(
        tuple(ItemId(str(row)) for row in range(size)), np.arange(size, dtype=np.float32)[::-1], {}, {}, ({},) * size
    )

    def explain(results: Candidates, rows: Rows) -> list[tuple[Reason, ...]]:
        return [(Reason(ReasonKind.EVENT, int(row)),) for row in rows]

    held = None if similarity is None else np.array(similarity, np.float32)
    return Scored.of(pool, Meaning.SIMILARITY, Tier.RETRIEVAL, explain, similarity=held, related=1.0)


def test_a_threshold_is_about_similarity_whatever_the_scores_are() -> None:
    found = scored(similarity=[0.5, 3.0, 2.0, 1.0])
    ranked = found.pool.take([3, 0, 2]).scored(np.array([9.0, 8.0, 7.0], np.float32))
    made = found.reranked(ranked, "full")
    assert (made.meaning, made.tier, made.shares.tolist(), set(made.interest.tolist())) == (
        Meaning.UTILITY,
        "full",
        [1.0],
        {0},
    )
    assert made.above(1.0).candidates.ids == ("3", "2")
    assert made.above(None).candidates.ids == ("3", "0", "2")
    assert scored().above(99.0).candidates.ids == ("0", "1", "2", "3")  # an order has no threshold


def test_a_rate_is_about_the_query_whatever_a_model_says() -> None:
    relevance = np.array([0.2, 0.95, 0.6, 0.999], np.float32)
    found = replace(scored(), relevance=relevance)
    made = found.reranked(found.pool.take([3, 0, 2, 1]), "full")
    assert made.fitting(0.1).candidates.ids == ("3", "1")
    assert made.fitting(0.1).relevance_of_each() == pytest.approx([0.999, 0.95])
    assert made.fitting(None) is made
    assert scored().fitting(0.01).candidates.ids == ("0", "1", "2", "3")  # nothing is asked for


def test_what_the_similarity_does_not_speak_for_was_learned() -> None:
    found = scored(similarity=[0.5, 3.0, 2.0, 1.0])
    made = found.reranked(found.pool.take([0, 3]), "full")
    assert list(made.reasons()) == [LEARNED, (Reason(ReasonKind.EVENT, 3),)]
    assert list(found.take(np.array([2, 0])).reasons()) == [
        (Reason(ReasonKind.EVENT, 2),),
        (Reason(ReasonKind.EVENT, 0),),
    ]
