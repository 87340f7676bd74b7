"""The gate: the interval of the difference has to lie above zero, on enough people."""

from dataclasses import replace

import numpy as np
import pytest

from engine.core.errors import SettingsError
from engine.learn.gate import MIN_NEW, NewUsers, judge_challenger


def values(seed: int, size: int = 2000) -> np.ndarray:
    return np.random.default_rng(seed).beta(0.3, 2, size)


def test_a_clear_gain_passes_and_a_clear_loss_does_not() -> None:
    old = values(0)
    new = np.clip(old + np.random.default_rng(1).normal(0.02, 0.1, len(old)), 0, 1)
    passed = judge_challenger(new, old, metric="ndcg_at_10")
    assert passed.promote
    assert 0 < passed.low < passed.difference < passed.high
    np.testing.assert_allclose(passed.difference, (new - old).mean())
    assert passed.reason.startswith("better: ndcg_at_10 +")
    refused = judge_challenger(old, new)
    assert not refused.promote
    assert refused.high < 0
    np.testing.assert_allclose((refused.low, refused.high), (-passed.high, -passed.low), atol=2e-3)


def test_no_difference_does_not_pass() -> None:
    old = values(0)
    verdict = judge_challenger(old, old)
    assert (verdict.promote, verdict.low, verdict.high) == (False, 0.0, 0.0)
    assert "does not lie above zero" in verdict.reason


def test_the_interval_is_the_one_of_the_normal_approximation() -> None:
    gap = np.random.default_rng(2).normal(0.01, 0.2, 5000)
    verdict = judge_challenger(gap, np.zeros(5000))
    error = gap.std(ddof=1) / np.sqrt(5000)
    np.testing.assert_allclose((verdict.low, verdict.high), gap.mean() + 1.96 * error * np.array([-1, 1]), atol=5e-4)


def test_equal_challengers_pass_seldom() -> None:
    """Two-sided 95 %: one in forty passes by chance."""
    passed = 0
    for seed in range(200):
        noise = np.random.default_rng(seed).normal(0, 0.1, 300)
        passed += judge_challenger(noise, np.zeros(300), seed=seed).promote
    assert passed <= 14  # more has probability 1e-4


def test_cases_of_one_person_count_together() -> None:
    """A hundred times the same case of each of 120 people tells no more than one of each."""
    gap = np.random.default_rng(3).normal(0.02, 0.1, 120)
    once = judge_challenger(gap, np.zeros(120))
    often, users = np.repeat(gap, 100), np.repeat(np.arange(120), 100)
    together = judge_challenger(often, np.zeros(12000), users=users)
    np.testing.assert_allclose((together.low, together.high), (once.low, once.high), atol=1e-9)
    apart = judge_challenger(often, np.zeros(12000))
    assert apart.high - apart.low < (once.high - once.low) / 5


def test_too_few_people_are_refused_with_a_reason() -> None:
    for count in (0, 1, 99):
        verdict = judge_challenger(np.ones(count), np.zeros(count))
        assert not verdict.promote
        assert f"{count} users in the held-out cases are too few, 100 are needed" in verdict.reason
    users = np.arange(500) % 99
    assert "99 users" in judge_challenger(np.ones(500), np.zeros(500), users=users).reason
    assert judge_challenger(np.ones(100), np.zeros(100)).promote


def test_the_same_seed_says_the_same() -> None:
    new, old = values(4, 500), values(5, 500)
    assert judge_challenger(new, old, seed=7) == judge_challenger(new, old, seed=7)


def new_users(count: int, **gains: float) -> NewUsers:
    """People of whom nothing is known, who fare by so much better than with each of the others."""
    random = np.random.default_rng(6)
    mine = random.beta(2, 2, count)
    others = {name: mine - gain + random.normal(0, 0.05, count) for name, gain in gains.items()}
    return NewUsers(mine, others, np.arange(count))


def test_what_harms_new_people_is_refused_however_good_it_is_for_others() -> None:
    old = values(0)
    better = old + 0.05
    assert judge_challenger(better, old).promote
    harmed = judge_challenger(better, old, new_users=new_users(60, serving=0.1, popularity=-0.2))
    assert not harmed.promote
    assert (harmed.difference, harmed.low) == pytest.approx((0.05, 0.05))
    assert harmed.reason.startswith("harms new users: ndcg_at_10 of 60 users without a history -0.")
    assert "against popularity lies below zero" in harmed.reason
    assert "against serving" not in harmed.reason
    assert "learn.first_steps" in harmed.reason
    assert "on the whole better: ndcg_at_10 +0.0500" in harmed.reason
    both = judge_challenger(old, better, new_users=new_users(60, serving=-0.1, popularity=-0.2))
    assert "against serving and -0." in both.reason
    assert "on the whole not better" in both.reason


def test_how_new_people_fare_is_said_where_they_are_not_harmed() -> None:
    old = values(0)
    passed = judge_challenger(old + 0.05, old, new_users=new_users(60, serving=0.1, popularity=0.0))
    assert passed.promote
    assert "; 60 new users: +0.1" in passed.reason
    assert "against popularity" in passed.reason
    assert not judge_challenger(old, old, new_users=new_users(60, serving=0.1)).promote  # it is no better for others


def test_too_few_new_people_are_not_judged_on() -> None:
    old = values(0)
    few = judge_challenger(old + 0.05, old, new_users=new_users(MIN_NEW - 1, popularity=-0.5))
    assert few.promote
    assert f"{MIN_NEW - 1} new users are too few to judge on, {MIN_NEW} are needed" in few.reason
    assert not judge_challenger(old + 0.05, old, new_users=new_users(MIN_NEW, popularity=-0.5)).promote
    twice = replace(new_users(MIN_NEW, popularity=-0.5), users=np.arange(MIN_NEW) // 2)
    assert judge_challenger(old + 0.05, old, new_users=twice).promote


@pytest.mark.parametrize(
    ("new", "old", "users"),
    [
        ([1.0], [1.0, 2.0], None),
        ([[1.0]], [[1.0]], None),
        ([np.nan], [1.0], None),
        ([1.0], [np.inf], None),
        ([1.0], [1.0], [1, 2]),
    ],
)
def test_cases_that_do_not_match_are_refused(new: object, old: object, users: object) -> None:
    with pytest.raises(SettingsError):
        judge_challenger(new, old, users=users)  # type: ignore[arg-type]
