"""What served lists say of a version, against a world whose truth is known."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from encoders.types import Modality
from engine.catalog.items import ItemTable
from engine.core.types import Event, EventKind, ItemId, UserId
from engine.events.types import Impression, Served
from engine.learn.evaluation.baselines.content import without
from engine.learn.evaluation.report_tables import plain, served_tables
from engine.learn.evaluation.served_lists import judge_served
from engine.learn.evaluation.stats import Draws
from engine.learn.fit import FitSettings, fit
from engine.learn.learned import VersionRanker
from engine.learn.log import EventLog
from engine.learn.network.train import TrainSettings
from engine.learn.ranker import Cases, Reads
from engine.learn.rows.dataset import RowSettings
from engine.learn.splits import ALL_POSITIVES
from engine.models.errors import TooLittleDataError
from engine.rerank.version import Utility
from tests.learn.world import catalogue, walks

PLACES = 3
SIZE = 12
CTR = "click-through rate"
ITEMS = catalogue(size=SIZE, groups=3)
LOG = walks(ITEMS, users=60, steps=4, groups=3)
LATER = datetime.fromtimestamp(float(LOG.time[-1]), UTC) + timedelta(days=1)
PAYS = np.where(np.arange(SIZE) % 6 < 3, 0.6, 0.1)


@pytest.fixture(scope="module")
def ranker() -> VersionRanker:
    settings = FitSettings(
        rows=RowSettings("time", steps=4, folds=3), training=TrainSettings(epochs=1, batch=32), towers=None, width=16,
        utility=Utility(1.0, 0.0, 0.0),
    )  # fmt: skip
    return VersionRanker(fit(LOG, ITEMS, settings).version, ALL_POSITIVES, name="v1")


def history_of(user: str) -> np.ndarray:
    return LOG.of_user()[LOG.users.index(UserId(user))]


def lists(count: int, *, explore: bool = True, seed: int = 0) -> list[Served]:
    """Lists of three items drawn at random; what is clicked depends on the item alone."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        user = f"u{number % 60}"
        rows = random.permutation(SIZE)[:PLACES]
        items, time = tuple(ITEMS.ids[row] for row in rows), LATER + timedelta(milliseconds=number)
        chances = (1 / SIZE if explore else 1.0,) * PLACES
        shown = Impression(f"r{number}", UserId(user), items, (1, 2, 3), chances, "random", "full", time)
        hit = random.random(PLACES) < PAYS[rows]
        found.append(Served(shown, tuple(Event(EventKind.CLICK, items[at], time=time) for at in np.flatnonzero(hit))))
    return found


def own_lists(ranker: VersionRanker, log: EventLog, items: ItemTable) -> np.ndarray:
    """(60, 3): what the version shows to each person."""
    ranker.fit(log, items)
    users = [f"u{user}" for user in range(60)]
    cases = Cases(
        np.arange(60), np.full(60, LATER.timestamp()), tuple(map(history_of, users)), (np.array([0]),) * 60
    )  # fmt: skip
    scores = ranker.score(cases)
    for number, user in enumerate(users):
        scores[number, items.rows([log.items[item] for item in log.item[history_of(user)]])] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :PLACES]


def test_the_estimates_find_what_the_version_would_get(ranker: VersionRanker) -> None:
    told = judge_served(ranker, LOG, ITEMS, lists(600), draws=Draws(samples=500))
    truth = PAYS[own_lists(ranker, LOG, ITEMS)].mean()
    found = told.estimates[CTR]
    assert found.dr is not None
    for interval in (found.ips, found.snips, found.dr):
        assert interval.low < truth < interval.high
    assert found.effective == pytest.approx(told.agreement * told.positions)
    assert told.agreement == pytest.approx(1 / SIZE, abs=0.02)
    assert told.observed[CTR].mean == pytest.approx(PAYS.mean(), abs=0.04)
    assert told.happened == told.observed[CTR].mean
    assert 0 <= told.calibration_error <= 1
    assert told.calibration_error >= abs(told.predicted - told.happened) - 1e-12  # the bins' gaps cannot cancel


