"""Served lists replayed under another order."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from encoders.types import Floats
from engine.catalog.items import ItemTable
from engine.core.types import Event, EventKind, UserId
from engine.events.types import Impression, UserEvent
from engine.learn.evaluation.replay import MAX_WEIGHT, position_weights, replayed_ndcg, shown_lists
from engine.learn.log import EventLog, event_log
from engine.learn.ranker import Cases
from engine.learn.splits import ALL_POSITIVES
from tests.learn.world import catalogue

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass
class ByRow:
    """Ranks by the row of the table, the highest first or the lowest."""

    sign: float
    size: int
    name: str = "by row"

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """Nothing."""

    def score(self, cases: Cases) -> Floats:
        return np.tile(self.sign * np.arange(self.size, dtype=np.float32), (len(cases), 1))


@dataclass
class AsShown:
    """Ranks as the lists were shown."""

    size: int
    name: str = "as shown"

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """Nothing."""

    def score(self, cases: Cases) -> Floats:
        found = np.zeros((len(cases), self.size), np.float32)
        for row, shown in enumerate(cases.shown or ()):
            found[row, shown] = -np.arange(len(shown))
        return found


LOOKS = np.array([0, 1, 0.5, 1 / 3, 0.25, 0.2])
"""Places are looked at with 1/k."""


def lists() -> tuple[Cases, tuple[np.ndarray, ...], ItemTable]:
    """Forty lists of items 0 to 4 in this order; in three of four the first is clicked, else the last."""
    items = catalogue()
    known = [
        UserEvent(UserId(f"u{n}"), Event(EventKind.CLICK, items.ids[50], time=NOW - timedelta(days=1)))
        for n in range(40)
    ]
    shown = [
        Impression(f"r{n}", UserId(f"u{n}"), items.ids[:5], (1, 2, 3, 4, 5), (1.0,) * 5, "m", "t", NOW)
        for n in range(40)
    ]
    clicks = [
        UserEvent(UserId(f"u{n}"), Event(EventKind.CLICK, items.ids[0 if n % 4 else 4], time=NOW, request_id=f"r{n}"))
        for n in range(40)
    ]
    log = event_log([*known, *clicks])
    train = log.take(np.arange(40, dtype=np.intp))
    unanswered = Impression("r99", UserId("u1"), items.ids[:5], (1, 2, 3, 4, 5), (1.0,) * 5, "m", "t", NOW)
    stranger = Impression("r0", UserId("nobody"), items.ids[:5], (1, 2, 3, 4, 5), (1.0,) * 5, "m", "t", NOW)
    cases, utility = shown_lists(log, train, items, [*shown, unanswered, stranger], ALL_POSITIVES, LOOKS)
    return cases, utility, items


def test_lists_without_a_choice_or_of_strangers_are_left_out() -> None:
    cases, utility, _ = lists()
    assert len(cases) == len(utility) == 40
    assert cases.shown is not None
    assert all(row.tolist() == [0, 1, 2, 3, 4] for row in cases.shown)
    assert {tuple(rows.tolist()) for rows in cases.targets} == {(0,), (4,)}


def test_of_new_people_only_lists_before_their_first_event_count() -> None:
    """Later ones were made for somebody who was known."""
    items = catalogue()
    known = UserEvent(UserId("ann"), Event(EventKind.CLICK, items.ids[50], time=NOW - timedelta(days=1)))
    moments = [NOW + timedelta(hours=hour) for hour in range(2)]
    shown, clicks = [], []
    for user in ("ann", "bob"):
        for number, time in enumerate(moments):
            name = f"{user}{number}"
            shown.append(Impression(name, UserId(user), items.ids[:5], (1, 2, 3, 4, 5), (1.0,) * 5, "m", "t", time))
            click = Event(EventKind.CLICK, items.ids[number], time=time + timedelta(minutes=1), request_id=name)
            clicks.append(UserEvent(UserId(user), click))
    looked = UserEvent(UserId("bob"), Event(EventKind.IMPRESSION, items.ids[7], time=NOW - timedelta(hours=1)))
    log = event_log([known, looked, *clicks])
    cases, _ = shown_lists(log, log.take(np.arange(1)), items, shown, ALL_POSITIVES, LOOKS)
    found = sorted(
        (log.users[user], time - NOW.timestamp()) for user, time in zip(cases.user, cases.time, strict=True)
    )
    assert found == [("ann", 0.0), ("ann", 3600.0), ("bob", 0.0)]


def test_a_choice_far_down_counts_by_how_seldom_its_place_is_looked_at() -> None:
    _, utility, _ = lists()
    assert (utility[1][0], utility[0][4]) == pytest.approx((1, 5))
    assert position_weights(np.array([0, 1, 1 / MAX_WEIGHT, 0.04])).tolist() == [0, 1, MAX_WEIGHT, 0]


@pytest.mark.parametrize(
    ("sign", "gains"), [(-1, 30 + 10 * 5 / np.log2(6)), (1, 30 / np.log2(6) + 10 * 5)], ids=["as shown", "reversed"]
)
def test_the_order_that_puts_choices_higher_wins(sign: float, gains: float) -> None:
    """Thirty chose what stood first, ten what hardly anybody looks at: of those who look, more want the last item."""
    cases, utility, items = lists()
    values = replayed_ndcg(ByRow(sign, len(items)), cases, utility, batch=7)
    assert values.mean() == pytest.approx(gains / (30 + 10 * 5))


@pytest.mark.parametrize("steep", [1, 2], ids=["all positions count", "far positions are left out"])
def test_an_order_does_not_win_by_having_been_served(steep: int) -> None:
    """Items that all attract alike, in orders drawn at random: no order is better than another."""
    examination = np.concatenate([[0], 1 / np.arange(1, 6) ** steep])
    assert (position_weights(examination)[5] == 0) == (steep == 2)
    random, items = np.random.default_rng(5), catalogue()
    shown, events, known = [], [], []
    for number in range(6000):
        user, order = UserId(f"u{number}"), random.permutation(5)
        known.append(UserEvent(user, Event(EventKind.CLICK, items.ids[50], time=NOW - timedelta(days=1))))
        names = tuple(items.ids[row] for row in order)
        shown.append(Impression(f"r{number}", user, names, (1, 2, 3, 4, 5), (1.0,) * 5, "m", "t", NOW))
        looked = np.flatnonzero((random.random(5) < examination[1:]) & (random.random(5) < 0.4))
        for position in looked.tolist():
            event = Event(EventKind.CLICK, names[position], time=NOW, request_id=f"r{number}")
            events.append(UserEvent(user, event))
    log = event_log([*known, *events])
    train = log.take(np.arange(len(known), dtype=np.intp))
    cases, utility = shown_lists(log, train, items, shown, ALL_POSITIVES, examination)
    served, other = (
        replayed_ndcg(ranker, cases, utility).mean() for ranker in (AsShown(len(items)), ByRow(1, len(items)))
    )
    assert served == pytest.approx(other, abs=0.02)
