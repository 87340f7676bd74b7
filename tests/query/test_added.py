"""Candidate sources and policy rules in the pipeline."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from encoders.types import Modality
from engine.core.errors import PluginError
from engine.core.filters import Match
from engine.core.types import Event, EventKind, ItemId, PolicyOptions, Query, QueryPart, ReasonKind
from engine.encode.encoding import DirectEncoder
from engine.query.pipeline import Engine
from engine.query.policy.rules import PolicyRule
from engine.query.scored import Scored
from engine.query.settings import RetrieveSettings
from engine.query.sources import CandidateSource
from tests.query.scene import NOW, Scene, likes, names_of, scene
from tests.tiny import concept_space, concept_text

FEW = RetrieveSettings(candidates=1, overfetch=1)


class Named:
    """Names always the same items."""

    reason = ReasonKind.POPULAR

    def __init__(self, *names: str) -> None:
        self._names = [ItemId(name) for name in names]

    def candidates(self, *_: object) -> Sequence[ItemId]:
        return self._names


class Failing:
    reason = ReasonKind.FRESH
    reads_payloads = False

    def candidates(self, *_: object) -> Sequence[ItemId]:
        raise KeyError("no")

    def apply(self, query: Query, scored: Scored) -> Scored:
        raise KeyError("no")


class Only:
    """Leaves the items of a concept, by their payload."""

    reads_payloads = True

    def __init__(self, concept: str) -> None:
        self._concept = concept

    def apply(self, query: Query, scored: Scored) -> Scored:
        return scored.take(np.flatnonzero([p["concept"] == self._concept for p in scored.candidates.payloads]))


class Upside:
    """The worst first."""

    reads_payloads = False

    def apply(self, query: Query, scored: Scored) -> Scored:
        return scored.rescored(-scored.candidates.scores)


@pytest.fixture(scope="module")
def small() -> Scene:
    return scene(("bird", "car", "cat"), each=6, modalities=((Modality.TEXT,), (Modality.IMAGE,)))


def engine_of(
    small: Scene,
    sources: Mapping[str, CandidateSource] | None = None,
    rules: Mapping[str, PolicyRule] | None = None,
    retrieve: RetrieveSettings | None = None,
) -> Engine:
    space = concept_space()
    return Engine(
        DirectEncoder(space),
        space.manifest,
        small.store,
        clock=lambda: NOW,
        sources=sources,
        rules=rules,
        retrieve_settings=retrieve,
    )


BIRDS = Query(parts=(QueryPart(concept_text("bird", 50)),), limit=3)


def test_a_source_adds_to_what_the_searches_find(small: Scene) -> None:
    everything = names_of(engine_of(small).recommend(Query(parts=BIRDS.parts, limit=18)))
    far = everything[-2:]
    rules = {"upside": Upside()}
    assert not set(far) & set(names_of(engine_of(small, None, rules, FEW).recommend(BIRDS)))
    engine = engine_of(small, {"far": Named(*far)}, rules, FEW)
    assert set(names_of(engine.recommend(BIRDS))[:2]) == set(far)


def test_what_a_source_names_is_scored_and_explained_like_all_else(small: Scene) -> None:
    best = engine_of(small).recommend(BIRDS).results[0]
    engine = engine_of(small, {"best": Named(best.item, best.item, "not there")})
    assert [(r.item, r.score, r.reasons) for r in engine.recommend(BIRDS).results] == [
        (r.item, r.score, r.reasons) for r in engine_of(small).recommend(BIRDS).results
    ]


def test_a_source_cannot_show_what_must_not_be_shown(small: Scene) -> None:
    engine = engine_of(small, {"any": Named("car-0", "car-1", "car-2", "cat-0")}, retrieve=FEW)
    wide = Query(
        history=likes("bird", [0]),
        filter=Match("concept", "car"),
        modalities=(Modality.IMAGE,),
        limit=18,
        policy=PolicyOptions(exclude=(ItemId("car-3"),)),
    )
    for query in (wide, Query(filter=wide.filter, modalities=wide.modalities, limit=18, policy=wide.policy)):
        assert set(names_of(engine.recommend(query))) <= {"car-1", "car-5"}


def test_for_a_user_without_history_sources_take_turns_with_what_is_popular(small: Scene) -> None:
    old = ["bird-0", "bird-1"]
    nobody = Query(limit=5, policy=PolicyOptions(diversity=0.0))
    before = names_of(engine_of(small, retrieve=FEW).recommend(nobody))
    assert not set(old) & set(before)
    for sources in ({"old": Named(*old, before[0])}, {"first": Named(old[0]), "second": Named(before[0], old[1])}):
        shown = engine_of(small, sources, retrieve=FEW).recommend(nobody).results
        assert [r.item for r in shown] == [before[0], old[0], before[1], old[1], before[2]]
        assert [r.reasons[0].kind for r in shown if r.item in old] == [ReasonKind.POPULAR] * 2


def test_a_source_that_fails_is_left_out(small: Scene) -> None:
    engine = engine_of(small, {"failing": Failing()})
    assert names_of(engine.recommend(BIRDS)) == names_of(engine_of(small).recommend(BIRDS))


def test_rules_are_applied_in_their_order_and_get_payloads(small: Scene) -> None:
    engine = engine_of(small, rules={"only": Only("car"), "upside": Upside()})
    for query in (BIRDS, Query(limit=3), Query(history=(Event(EventKind.LIKE, ItemId("bird-0")),), limit=3)):
        shown = names_of(engine.recommend(query))
        plain = names_of(engine_of(small, rules={"only": Only("car")}).recommend(query))
        assert len(shown) == len(plain) == 3
        assert {name.split("-")[0] for name in shown + plain} == {"car"}
        assert shown != plain


def test_a_rule_that_fails_ends_the_request(small: Scene) -> None:
    with pytest.raises(PluginError, match=r"policy rule 'failing' failed .*KeyError"):
        engine_of(small, rules={"failing": Failing()}).recommend(BIRDS)


class Gives:
    """A rule that gives what it is told to make of the candidates."""

    reads_payloads = False

    def __init__(self, make: Callable[[Scored], object]) -> None:
        self._make = make

    def apply(self, query: Query, scored: Scored) -> Scored:
        return self._make(scored)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda scored: None, "it gave a NoneType, not Scored"),
        (lambda scored: scored.rescored(np.full(len(scored.candidates), np.nan, np.float32)), "not finite"),
        (lambda scored: scored.rescored(np.zeros(1, np.float32)), r"scores \(1,\)"),
        (lambda scored: scored.take(np.array([3, 5, 3])), "it gave '.*' more than once"),
        (lambda scored: replace(scored, rows=scored.rows + 1), "it gave row 18 of a pool of 18 candidates"),
        (lambda scored: replace(scored, rows=scored.rows - 1), "it gave row -1 of a pool of 18 candidates"),
    ],
)
def test_a_rule_that_gives_something_else_is_named(small: Scene, make: Callable[[Scored], object], said: str) -> None:
    engine = engine_of(small, rules={"odd": Gives(make), "upside": Upside()})
    with pytest.raises(PluginError, match=rf"policy rule 'odd' failed .*{said}"):
        engine.recommend(BIRDS)
