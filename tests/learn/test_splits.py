"""Splits: what is known, what is to be predicted, and that nothing of the second is in the first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.types import EventKind
from engine.learn import splits
from engine.learn.log import EventLog, event_log
from engine.learn.ranker import Split
from engine.models.errors import TooLittleDataError
from tests.learn.logs import START, clicks, event


def histories(split: Split, names: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Per person the items that are known, and those to be predicted."""
    log, found = split.train, {}
    for user, known, targets in zip(split.cases.user, split.cases.history, split.cases.targets, strict=True):
        found[log.users[user]] = (
            "".join(log.items[item] for item in log.item[known]),
            "".join(names[row] for row in targets),
        )
    return found


def triples(log: EventLog) -> set[tuple[int, int, float]]:
    return set(zip(log.user.tolist(), log.item.tolist(), log.time.tolist(), strict=True))


def test_the_last_is_left_out() -> None:
    log = event_log(clicks({"ann": "abc", "bob": "cab", "cy": "a"}))
    items = splits.items_of(log)
    split = splits.leave_last_out(log, items)
    assert histories(split, items.ids) == {"ann": ("ab", "c"), "bob": ("ca", "b")}
    assert len(split.train) == 5  # cy's only event is learned from
    assert "cy" in histories(splits.leave_last_out(log, items, min_history=0), items.ids)


def test_ties_in_time_keep_the_order_of_the_file() -> None:
    log = event_log([event("ann", item, 0) for item in "dacb"])
    items = splits.items_of(log)
    assert histories(splits.leave_last_out(log, items), items.ids) == {"ann": ("dac", "b")}


def test_events_after_the_last_positive_are_not_learned_from() -> None:
    log = event_log([*clicks({"ann": "abc"}), event("ann", "d", 9, EventKind.SKIP), event("bob", "a", 9)])
    split = splits.leave_last_out(log, splits.items_of(log))
    assert [log.items[item] for item in split.train.item] == ["a", "b", "a"]


def test_only_good_ratings_are_foretold() -> None:
    stars = {"a": 5, "b": 4, "c": 2}
    log = event_log([event("ann", item, hour, EventKind.RATE, stars[item]) for hour, item in enumerate("abc")])
    items = splits.items_of(log)
    good = splits.Positives(least={EventKind.RATE: 4})
    assert histories(splits.leave_last_out(log, items, good), items.ids) == {"ann": ("a", "b")}
    assert good.of(log).tolist() == [True, True, False]
    assert not splits.Positives(frozenset({EventKind.CLICK})).of(log).any()


@given(st.integers(0, 10_000), st.sampled_from(["last", "time", "hidden"]))
def test_nothing_to_be_foretold_is_learned_from(seed: int, kind: str) -> None:
    random = np.random.default_rng(seed)
    log = event_log(
        event(f"p{random.integers(6)}", f"i{random.integers(9)}", float(random.integers(30))) for _ in range(80)
    )
    items = splits.items_of(log)
    match kind:
        case "last":
            split = splits.leave_last_out(log, items)
        case "time":
            split = splits.by_time(log, items, share=0.3)
        case _:
            split = splits.hide_items(log, items, 0.2, seed)
    cases, train = split.cases, split.train
    assert triples(train) <= triples(log)
    for user, moment, known in zip(cases.user, cases.time, cases.history, strict=True):
        assert (train.user[known] == user).all()
        assert (train.time[known] <= moment).all()
        assert (np.diff(known) > 0).all()
        assert len(known) == (train.user == user).sum()  # all that is left of the person is known
    if kind == "time":
        assert train.time.max() < cases.time.min()
    if kind == "hidden":
        hidden = {items.ids[row] for targets in cases.targets for row in targets}
        assert not hidden & {log.items[item] for item in train.item}
        assert splits.slices(split, items)["new items"].all()


def test_by_time_foretells_all_that_follows_of_new_people_too() -> None:
    log = event_log([*clicks({"ann": "abc"}), event("bob", "b", 2), event("bob", "b", 3), event("bob", "a", 4)])
    items = splits.items_of(log)
    split = splits.by_time(log, items, START.timestamp() + 2 * 3600)
    assert histories(split, items.ids) == {"ann": ("ab", "c"), "bob": ("", "ab")}
    groups = splits.slices(split, items)
    assert groups["new users"].tolist() == [False, True]
    assert groups["short history"].tolist() == [True, False]
    assert groups["new items"].tolist() == [True, False]


def test_a_published_split_is_taken_as_it_is() -> None:
    train, valid, test = clicks({"ann": "ab"}), [event("ann", "c", 5)], [event("ann", "a", 6), event("ann", "d", 7)]
    checked, split, items = splits.ready_made(train, valid, test)
    assert histories(split, items.ids) == {"ann": ("abc", "ad")}
    assert checked is not None
    assert histories(checked, items.ids) == {"ann": ("ab", "c")}
    assert splits.ready_made(train, [], test)[0] is None


def test_a_published_split_may_be_out_of_time() -> None:
    _, split, items = splits.ready_made([event("ann", "a", 9)], [], [event("ann", "b", 1)])
    assert histories(split, items.ids) == {"ann": ("a", "b")}


def test_too_little_data_is_said() -> None:
    log = event_log([event("ann", "a", 0)])
    items = splits.items_of(log)
    with pytest.raises(TooLittleDataError, match="nobody"):
        splits.leave_last_out(log, items)
    with pytest.raises(TooLittleDataError, match="no event happened before"):
        splits.by_time(log, items, 0.0)
    with pytest.raises(TooLittleDataError, match="no positive event"):
        splits.by_time(log, items, 4e9)
    with pytest.raises(TooLittleDataError, match="nothing to learn from"):
        splits.by_time(event_log([]), items)
    with pytest.raises(ValueError, match="share"):
        splits.hide_items(log, items, 1.5)
