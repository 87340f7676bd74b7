"""Intervals and tests, against scipy's and against known truths."""

from datetime import UTC, datetime

import numpy as np
import pytest
from scipy import stats as reference

from engine.core.types import Event, EventKind, ItemId, UserId
from engine.events.types import Impression, Served
from engine.learn.evaluation.off_policy import Logged, logged_positions, off_policy, rate
from engine.learn.evaluation.stats import Draws, bootstrap, paired, unpaired


def test_the_interval_is_scipys() -> None:
    values = np.random.default_rng(1).gamma(2, size=150)
    ours = bootstrap(values, draws=Draws(samples=20_000))
    theirs = reference.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=2)
    low, high = theirs.confidence_interval
    assert ours.mean == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_the_p_value_is_scipys() -> None:
    random = np.random.default_rng(3)
    ours, theirs = random.random(40) + 0.05, random.random(40)
    told = paired(ours, theirs, draws=Draws(samples=20_000))
    exact = reference.permutation_test(
        (ours, theirs), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=20_000, rng=4
    )
    assert told.p_value == pytest.approx(exact.pvalue, abs=0.02)
    assert told.low < told.mean < told.high


def test_unpaired_is_scipys() -> None:
    random = np.random.default_rng(3)
    ours, theirs = random.gamma(2, size=60) + 0.3, random.gamma(2, size=45)
    told = unpaired(ours, np.arange(60), theirs, np.arange(45), draws=Draws(samples=20_000))

    def apart(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.mean(a, axis=axis) - np.mean(b, axis=axis)

    drawn = reference.bootstrap((ours, theirs), apart, n_resamples=20_000, method="percentile", rng=2)
    low, high = drawn.confidence_interval
    assert (told.low, told.high) == pytest.approx((low, high), abs=0.1 * (high - low))
    exact = reference.permutation_test((ours, theirs), apart, n_resamples=20_000, rng=4)
    assert told.p_value == pytest.approx(exact.pvalue, abs=0.02)
    assert told.mean == pytest.approx(ours.mean() - theirs.mean())


def test_unpaired_draws_people_whole() -> None:
    values = np.random.default_rng(6).random(60)
    users = np.arange(30)
    apart = unpaired(values[:30], users, values[30:], users)
    repeated, who = np.repeat(values, 8), np.repeat(users, 8)
    together = unpaired(repeated[:240], who, repeated[240:], who)
    assert (together.low, together.high, together.p_value) == pytest.approx((apart.low, apart.high, apart.p_value))
    assert np.isnan(unpaired(values, np.arange(60), np.zeros(0), np.zeros(0, np.int64)).mean)


def test_a_clear_difference_is_found_and_none_is_not() -> None:
    values = np.random.default_rng(5).random(200)
    assert paired(values + 0.1, values).p_value < 0.001
    same = paired(values, values)
    assert (same.mean, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_people_are_drawn_whole() -> None:
    values = np.repeat(np.random.default_rng(6).random(50), 8)
    together = bootstrap(values, np.repeat(np.arange(50), 8))
    apart = bootstrap(values)
    assert together.high - together.low > 2 * (apart.high - apart.low)
    assert paired(values, values * 0, np.repeat(np.arange(50), 8)).count == 400


def test_equal_seeds_give_equal_intervals_and_nan_is_left_out() -> None:
    values = np.append(np.random.default_rng(7).random(30), np.nan)
    assert bootstrap(values, draws=Draws(seed=1)) == bootstrap(values[:-1], draws=Draws(seed=1))
    assert bootstrap(values, draws=Draws(seed=1)) != bootstrap(values, draws=Draws(seed=2))
    assert np.isnan(bootstrap(np.array([])).mean)
    with pytest.raises(ValueError, match="level is 2"):
        bootstrap(values, draws=Draws(level=2))


def test_off_policy_estimates_find_the_truth() -> None:
    """Three items; the logging policy prefers the worst, the policy in question the best."""
    random = np.random.default_rng(8)
    logging, ours, pays = np.array([0.2, 0.3, 0.5]), np.array([0.7, 0.2, 0.1]), np.array([0.6, 0.3, 0.1])
    drawn = random.choice(3, 6000, p=logging)
    reward = (random.random(6000) < pays[drawn]).astype(float)
    logged = Logged(np.arange(6000), reward, logging[drawn])
    model = pays + np.array([0.1, -0.1, 0.05])  # a model that errs
    told = off_policy(logged, ours[drawn], predicted=model[drawn], expected=np.full(6000, ours @ model))
    truth = ours @ pays
    assert told.dr is not None
    for interval in (told.ips, told.snips, told.dr):
        assert interval.low < truth < interval.high
        assert abs(reward.mean() - truth) > interval.high - interval.low  # the plain mean is far off
    assert told.dr.high - told.dr.low < told.ips.high - told.ips.low
    assert 0 < told.effective < 6000


def test_off_policy_refuses_what_makes_no_sense() -> None:
    logged = Logged(np.arange(2), np.ones(2), np.array([0.5, 0.0]))
    with pytest.raises(ValueError, match="propensity"):
        off_policy(logged, np.ones(2))
    logged = Logged(np.arange(2), np.ones(2), np.array([0.5, 1.0]))
    with pytest.raises(ValueError, match="both"):
        off_policy(logged, np.ones(2), predicted=np.ones(2))
    with pytest.raises(ValueError, match="in question"):
        off_policy(logged, np.array([2.0, 0.0]))
    nothing = off_policy(logged, np.zeros(2))
    assert (nothing.ips.mean, nothing.effective) == (0.0, 0.0)
    assert np.isnan(nothing.snips.mean)


def test_places_of_served_lists() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def shown(request: str, user: str, items: str) -> Impression:
        return Impression(
            request, UserId(user), tuple(map(ItemId, items)), tuple(range(1, len(items) + 1)), (0.5,) * len(items),
            "m", "full", now,
        )  # fmt: skip

    followed = (Event(EventKind.CLICK, ItemId("b"), time=now), Event(EventKind.VIEW, ItemId("a"), time=now))
    served = [
        Served(shown("r1", "ann", "abc"), followed),
        Served(shown("r2", "", "a"), ()),
        Served(shown("r3", "", "a"), ()),
    ]
    logged = logged_positions(served, frozenset({EventKind.CLICK}))
    assert logged.reward.tolist() == [0, 1, 0, 0, 0]
    assert logged.user.tolist() == [0, 0, 0, 1, 2]
    assert rate(logged).mean == pytest.approx(0.2)
