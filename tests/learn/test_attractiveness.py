"""How attractive items are, from served lists that were looked at from the top."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from engine.core.types import ItemId, UserId
from engine.events.types import Impression
from engine.learn.rows.attractiveness import Exposures, attractiveness, examination_probabilities, exposures_of

START = datetime(2026, 3, 1, tzinfo=UTC)


def lists(
    random: np.random.Generator,
    attracts: np.ndarray,
    count: int,
    positions: int = 8,
    steep: float = 1.0,
    lots: float = 0.0,
    personal: float = 0.0,
) -> Exposures:
    """Lists that mostly follow an order that has nothing to do with what attracts; looked at with 1 / k ** steep.

    Args:
        random: draws.
        attracts: how probably each item is chosen if it is looked at.
        count: of lists.
        positions: of a list.
        steep: see above.
        lots: how probably a position shows an item drawn at random.
        personal: how much more or less people are attracted, who are shown first what attracts them.
    """
    size = len(attracts)
    item, position, chosen, propensity = [], [], [], []
    for _ in range(count):
        mine = np.clip(attracts * np.exp(personal * random.normal(size=size)), 0, 1)
        key = -mine if personal else np.arange(size) + random.normal(0, size / 4, size)
        order = np.argsort(key)[:positions]
        swap = random.random(positions) < lots
        order = np.where(swap, random.integers(size, size=positions), order)
        looks = random.random(positions) < 1 / np.arange(1, positions + 1) ** steep
        item.append(order)
        position.append(np.arange(1, positions + 1))
        chosen.append(looks & (random.random(positions) < mine[order]))
        propensity.append(np.where(swap, lots / size, 1 - lots))
    many = count * positions
    columns = [np.concatenate(one) for one in (item, position, chosen, propensity)]
    item, position, chosen, propensity = columns
    return Exposures(
        item, position, np.where(chosen, 1.0, np.nan), np.zeros(many, np.int64), np.zeros(many), propensity
    )


@pytest.mark.parametrize("steep", [0.3, 1.0, 1.5])
def test_how_much_places_are_looked_at_is_found(steep: float) -> None:
    random = np.random.default_rng(4)
    exposures = lists(random, random.uniform(0.005, 0.1, 30), 12000, steep=steep)
    assert (exposures.propensity == 1).all()
    np.testing.assert_allclose(
        examination_probabilities(exposures)[1:], 1 / np.arange(1, 9) ** steep, rtol=0.2, atol=0.02
    )


def test_an_order_that_suits_people_is_not_taken_for_places_that_are_looked_at() -> None:
    """Who gets what they like first chooses what is first; what was drawn at random tells how far down they look."""
    random = np.random.default_rng(4)
    drawn = lists(random, np.full(30, 0.1), 8000, lots=0.2, personal=1.0)
    true = 1 / np.arange(1, 9)
    np.testing.assert_allclose(examination_probabilities(drawn)[1:], true, rtol=0.3)
    blind = examination_probabilities(replace(drawn, propensity=np.ones(len(drawn))))
    assert blind[8] < 0.6 * true[7]


def test_what_attracts_is_found_whatever_the_places_were() -> None:
    random = np.random.default_rng(3)
    true = random.uniform(0.05, 0.6, 30)
    exposures = lists(random, true, 6000)
    found = attractiveness(exposures, 30)
    counts = np.bincount(exposures.item, exposures.chosen, minlength=30)
    looks = np.bincount(exposures.item, 1 / exposures.position, minlength=30)
    well = looks > 100
    assert well.sum() > 15
    assert np.corrcoef(found[well], true[well])[0, 1] > 0.98 > 0.5 > np.corrcoef(counts[well], true[well])[0, 1]
    assert found.dtype == np.float32 and (found > 0).all()
    assert np.average(found, weights=looks) == pytest.approx(1, abs=0.05)


def test_what_was_seldom_shown_is_near_the_average() -> None:
    once = Exposures(
        np.array([0, 1, 1, 1, 1]),
        np.array([1, 1, 1, 1, 1]),
        np.array([9.0, 9.0, np.nan, np.nan, np.nan]),
        np.zeros(5, np.int64),
        np.zeros(5),
        np.ones(5),
    )
    found = attractiveness(once, 3)
    assert found[2] == 1.0
    assert found[1] < 1.0 < found[0] < 1.6


def test_nothing_chosen_says_nothing() -> None:
    nothing = np.zeros(0, np.intp)
    none = Exposures(nothing, nothing, nothing.astype(float), nothing, nothing.astype(float), nothing.astype(float))
    assert (attractiveness(none, 4) == 0).all()
    ones, zeros = np.ones(3, np.intp), np.zeros(3)
    assert (attractiveness(Exposures(ones, ones, np.full(3, np.nan), ones, zeros, zeros), 4) == 0).all()
    assert examination_probabilities(none).tolist() == [0]


def test_an_answer_is_not_known_before_it_comes() -> None:
    zeros = np.zeros(3, np.intp)
    exposures = Exposures(
        np.arange(3), zeros + 1, np.array([5.0, 20.0, np.nan]), zeros, np.array([1.0, 2.0, 12.0]), zeros + 1.0
    )
    known = exposures.before(10.0)
    assert known.item.tolist() == [0, 1]
    assert known.chosen.tolist() == [True, False]


def test_lists_become_columns_without_strangers() -> None:
    made = [
        Impression(
            "r1", UserId("ann"), (ItemId("a"), ItemId("gone"), ItemId("b")), (1, 2, 3), (1.0,) * 3, "", "", START
        ),
        Impression("r2", UserId("eve"), (ItemId("a"),), (1,), (1.0,), "", "", START),
        Impression("r3", UserId("ben"), (ItemId("b"),), (4,), (1.0,), "", "", START + timedelta(seconds=5)),
    ]
    users = {UserId("ann"): 0, UserId("ben"): 1}
    found = exposures_of(made, {ItemId("a"): 0, ItemId("b"): 1}, users, {("r1", 1): 7.0})
    assert found.item.tolist() == [0, 1, 1]
    assert found.position.tolist() == [1, 3, 4]
    assert found.chosen.tolist() == [False, True, False]
    assert found.user.tolist() == [0, 0, 1]
    assert found.time.tolist() == [START.timestamp()] * 2 + [START.timestamp() + 5]
    assert len(found.take(found.time > START.timestamp())) == 1
