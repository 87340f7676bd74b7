"""Places that show another candidate at random, and how probable each item was."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.types import Event, EventKind, Query, QueryPart
from engine.encode.encoding import DirectEncoder
from engine.query.pipeline import Engine
from engine.query.policy.explore import explore
from engine.query.settings import PolicySettings
from tests.query.scene import NOW, Scene, scene
from tests.tiny import concept_space, concept_text


@given(st.integers(0, 12), st.integers(0, 30), st.floats(0, 1), st.integers(0, 1000))
def test_a_list_keeps_its_length_and_shows_nothing_twice(
    positions: int, others: int, share: float, seed: int
) -> None:
    chosen = np.arange(positions)
    rows, chances = explore(chosen, np.arange(positions + others), share, np.random.default_rng(seed))
    assert len(rows) == len(chances) == len(set(rows.tolist())) == positions
    kept = rows == chosen
    assert ((chances > 0) & (chances <= 1)).all()
    if others < positions or share == 0 or not positions:
        assert kept.all() and (chances == 1).all()
    else:
        assert chances[kept] == pytest.approx(1 - share) and chances[~kept] == pytest.approx(share / others)


def test_the_probabilities_are_those_of_what_happens() -> None:
    random, chosen, allowed = np.random.default_rng(5), np.array([4, 2, 7]), np.arange(9)
    seen: Counter[tuple[int, int]] = Counter()
    said: dict[tuple[int, int], float] = {}
    rounds = 20_000
    for _ in range(rounds):
        rows, chances = explore(chosen, allowed, 0.3, random)
        for position, (row, chance) in enumerate(zip(rows.tolist(), chances.tolist(), strict=True)):
            seen[position, row] += 1
            said[position, row] = chance
    assert len(seen) == 3 * 7  # each position shows its own item, or one of the six others
    for key, chance in said.items():
        assert seen[key] / rounds == pytest.approx(chance, abs=5 * np.sqrt(chance / rounds))


def with_policy(small: Scene, policy: PolicySettings) -> Engine:
    space = concept_space()
    return Engine(DirectEncoder(space), space.manifest, small.store, policy_settings=policy, clock=lambda: NOW)


def test_what_is_like_something_disliked_is_not_drawn() -> None:
    """The catalogue is of cats and cars; of whom nothing is known that they like, the popular items are tried too."""
    small = scene(("cat", "car"))
    engine = with_policy(small, PolicySettings(explore=1.0))
    names = [point.id for point in small.store.scroll(limit=50).points]
    cat, car = (next(name for name in names if name.startswith(concept)) for concept in ("cat", "car"))
    hated = Event(EventKind.DISLIKE, car, time=NOW)
    for history in ((hated,), (Event(EventKind.LIKE, cat, time=NOW), hated)):
        plain = small.engine.recommend(Query(history=history, limit=40))
        usual = [one.item for one in plain.results[:5]]
        drawn: Counter[str] = Counter()
        chances = set()
        for _ in range(60):
            found = engine.recommend(Query(history=history, limit=5))
            drawn.update(one.item for one in found.results)
            chances.update(one.propensity for one in found.results)
        assert all(name.startswith("cat") for name in drawn) and not drawn.keys() & set(usual)
        (chance,) = chances
        assert chance == pytest.approx(1 / len(drawn))


def test_an_engine_explores_recommendations_only_and_says_the_chances() -> None:
    small = scene(("cat", "car"))
    engine = with_policy(small, PolicySettings(explore=0.5))
    liked = next(name.id for name in small.store.scroll(limit=50).points if name.id.startswith("cat"))
    history = (Event(EventKind.LIKE, liked, time=NOW),)
    plain = small.engine.recommend(Query(history=history, limit=5))
    assert {one.propensity for one in plain.results} == {1.0}
    usual = [one.item for one in plain.results]
    changed = 0
    for _ in range(20):
        found = engine.recommend(Query(history=history, limit=5))
        assert len({one.item for one in found.results}) == 5
        for position, one in enumerate(found.results):
            assert one.rank == position + 1 and one.reasons
            assert (one.propensity == 0.5) == (one.item == usual[position])
            changed += one.item != usual[position]
    assert 20 < changed < 80
    asked = Query(parts=(QueryPart(concept_text("cat", 1)),), history=history, limit=5)
    assert {one.propensity for one in engine.recommend(asked).results} == {1.0}
    capped = with_policy(small, PolicySettings(explore=0.5, max_per_value={"concept": 2}))
    assert {one.propensity for one in capped.recommend(Query(history=history, limit=5)).results} == {1.0}
