"""Kinds of events that a deployment declares are learned from and evaluated; others are left out."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from engine.config.settings import Settings
from engine.core.kinds import STANDARD_KINDS
from engine.core.types import Event, EventKind
from engine.events.check import EventLimits
from engine.events.settings import EventSettings, KindSettings
from engine.events.sql import SqlEventStore
from engine.events.types import Served, UserEvent
from engine.learn.evaluation.off_policy import logged_positions, rate_kinds
from engine.learn.fit import FitSettings, fit
from engine.learn.jobs.job import fit_settings
from engine.learn.learned import VersionRanker
from engine.learn.log import EventLog, event_log, events_of, user_events
from engine.learn.network.train import TrainSettings
from engine.learn.network.train_towers import TwoTowerSettings
from engine.learn.rows.dataset import RowSettings
from engine.learn.splits import ALL_POSITIVES, Positives, leave_last_out
from engine.learn.training_data import read_training_data
from engine.learn.window import TimeWindow
from engine.models.errors import TooLittleDataError
from engine.opening import event_kinds
from engine.rerank.version import load_version, save_version
from tests.events.stores import served
from tests.learn.world import catalogue, walks
from tests.tiny import concept_space

DECLARED = EventSettings(
    kinds={
        "add_to_cart": KindSettings(weight=1.5, sign="positive"),
        "report": KindSettings(weight=-3, sign="negative", explicit=True),
    }
)
SETTINGS = Settings(events=DECLARED)
KINDS = event_kinds(SETTINGS)
ITEMS = catalogue()
QUICK = FitSettings(
    rows=RowSettings("time", steps=6, folds=4),
    training=TrainSettings(epochs=3, batch=32),
    towers=TwoTowerSettings(epochs=1),
    width=16,
)


def of_kind(log: EventLog, kind: str) -> EventLog:
    """The same log, in which everybody did something else."""
    return event_log(replace(one, event=replace(one.event, kind=kind)) for one in user_events(log))


def test_a_log_knows_its_kinds() -> None:
    standard = walks(ITEMS, users=3)
    assert standard.kinds == tuple(EventKind)
    log = of_kind(standard, "add_to_cart")
    assert log.kinds == (*EventKind, "add_to_cart")
    assert {one.kind for one in events_of(log, np.arange(len(log)))} == {"add_to_cart"}
    assert log.is_of({"add_to_cart", "share"}).all()
    assert not log.is_of(set(EventKind)).any()
    assert not ALL_POSITIVES.of(log).any()
    assert Positives(KINDS.positive).of(log).all()
    assert log.take(np.arange(2)).kinds == log.kinds


def test_a_kind_that_is_the_only_positive_one_is_learned(tmp_path: Path) -> None:
    """As clicks are: the counts are the same, and what follows what is found as well."""
    log = of_kind(walks(ITEMS), "add_to_cart")
    made = fit_settings(SETTINGS, concept_space().manifest, 0)
    assert (made.positives.kinds, made.kinds.negative) == (KINDS.positive, {"skip", "dislike", "report"})
    with pytest.raises(TooLittleDataError):
        leave_last_out(log, ITEMS)
    split = leave_last_out(log, ITEMS, made.positives)
    version = fit(split.train, ITEMS, replace(QUICK, positives=made.positives, kinds=made.kinds)).version
    clicked = fit(of_kind(split.train, "click"), ITEMS, replace(QUICK, towers=None, training=TrainSettings(epochs=1)))
    np.testing.assert_array_equal(version.statistics.popularity, clicked.version.statistics.popularity)
    assert version.network.config.kinds == len(KINDS.names) - 1
    save_version(version, tmp_path)
    loaded = load_version(tmp_path)
    assert loaded.token_kinds == version.token_kinds == made.kinds
    assert loaded.favours(Event("add_to_cart", ITEMS.ids[0]))
    for one in (version, loaded):
        ranker = VersionRanker(one, made.positives)
        ranker.fit(split.train, ITEMS)
        scores = ranker.score(split.cases)
        ranks = [int((row > row[target[0]]).sum()) for row, target in zip(scores, split.cases.targets, strict=True)]
        assert np.mean(np.array(ranks) == 0) > 0.5  # by chance 1 in 96; the rule holds in 8 of 10 steps


def test_training_leaves_out_what_is_not_declared_and_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'events.db'}"
    store = SqlEventStore(url, limits=EventLimits(kinds=KINDS))
    events = list(user_events(walks(ITEMS, users=4, steps=3)))
    store.record([*events, *(UserEvent(one.user, replace(one.event, kind="report")) for one in events[:5])])
    store.close()
    window, told = TimeWindow(None, datetime(2030, 1, 1, tzinfo=UTC)), list[str]()
    for kinds, left in ((DECLARED.kinds, 0), ({}, 5)):
        settings = Settings(events=DECLARED.model_copy(update={"url": url, "kinds": kinds}))
        data = read_training_data(settings, concept_space(), ITEMS, window, lambda share, stage: told.append(stage))
        assert (data.undeclared, len(data.log)) == (left, len(events) + 5 - left)
        assert ("report" in data.log.kinds) == (left == 0)
    said = [stage for stage in told if stage.startswith("leaving out")]
    assert said == ["leaving out 5 events of kinds that are not declared in events.kinds: report"]


def test_what_follows_served_lists_counts_by_the_table() -> None:
    follow = tuple(Event(kind, item) for kind, item in (("add_to_cart", "a"), ("report", "b"), ("view", "c")))
    list_ = Served(served(items=("a", "b", "c", "d")), follow)  # type: ignore[arg-type]

    def shares(kinds: object) -> list[float]:
        return [float(logged_positions([list_], one).reward.mean()) for one in rate_kinds(kinds).values()]  # type: ignore[arg-type]

    assert shares(KINDS) == [0.25, 0.0, 0.25]
    assert shares(STANDARD_KINDS) == [0.0, 0.0, 0.0]
