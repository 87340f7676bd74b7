"""Training rows, training, and what comes of it, on a small world."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.catalog.items import ItemTable
from engine.core.types import Event, EventKind, UserId
from engine.events.types import UserEvent
from engine.learn.calibration import calibrate
from engine.learn.evaluation.baselines.simple import Popularity
from engine.learn.evaluation.metrics import per_case, top
from engine.learn.fit import FitSettings, fit
from engine.learn.learned import LearnedRanker
from engine.learn.log import EventLog, event_log
from engine.learn.network.train import TrainSettings
from engine.learn.network.train_towers import TwoTowerSettings
from engine.learn.network.trainer import Progress, Run, Stop
from engine.learn.ranker import Cases
from engine.learn.rows.dataset import Example, RowSettings, blocks, check_rows, next_step_rows
from engine.learn.rows.point_in_time import PointInTimeFeatures
from engine.learn.splits import ALL_POSITIVES
from engine.models.errors import LeakError, TooLittleDataError
from engine.rerank.fields import fit_scales
from engine.rerank.statistics import count
from engine.rerank.table import RankingInput, Tokens
from engine.rerank.version import load_version, save_version
from tests.learn.world import START, catalogue, walks

FIELDS = {"group": "category", "price": "number"}
QUICK = FitSettings(
    fields=FIELDS,  # type: ignore[arg-type]
    rows=RowSettings("time", steps=6, folds=4),
    training=TrainSettings(epochs=3, batch=32),
    towers=TwoTowerSettings(epochs=1),
    width=16,
)


@pytest.fixture(scope="module")
def point_in_time() -> PointInTimeFeatures:
    items = catalogue()
    log = walks(items)
    return PointInTimeFeatures(
        log, items, fit_scales(items.payloads, FIELDS), np.ones(len(items), np.bool_), ALL_POSITIVES
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("cross_fit", ["time", "users"])
def test_rows_hold_their_label_and_pass_the_check(point_in_time: PointInTimeFeatures, cross_fit: str) -> None:
    settings = RowSettings(cross_fit, steps=5, first_steps=2, folds=4)  # type: ignore[arg-type]
    rows = list(next_step_rows(point_in_time, settings))
    assert len(rows) > 100
    early = [len(row.request.tokens.rows) < 2 for row in rows]
    found = np.array([row.positive.sum() for row in rows])
    assert (found[~np.array(early)] == 1).all()
    assert found.min() == 1
    assert found[early].mean() > 1.5
    check_rows(rows, cross_fit)  # type: ignore[arg-type]


def test_the_first_and_the_newest_steps_become_rows(point_in_time: PointInTimeFeatures) -> None:
    """Each once; the first has no history, and where there are few steps all are rows."""
    for first, newest, expected in ((2, 3, {0, 1, 5, 6, 7}), (0, 3, {5, 6, 7}), (6, 6, set(range(8)))):
        settings = RowSettings("users", steps=newest, first_steps=first, folds=4, again=0)
        rows = list(next_step_rows(point_in_time, settings))
        lengths = [len(row.request.tokens.rows) for row in rows]
        assert set(lengths) == expected
        assert len(rows) == len({(row.user, row.label_time) for row in rows})


def test_rows_of_first_steps_are_about_all_that_follows_soon(point_in_time: PointInTimeFeatures) -> None:
    """The steps from this one on, as many as are asked for; those of others are about one."""
    settings = RowSettings("users", steps=2, first_steps=2, ahead=3, folds=4, again=0)
    for row in next_step_rows(point_in_time, settings):
        (steps,) = (rows for user, rows in enumerate(point_in_time.of_user) if user == row.user)
        done = len(row.request.tokens.rows)
        followed = point_in_time.item[steps[done : done + (3 if done < 2 else 1)]]
        assert set(row.request.candidates[row.positive]) <= set(followed)
        assert set(followed) & set(row.request.candidates) == set(row.request.candidates[row.positive])


def test_a_step_that_answers_a_list_is_no_row_but_comes_before_others() -> None:
    """It has a row of its own, of what was shown; the second step is still the second."""
    items = catalogue()
    log = walks(items, users=20)
    third = np.zeros(len(log), np.bool_)
    third[[rows[2] for rows in log.of_user()]] = True
    log = replace(log, request=np.where(third, 0, -1), requests=("r",))
    world = PointInTimeFeatures(
        log, items, fit_scales(items.payloads, FIELDS), np.ones(len(items), np.bool_), ALL_POSITIVES
    )  # type: ignore[arg-type]
    rows = list(next_step_rows(world, RowSettings("users", steps=6, first_steps=2, folds=4, again=0)))
    assert {len(row.request.tokens.rows) for row in rows} == {0, 1, 3, 4, 5, 6, 7}


def test_labels_are_as_often_new_as_other_items_in_second_rows() -> None:
    """An item that is new in the log is hardly ever the answer; one drawn at random is."""
    items = catalogue(120)  # of the last twenty nobody knows
    log = walks(items).take(np.flatnonzero(items.rows(walks(items).items)[walks(items).item] < 100))
    acted = np.arange(120) < 100
    world = PointInTimeFeatures(log, items, fit_scales(items.payloads, FIELDS), acted, ALL_POSITIVES)  # type: ignore[arg-type]
    plain = list(next_step_rows(world, RowSettings("users", folds=4, again=0)))
    rows = list(next_step_rows(world, RowSettings("users", folds=4, again=1, withheld=0.3)))
    assert np.mean(np.concatenate([one.request.ids[one.positive] == 0 for one in plain])) < 0.05
    assert len(plain) < len(rows) <= 2 * len(plain)
    acted_on = [one.request.candidates < 100 for one in rows]
    unknown = np.concatenate([one.request.ids[there] == 0 for one, there in zip(rows, acted_on, strict=True)])
    label = np.concatenate([one.positive[there] for one, there in zip(rows, acted_on, strict=True)])
    assert 0.1 < unknown[label].mean() < 0.3  # of two rows in one, and not all of these are found
    assert 0.1 < unknown.mean() < 0.3


def test_counts_of_a_block_know_nothing_of_it_or_later(point_in_time: PointInTimeFeatures) -> None:
    settings = RowSettings("time", steps=5, folds=4)
    positions = np.arange(len(point_in_time.log))
    users, times = point_in_time.log.user[positions], point_in_time.log.time[positions]
    for known, block in blocks(point_in_time, settings, users, times):
        assert known.counts.event_times.max(initial=-np.inf) < known.until <= times[block].min()


def test_counts_of_a_fold_leave_its_people_out(point_in_time: PointInTimeFeatures) -> None:
    settings = RowSettings("users", folds=4)
    users = np.arange(len(point_in_time.of_user))
    total = sum(len(rows) for rows in point_in_time.of_user)
    for known, block in blocks(point_in_time, settings, users, np.zeros(len(users))):
        mine = sum(len(point_in_time.of_user[user]) for user in block.tolist())
        assert len(known.counts.event_items) == total - mine


def test_a_planted_leak_is_caught(point_in_time: PointInTimeFeatures) -> None:
    rows = list(next_step_rows(point_in_time, RowSettings("time", steps=2, folds=4)))
    leaky = replace(rows[5], known_until=rows[5].label_time + 1)
    with pytest.raises(LeakError, match=r"training row 5 .* uses counts until"):
        check_rows([*rows[:5], leaky], "time")
    tokens = rows[7].request.tokens
    younger = replace(tokens, gaps=tokens.gaps - tokens.gaps.min() - 1)
    leaky = replace(rows[7], request=replace(rows[7].request, tokens=younger))
    with pytest.raises(LeakError, match="history younger than its label"):
        check_rows([leaky], "time")


def test_a_version_ranks_what_follows_and_comes_back_from_disk(tmp_path: Path) -> None:
    items = catalogue()
    log = walks(items)
    last = np.array([rows[-1] for rows in log.of_user()])
    kept = np.setdiff1d(np.arange(len(log)), last)
    train_log = log.take(kept)
    order = np.argsort(log.user[last])
    cases = Cases(
        log.user[last][order],
        log.time[last][order],
        tuple(np.flatnonzero(train_log.user == user) for user in range(len(log.users))),
        tuple(items.rows([log.items[log.item[row]]]) for row in last[order].tolist()),
    )
    ranker = LearnedRanker(QUICK)
    ranker.fit(train_log, items)
    scores = ranker.score(cases)
    ranks = np.array([(row > row[target[0]]).sum() for row, target in zip(scores, cases.targets, strict=True)])
    assert (ranks == 0).mean() > 0.5  # by chance 1 in 96; the rule holds in 8 of 10 steps
    assert ranker.fitted is not None
    save_version(ranker.fitted.version, tmp_path)
    loaded = load_version(tmp_path)
    examples = ranker.ranker.examples(cases.take(np.arange(3)))
    from engine.learn.network.train import logits_of

    table = ranker.ranker.point_in_time.table
    before, after = (logits_of(made.network, examples, table) for made in (ranker.fitted.version, loaded))
    for one, two in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, two)
    for name in ("near", "far", "cooccurrences"):
        one, two = getattr(loaded.statistics, name), getattr(ranker.fitted.version.statistics, name)
        assert (one != two).nnz == 0
    assert loaded.scales == ranker.fitted.version.scales
    assert loaded.items == items.ids
    torch.nn.init.constant_(next(loaded.network.parameters()), np.nan)
    save_version(loaded, tmp_path)
    with pytest.raises(ValueError, match="a weight is not finite"):
        load_version(tmp_path)


def newcomers(items: ItemTable, users: int, seed: int, prefix: str) -> EventLog:
    """People who begin with three of twelve hits, the greatest most often, and then walk through a group."""
    random = np.random.default_rng(seed)
    hits, chance = np.arange(12), 1 / np.arange(1, 13) ** 0.7
    events: list[UserEvent] = []
    for user in range(users):
        begun = random.choice(hits, 3, replace=False, p=chance / chance.sum()).tolist()
        start = 12 + int(random.integers(72))
        walk = [12 + (start - 12 + 6 * step) % 84 for step in range(9)]
        time = START + timedelta(minutes=float(random.uniform(0, 60 * 24 * 30)))
        for position, row in enumerate([*begun, *walk]):
            event = Event(EventKind.CLICK, items.ids[row], time=time + timedelta(minutes=position))
            events.append(UserEvent(UserId(f"{prefix}{user}"), event))
    return event_log(events)


def test_who_has_just_come_gets_what_people_begin_with() -> None:
    """Known people never go back to the hits: rows of theirs alone say that hits are not wanted."""
    items = catalogue()
    log, later = newcomers(items, 150, 1, "known"), newcomers(items, 80, 2, "new")
    moment = float(log.time.max()) + 60.0
    begun = [rows[:3] for rows in later.of_user()]
    cases = Cases(
        np.zeros(len(begun), np.int64),
        np.full(len(begun), moment),
        (np.zeros(0, np.intp),) * len(begun),
        tuple(items.rows([later.items[later.item[row]] for row in rows.tolist()]) for rows in begun),
    )
    settings = replace(QUICK, rows=RowSettings("time", steps=6, folds=4), towers=None)
    ranked, popular = LearnedRanker(settings), Popularity()
    for ranker in (ranked, popular):
        ranker.fit(log, items)
    ours, theirs = (
        per_case(top(ranker.score(cases), 10), cases.targets, (10,))["ndcg@10"].mean() for ranker in (ranked, popular)
    )
    assert ours > 0.9 * theirs > 0.3


def test_the_same_seed_gives_the_same_weights() -> None:
    items = catalogue()
    log = walks(items, users=60)
    quick = replace(QUICK, training=replace(QUICK.training, epochs=1))
    one, two = (fit(log, items, quick).version.network.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def _is_epoch(one: Progress) -> bool:
    return one.stage.startswith("epoch") and "ndcg_at_10" in one.figures


def test_a_training_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    items = catalogue()
    log = walks(items, users=60)
    whole = fit(log, items, QUICK)
    epochs: list[float] = []

    def stopped() -> bool:
        return len(epochs) >= 2

    with pytest.raises(Stop):
        fit(
            log, items, QUICK, Run("cpu", tmp_path, lambda one: epochs.append(1) if _is_epoch(one) else None, stopped)
        )
    seen: list[str] = []
    resumed = fit(log, items, QUICK, Run("cpu", tmp_path, lambda one: seen.append(one.stage)))
    assert not any(stage.startswith(("epoch 1", "epoch 2")) for stage in seen)
    assert resumed.epochs == whole.epochs
    states = [one.version.network.state_dict() for one in (whole, resumed)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_too_little_is_said_and_makes_nothing() -> None:
    items = catalogue()
    with pytest.raises(TooLittleDataError, match="training rows are too few"):
        fit(walks(items, users=2), items, QUICK)


def test_counts_follow_by_lag() -> None:
    from engine.rerank.statistics import Sequences

    counted = count(Sequences((np.array([0, 1, 2]),), (np.array([1.0, 2.0, 3.0]),)), 4)
    np.testing.assert_allclose(counted.near.toarray(), [[0, 1, 0.5, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(counted.popularity, [1, 1, 1, 0])


def test_calibration_knows_of_lists_that_nobody_reacted_to() -> None:
    """A hundred lists of ten, a quarter of whose positions are chosen; then three times as many that nobody
    touched."""
    random = np.random.default_rng(2)
    nothing = np.zeros(10, np.intp)
    tokens = Tokens(nothing[:0], nothing[:0], np.zeros(0, np.float32), np.zeros(0))
    request = RankingInput(tokens, np.arange(10), nothing, np.zeros((10, 1), np.float32))
    scores = random.normal(0, 1, (100, 10))
    chosen = random.random((100, 10)) < 1 / (1 + np.exp(1.2 - scores))
    shown = np.arange(1, 11)
    rows = [Example(request, mine, ~mine & False, shown, 0, 50.0, 50.0) for mine in chosen]
    logits = [np.stack([mine, mine * 0], 1).astype(np.float32) for mine in scores]

    def predicted(silent: np.ndarray) -> float:
        (slope, intercept), never = calibrate(rows, logits, silent)
        assert slope > 0.5 and never == (0.0, -20.0)
        return float((1 / (1 + np.exp(-(slope * scores + intercept)))).mean())

    assert predicted(np.zeros(0)) == pytest.approx(chosen.mean(), abs=0.01)
    assert predicted(np.full(3000, 60.0)) == pytest.approx(chosen.sum() / 4000, rel=0.25)
    assert predicted(np.full(3000, 10.0)) == predicted(np.zeros(0))  # older than what is held out