def test_without_lots_nothing_is_estimated_and_that_is_said(ranker: VersionRanker) -> None:
    told = judge_served(ranker, LOG, ITEMS, lists(200, explore=False), draws=Draws(samples=50))
    assert told.estimates == {}
    earned, predicts = served_tables(told)
    assert "without exploration" in earned.caption
    assert len(predicts.rows) == 4
    assert json.loads(json.dumps(plain(told), allow_nan=False))["version"] == "v1"
    mixed = judge_served(
        ranker, LOG, ITEMS, [*lists(200, explore=False, seed=1), *lists(50)], draws=Draws(samples=50)
    )
    alone = judge_served(ranker, LOG, ITEMS, lists(50), draws=Draws(samples=50))
    assert mixed.estimates[CTR].ips == alone.estimates[CTR].ips
    few = judge_served(ranker, LOG, ITEMS, lists(50), draws=Draws(samples=50))
    assert "too few to believe" in served_tables(few)[0].caption


def test_only_lists_since_then_of_somebody_named_count(ranker: VersionRanker) -> None:
    every = lists(40)
    nobody = replace(every[-1], impression=replace(every[-1].impression, user=UserId("")))
    stranger = replace(every[-2], impression=replace(every[-2].impression, user=UserId("new here")))
    since = every[9].impression.time
    told = judge_served(ranker, LOG, ITEMS, [*every[:-2], stranger, nobody], since=since, draws=Draws(samples=50))
    assert (told.lists, told.positions, told.left_out) == (29, 87, 11)
    with pytest.raises(TooLittleDataError, match="none of 40 served lists"):
        judge_served(ranker, LOG, ITEMS, every, since=every[-1].impression.time)


def test_items_outside_the_catalogue_are_left_out(ranker: VersionRanker) -> None:
    one = lists(1)[0]
    gone = replace(one, impression=replace(one.impression, items=(ItemId("gone"), *one.impression.items[1:])))
    assert judge_served(ranker, LOG, ITEMS, [gone], draws=Draws(samples=50)).positions == 2


def test_an_order_that_puts_choices_higher_is_told(ranker: VersionRanker) -> None:
    """Chosen is what the version puts first of the three. Served last, it moves up; served first, it stays."""
    ranker.fit(LOG, ITEMS)
    rows = np.array([1, 5, 9])
    worse, equal = [], []
    for number in range(60):
        user = UserId(f"u{number}")
        case = Cases(np.array([0]), np.array([LATER.timestamp()]), (history_of(user),), (rows,), shown=(rows,))
        best = rows[np.argsort(-ranker.score(case)[0, rows], kind="stable")]
        items = tuple(ITEMS.ids[row] for row in best)
        event = Event(EventKind.CLICK, items[0], time=LATER)
        for order, found in ((items[::-1], worse), (items, equal)):
            shown = Impression(f"q{number}", user, order, (1, 2, 3), (1.0,) * 3, "m", "full", LATER)
            found.append(Served(shown, (event,)))
    # Nobody ever chooses the second position, so it is left out; the others are looked at alike.
    found_both = judge_served(ranker, LOG, ITEMS, [*worse, *equal], draws=Draws(samples=50)).replayed
    assert found_both.mean == pytest.approx((1 - 1 / np.log2(3)) / 2)
    assert judge_served(ranker, LOG, ITEMS, equal, draws=Draws(samples=50)).replayed.mean == 0


def test_probabilities_are_what_the_score_is_made_of(ranker: VersionRanker) -> None:
    ranker.fit(LOG, ITEMS)
    shown = np.array([5, 2, 10])
    cases = Cases(np.array([0]), np.array([LATER.timestamp()]), (history_of(LOG.users[0]),), (shown,), shown=(shown,))
    (likely,) = ranker.likely(cases)
    np.testing.assert_allclose(likely, ranker.score(cases)[0, shown], rtol=1e-5)


def test_a_version_reads_another_table(ranker: VersionRanker) -> None:
    ranker.fit(LOG, ITEMS)
    assert isinstance(ranker, Reads)
    cases = Cases(np.array([0]), np.array([LATER.timestamp()]), (history_of(LOG.users[0]),), (np.array([0]),))
    before = ranker.score(cases)
    ranker.read(without(ITEMS, Modality.TEXT))
    blind = ranker.score(cases)
    ranker.read(ITEMS)
    assert not np.array_equal(blind, before)
    np.testing.assert_array_equal(ranker.score(cases), before)
