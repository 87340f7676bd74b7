"""What is shown, and in which order."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.spaces.space import unit
from encoders.types import Modality
from engine.core.types import Candidates, ItemId, Payload, PolicyOptions, Tier
from engine.query.policy.caps import CappedRows
from engine.query.policy.select import Policy, likeness, select
from engine.query.scored import Meaning, Scored
from engine.query.settings import PolicySettings
from tests.query.scene import A, I, T
from tests.tiny import concept_image, concept_space, concept_text

CALIBRATION = concept_space().calibration


def pool(scores: list[float], payloads: list[Payload] | None = None, seed: int = 0) -> Candidates:
    size = len(scores)
    random = np.random.default_rng(seed)
    vectors = unit(random.standard_normal((size, 64)).astype(np.float32)) if size else np.zeros((0, 64), np.float32)
    return Candidates(
        tuple(ItemId(f"i{n}") for n in range(size)),
        np.array(scores, np.float32),
        dict.fromkeys(Modality, vectors),
        {m: np.full(size, m is T) for m in Modality},
        tuple(payloads or [{}] * size),
    )


def chosen(
    candidates: Candidates,
    interest: list[int] | None = None,
    shares: list[float] | None = None,
    limit: int = 10,
    related: float = 0.0,
    **rules: object,
) -> list[int]:
    policy = Policy(**({"diversity": 0.0, "max_per_value": {}, "min_score": None} | rules))  # type: ignore[arg-type]
    owners = np.array(interest if interest is not None else [0] * len(candidates), np.intp)
    found = Scored.of(
        candidates,
        Meaning.SIMILARITY,
        Tier.RETRIEVAL,
        lambda results, rows: [()] * len(rows),
        interest=owners,
        shares=np.array(shares or []),
        similarity=candidates.scores,
    ).above(policy.min_score)
    rows = select(found.candidates, found.interest, found.shares, limit, policy, CALIBRATION, 0.5, related)
    return found.rows[rows].tolist()


def test_one_interest_without_diversity_is_ranked_by_score():
    assert chosen(pool([0.1, 3.0, -1.0, 2.0, 2.5]), limit=4) == [1, 4, 3, 0]


def test_places_by_the_method_of_dhondt():
    # all as good; shares 3 : 2 : 1; quotients 3, 1.5, 1, .75 | 2, 1 | 1, .5, .33
    candidates = pool([4.0] * 9)
    interest = [2, 2, 2, 0, 0, 0, 0, 1, 1]
    assert chosen(candidates, interest, [3, 2, 1], limit=6) == [3, 7, 4, 5, 8, 0]  # of equals the heavier first
    assert chosen(candidates, interest, [3, 2, 1], limit=99) == [3, 7, 4, 5, 8, 0, 6, 1, 2]


@pytest.mark.parametrize("diversity", [0.0, 1e-9])
def test_a_place_is_claimed_by_weight_and_by_how_good_the_best_candidate_is(diversity):
    # beyond 1.0: .8, .7 | 2.8, 2.6, 2.4, 2.2 with half the weight; quotients .8, .35 | 1.4, .65, .4, .275
    candidates = pool([1.8, 1.7, 3.8, 3.6, 3.4, 3.2])
    interest = [0, 0, 1, 1, 1, 1]
    assert chosen(candidates, interest, [1, 0.5], related=1.0, diversity=diversity) == [2, 0, 3, 4, 1, 5]


@pytest.mark.parametrize("diversity", [0.0, 1e-9])
def test_an_interest_without_a_related_candidate_comes_last(diversity):
    candidates = pool([0.9, 0.5, 2.0, 1.5, 1.1, 0.7])
    interest = [0, 0, 1, 1, 1, 1]
    assert chosen(candidates, interest, [9, 1], related=1.0, diversity=diversity) == [2, 3, 4, 0, 5, 1]


def test_interests_of_like_similarity_share_the_positions_by_their_weight():
    candidates = pool(np.linspace(5, 3, 30).tolist() + np.linspace(4, 2.5, 30).tolist())
    rows = chosen(candidates, [0] * 30 + [1] * 30, [0.5, 0.5], limit=20, related=1.0)
    assert sum(row >= 30 for row in rows) >= 6


def test_an_interest_without_candidates_leaves_its_places_to_the_others():
    assert chosen(pool([1, 2, 3]), [0, 0, 0], [1, 100], limit=3, diversity=0.3) == [2, 1, 0]


@pytest.mark.parametrize("seed", range(5))
def test_greedy_without_diversity_is_the_plain_order(seed):
    random = np.random.default_rng(seed)
    candidates = pool(random.standard_normal(300).tolist(), seed=seed)
    interest = random.integers(0, 3, 300).tolist()
    shares = [0.5, 0.3, 0.2001]
    plain = chosen(candidates, interest, shares, limit=40)
    greedy = chosen(candidates, interest, shares, limit=40, max_per_value={"none": 1})
    nearly = chosen(candidates, interest, shares, limit=40, diversity=1e-9)
    assert plain == greedy == nearly


def test_more_diversity_makes_lists_less_alike():
    space = concept_space()
    vectors = space.encode([concept_text(c, seed) for c in ("bird", "cat", "car", "bell") for seed in range(15)])
    size = len(vectors)
    scores = np.repeat([4.0, 3.0, 2.0, 1.0], 15) + np.linspace(0.5, 0, size)
    candidates = Candidates(
        tuple(ItemId(str(n)) for n in range(size)),
        scores.astype(np.float32),
        dict.fromkeys(Modality, vectors),
        {m: np.full(size, m is T) for m in Modality},
        tuple({} for _ in range(size)),
    )
    alike = likeness(candidates, space.calibration, 0.5)
    inside, gained = [], []
    for diversity in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        rows = chosen(candidates, limit=12, diversity=diversity)
        assert len(set(rows)) == 12
        inside.append((alike[np.ix_(rows, rows)].sum() - 12) / (12 * 11))
        gained.append(scores[rows].mean())
    assert inside[0] > 0.5 > inside[-1]
    assert all(later <= earlier + 0.02 for earlier, later in pairwise(inside))
    assert gained[0] == max(gained)


def test_diversity_is_sought_among_what_is_relevant():
    """Three dogs liked, and at diversity .6 the list had one dog, a bicycle and a laser."""
    random = np.random.default_rng(3)
    dogs = 0.7 * random.standard_normal((1, 64)) + 0.7 * random.standard_normal((25, 64))
    others = random.standard_normal((75, 64))
    vectors = unit(np.concatenate([dogs, others]).astype(np.float32))
    plain = pool(np.linspace(5, 3, 25).tolist() + np.linspace(2, 0, 75).tolist())
    candidates = Candidates(plain.ids, plain.scores, dict.fromkeys(Modality, vectors), plain.present, plain.payloads)
    alike = likeness(candidates, CALIBRATION, 0.5)
    best, varied = chosen(candidates), chosen(candidates, diversity=0.6)
    assert sum(row < 25 for row in varied) >= 6
    assert varied[0] == 0
    assert alike[np.ix_(varied, varied)].sum() < alike[np.ix_(best, best)].sum()


def test_one_copy_far_above_the_rest_leaves_their_order_to_the_scores():
    candidates = pool([40.0, *np.linspace(5, 3, 20).tolist()])
    below = pool([5.2, *np.linspace(5, 3, 20).tolist()])
    assert chosen(candidates, diversity=0.1) == chosen(below, diversity=0.1)
    assert chosen(candidates, diversity=0.3, limit=2)[0] == 0


def test_two_of_the_same_are_not_shown_together_at_high_diversity():
    candidates = pool([3.0, 2.9, 1.0])
    same = {m: candidates.vectors[m].copy() for m in Modality}
    for matrix in same.values():
        matrix[1] = matrix[0]
    twins = Candidates(candidates.ids, candidates.scores, same, candidates.present, candidates.payloads)
    assert chosen(twins, limit=2) == [0, 1]
    assert chosen(twins, limit=2, diversity=0.9) == [0, 2]


def test_likeness_looks_across_modalities():
    space = concept_space()
    vectors = space.encode([concept_text("bird", 1), concept_image("bird", 2), concept_text("car", 3)])
    has = {T: np.array([True, False, True]), I: np.array([False, True, False]), A: np.zeros(3, bool)}
    items = Candidates(
        (ItemId("a"), ItemId("b"), ItemId("c")),
        np.zeros(3, np.float32),
        {m: vectors * has[m][:, None] for m in Modality},
        has,
        ({}, {}, {}),
    )
    alike = likeness(items, space.calibration, 0.5)
    assert alike.diagonal() == pytest.approx(1.0, abs=1e-3)
    assert alike == pytest.approx(alike.T)
    assert alike[0, 1] > 0.4 > 0.2 > alike[0, 2]


def test_caps():
    payloads: list[Payload] = [
        {"a": "x"},
        {"a": "x"},
        {"a": "y", "tags": ["p", "q"]},
        {},
        {"a": "x"},
        {"tags": ["q"]},
    ]
    candidates = pool([6, 5, 4, 3, 2, 1], payloads)
    assert chosen(candidates, max_per_value={"a": 1}) == [0, 2, 3, 5]
    assert chosen(candidates, max_per_value={"a": 2}) == [0, 1, 2, 3, 5]
    assert chosen(candidates, max_per_value={"tags": 1}) == [0, 1, 2, 3, 4]
    assert chosen(candidates, max_per_value={"tags": 1, "a": 1}) == [0, 2, 3]


def test_caps_reach_beyond_the_pool_of_diversity():
    payloads: list[Payload] = [{"a": "x"}] * 150 + [{"a": "y"}] * 3
    candidates = pool(np.linspace(9, 1, len(payloads)).tolist(), payloads)
    rows = chosen(candidates, limit=4, diversity=0.2, max_per_value={"a": 2})
    assert rows[:1] == [0]
    assert [payloads[row]["a"] for row in rows] == ["x", "x", "y", "y"]


def test_caps_leave_places_to_each_interest():
    """Two interests alike good; the first thirty of one are of one brand."""
    payloads: list[Payload] = [{"brand": "x"}] * 30 + [{"brand": str(n)} for n in range(50)]
    candidates = pool(np.linspace(5, 4, 50).tolist() + np.linspace(5, 4, 30).tolist(), payloads)
    rows = chosen(candidates, [0] * 50 + [1] * 30, [0.5, 0.5], limit=10, diversity=0.1, max_per_value={"brand": 1})
    assert sum(row < 50 for row in rows) >= 4


def test_values_of_different_fields_are_counted_apart():
    caps = CappedRows({"a": 1, "b": 1}, [{"a": "v"}, {"b": "v"}, {"a": "v"}])
    assert caps.take(0) == [0, 2]
    assert caps.take(1) == [1]


def test_the_least_score():
    assert chosen(pool([3.0, 1.0, 2.0]), min_score=2.0) == [0, 2]
    assert chosen(pool([3.0, 1.0, 2.0]), min_score=9.0) == []


def test_no_candidates():
    assert chosen(pool([])) == []
    assert chosen(pool([]), diversity=0.5, shares=[1.0]) == []


def test_a_request_s_own_rules_over_the_settings():
    settings = PolicySettings(diversity=0.3, max_per_value={"a": 1}, min_score=1.5)
    assert Policy.of(PolicyOptions(), settings) == Policy(0.3, {"a": 1}, 1.5)
    own = PolicyOptions(diversity=0.0, max_per_value={"b": 2}, min_score=0.0)
    assert Policy.of(own, settings) == Policy(0.0, {"b": 2}, 0.0)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 2), st.sampled_from("abc")), max_size=30),
    st.integers(1, 12),
    st.sampled_from([0.0, 0.1, 0.7, 1.0]),
    st.sampled_from([{}, {"a": 1}, {"a": 3}]),
    st.sampled_from([None, 0.0]),
)
def test_always(rows, limit, diversity, caps, least):
    candidates = pool([score for score, _, _ in rows], [{"a": value} for _, _, value in rows])
    got = chosen(
        candidates,
        [interest for _, interest, _ in rows],
        [0.5, 0.3, 0.2],
        limit,
        diversity=diversity,
        max_per_value=caps,
        min_score=least,
    )
    assert len(got) == len(set(got)) <= limit
    assert all(least is None or candidates.scores[row] >= least for row in got)
    values = [rows[row][2] for row in got]
    assert all(values.count(value) <= caps.get("a", 99) for value in values)
    eligible = [value for score, _, value in rows if least is None or np.float32(score) >= least]
    room = sum(min(eligible.count(value), caps.get("a", 99)) for value in set(eligible))
    assert len(got) == min(limit, room)
