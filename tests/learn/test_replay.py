"""Served lists replayed under another order."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from encoders.types import Floats
from engine.events.types import Impression, UserEvent
from engine.items import ItemTable
from engine.learn.evaluation.replay import MAX_WEIGHT, replayed_ndcg, shown_lists
from engine.learn.log import EventLog, event_log
from engine.learn.ranker import Cases
from engine.learn.splits import ALL_POSITIVES
from engine.types import Event, EventKind, UserId
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
    cases, worth = shown_lists(log, train, items, [*shown, unanswered, stranger], ALL_POSITIVES)
    return cases, worth, items


def test_lists_without_a_choice_or_of_strangers_are_left_out() -> None:
    cases, worth, _ = lists()
    assert len(cases) == len(worth) == 40
    assert cases.shown is not None
    assert all(row.tolist() == [0, 1, 2, 3, 4] for row in cases.shown)
    assert {tuple(rows.tolist()) for rows in cases.targets} == {(0,), (4,)}


def test_a_choice_far_down_counts_more() -> None:
    _, worth, _ = lists()
    first, last = worth[1][0], worth[0][4]
    assert first == 1
    assert 2 < last <= MAX_WEIGHT  # ten of forty against thirty: (31 / 42) / (11 / 42)


@pytest.mark.parametrize(("sign", "expected"), [(-1, 0.75 + 0.25 / np.log2(6)), (1, 0.25 + 0.75 / np.log2(6))])
def test_the_order_that_puts_choices_higher_wins(sign: float, expected: float) -> None:
    cases, worth, items = lists()
    values = replayed_ndcg(ByRow(sign, len(items)), cases, worth, batch=7)
    assert values.mean() == pytest.approx(expected)
