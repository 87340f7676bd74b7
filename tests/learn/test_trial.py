"""A/B trials: two versions compared by what followed the lists that they served."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from engine.core.types import Event, EventKind, ItemId, UserId
from engine.events.types import Impression, Served
from engine.learn.evaluation.report_tables import plain, trial_tables
from engine.learn.evaluation.trial import compare, latest_pair
from engine.models.errors import TooLittleDataError
from tests.learn.logs import START

PLACES = 5


def served(user: str, model: str, hour: float, clicked: Sequence[int], kind: EventKind = EventKind.CLICK) -> Served:
    """A list of five positions, of which some were clicked."""
    items = tuple(ItemId(f"i{position}") for position in range(PLACES))
    time = START + timedelta(hours=hour)
    shown = Impression(
        f"{user}-{model}-{hour}",
        UserId(user),
        items,
        tuple(range(1, PLACES + 1)),
        (1.0,) * PLACES,
        model,
        "full",
        time,
    )
    return Served(shown, tuple(Event(kind, items[position], time=time) for position in clicked))


def lists(model: str, rate: float, users: int, seed: int, prefix: str) -> list[Served]:
    """Three lists for each of some people, whose positions are clicked at a rate."""
    random = np.random.default_rng(seed)
    return [
        served(f"{prefix}{user}", model, hour + user / 1000, np.flatnonzero(random.random(PLACES) < rate))
        for user in range(users)
        for hour in range(3)
    ]


def test_what_nobody_did_is_not_compared() -> None:
    """Equal zeros are no sign that two versions are alike, so no p value is given for them."""
    mixed = [served("both", model, hour, [0]) for hour, model in enumerate(("new", "old"))]
    trial = compare([*lists("new", 0.3, 20, 0, "a"), *lists("old", 0.15, 20, 1, "b"), *mixed], "new", "old")
    for found in (trial.apart, trial.within):
        assert np.isfinite(found["click-through rate"].p_value)
        for name in ("conversion", "dislikes"):
            assert np.isnan([found[name].mean, found[name].p_value]).all()
    rows = trial_tables(trial)[1].rows
    assert rows.count(("", "difference", "-", "none followed any list", "")) == 2
    document = json.loads(json.dumps(plain(trial), allow_nan=False))
    assert document["apart"]["conversion"]["p_value"] is None
    bought = compare([*lists("new", 0.3, 20, 0, "a"), served("b", "old", 1, [1], EventKind.PURCHASE)], "new", "old")
    assert np.isfinite(bought.apart["conversion"].p_value)


def test_the_better_version_is_told_and_equal_ones_are_not() -> None:
    apart = compare([*lists("new", 0.3, 80, 0, "a"), *lists("old", 0.15, 80, 1, "b")], "new", "old")
    clicks = apart.apart["click-through rate"]
    assert clicks.low > 0.05
    assert clicks.high < 0.25
    assert clicks.p_value < 0.001
    assert clicks.mean == pytest.approx(
        apart.ours.rates["click-through rate"].mean - apart.theirs.rates["click-through rate"].mean
    )
    assert not apart.within
    assert (apart.both, apart.nobody) == (0, 0)
    same = compare([*lists("new", 0.2, 80, 2, "a"), *lists("old", 0.2, 80, 3, "b")], "new", "old")
    assert same.apart["click-through rate"].low < 0 < same.apart["click-through rate"].high
    assert np.isnan(same.apart["conversion"].mean)  # nobody bought anything of either


def test_only_the_time_in_which_both_served_counts() -> None:
    before = [served("early", "old", -50, range(PLACES))]
    after = [served("late", "new", 50, range(PLACES))]
    during = [served("ann", "old", 0, [0]), served("bob", "new", 1, []), served("cy", "old", 2, []),
              served("dan", "new", 3, [1, 2])]  # fmt: skip
    told = compare([*before, *after, *during], "new", "old")
    assert (told.since, told.until) == (START + timedelta(hours=1), START + timedelta(hours=2))
    assert (told.ours.lists, told.theirs.lists) == (1, 1)


def test_people_who_got_both_are_compared_with_themselves() -> None:
    mixed = [
        one
        for user in range(30)
        for one in (served(f"p{user}", "old", user, [0]), served(f"p{user}", "new", user + 0.5, [0, 1]))
    ]
    told = compare([served("x", "new", -1, []), *mixed, served("y", "old", 99, [])], "new", "old")
    # The first list of "old" and the last of "new" bound what counts.
    assert told.both == 30
    assert told.within["click-through rate"].mean == pytest.approx(1 / PLACES)
    assert told.within["click-through rate"].p_value < 0.001
    assert np.isnan(told.apart["click-through rate"].mean)  # nobody got only one of them then


def test_somebody_whose_lists_from_one_version_are_empty_has_nothing_to_compare() -> None:
    empty = served("ann", "new", 1, [])
    empty = replace(empty, impression=replace(empty.impression, items=(), positions=(), propensities=()))
    others = [*lists("new", 0.3, 5, 0, "a"), *lists("old", 0.3, 5, 1, "b")]
    told = compare([served("ann", "old", 0, [0]), empty, *others], "new", "old")
    assert told.both == 0 and not told.within


def test_nobodys_lists_do_not_count_and_purchases_are_clicks_too() -> None:
    told = compare(
        [
            served("ann", "new", 0, [0], EventKind.PURCHASE), served("", "old", 0.5, [1]),
            served("bob", "old", 0, [2], EventKind.DISLIKE), served("bob", "old", 1, []),
            served("ann", "new", 1, []),
        ],
        "new",
        "old",
    )  # fmt: skip
    assert (told.nobody, told.theirs.lists, told.theirs.positions) == (1, 2, 10)
    assert {name: one.mean for name, one in told.ours.rates.items()} == {
        "click-through rate": 0.1,
        "conversion": 0.1,
        "dislikes": 0.0,
    }
    assert told.theirs.rates["dislikes"].mean == 0.1


def test_what_cannot_be_compared_is_said() -> None:
    one = lists("new", 0.3, 5, 0, "a")
    with pytest.raises(TooLittleDataError, match="no list of old"):
        compare(one, "new", "old")
    with pytest.raises(TooLittleDataError, match="old served no list to somebody named"):
        compare([*one, served("", "old", 1, [])], "new", "old")
    with pytest.raises(TooLittleDataError, match="needs two versions"):
        latest_pair(one)


def test_the_latest_two_are_found() -> None:
    every = [served("a", "first", 0, []), served("a", "second", 1, []), served("a", "third", 2, []),
             served("b", "second", 3, [])]  # fmt: skip
    assert latest_pair(every) == ("third", "second")


def test_a_trial_is_told() -> None:
    told = compare([*lists("new", 0.3, 9, 0, "a"), *lists("old", 0.15, 9, 1, "b")], "new", "old")
    about, figures = trial_tables(told)
    assert [row[0] for row in about.rows] == ["new", "old"]
    assert f"{told.ours.rates['click-through rate'].mean:.4f}" in figures.rows[0][2]
    document = json.loads(json.dumps(plain(told), allow_nan=False))
    assert document["apart"]["click-through rate"]["mean"] == told.apart["click-through rate"].mean
    assert document["since"] == told.since.isoformat()
