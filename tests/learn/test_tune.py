"""The search of settings: what it tries, that it goes on after kill -9, and what it says of it."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from engine.learn.evaluation.stats import paired
from engine.learn.fit import FitSettings, TrainingRows, training_rows
from engine.learn.network.train import TrainSettings
from engine.learn.rows.dataset import RowSettings
from engine.learn.tuning.tried import SEARCHED, clean, found, newest, storage_of
from engine.learn.tuning.tune import SettingsSearch, alone, with_setting
from engine.models.errors import TooLittleDataError, TrainingError
from tests.learn.world import catalogue, walks

QUICK = FitSettings(
    rows=RowSettings("time", steps=4, folds=3), training=TrainSettings(epochs=2, batch=128), width=16, towers=None
)
NOW = {"learning_rate": 0.002, "batch": 128, "width": 16, "dropout": 0.2, "id_dropout": 0.5}
UNTIL = datetime(2026, 3, 1, tzinfo=UTC)


@cache
def made_rows(users: int = 40) -> TrainingRows:
    items = catalogue(size=48)
    return training_rows(walks(items, users=users), items, QUICK)


def test_it_tries_the_settings_as_they_are_then_others_and_ranks_them(tmp_path: Path) -> None:
    assert found(tmp_path) is None
    told: list[float] = []
    SettingsSearch(tmp_path, NOW, UNTIL).run(made_rows(), QUICK, 3, report=lambda share, _: told.append(share))
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)
    result = found(tmp_path)
    assert result is not None
    assert result.until == UNTIL
    assert len(result.tried) == 3
    assert result.now is not None
    assert (result.now.number, result.now.setting) == (0, NOW)
    assert len({tuple(one.setting.values()) for one in result.tried}) == 3
    assert all(tuple(one.setting) == SEARCHED for one in result.tried)
    done = [one for one in result.tried if one.state == "done"]
    assert [one.figure for one in done] == sorted((one.figure for one in done), reverse=True)
    assert result.best is done[0]
    for one in done:
        assert one.figure == pytest.approx(np.nanmean(one.values), abs=1e-4)
        assert len(one.values) == len(result.users)
    gain = result.gain()
    if result.best is result.now:
        assert gain is None
    else:
        assert gain == paired(result.best.values, result.now.values, result.users)


def test_the_settings_of_a_trial_reach_the_training() -> None:
    made = with_setting(
        QUICK, {"learning_rate": 0.0123456, "batch": 32, "width": 64, "dropout": 0.1, "id_dropout": 0.0}
    )
    assert (made.training.learning_rate, made.training.batch, made.width) == (0.0123, 32, 64)
    assert (made.dropout, made.id_dropout) == (0.1, 0.0)
    assert (made.rows, made.training.epochs) == (QUICK.rows, QUICK.training.epochs)


def test_it_goes_on_after_kill_9_and_tries_again_what_was_running(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-m", "tests.learn.search_for_ever", str(tmp_path)])
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            before = found(tmp_path)
            states = [] if before is None else [one.state for one in before.tried]
            if states.count("done") >= 1 and "running" in states:
                break
            time.sleep(0.05)
        with pytest.raises(TrainingError, match="another process searches"), alone(tmp_path):
            pass
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    before = found(tmp_path)
    assert before is not None
    done = {one.number: one.figure for one in before.tried if one.state in ("done", "ended early")}
    died = [one for one in before.tried if one.state == "running" and one.setting]  # one may just have begun
    with alone(tmp_path):
        SettingsSearch(tmp_path, {**NOW, "width": 32}, datetime.now(UTC)).run(made_rows(), QUICK, len(done) + 1)
    after = found(tmp_path)
    assert after is not None
    assert after.until == UNTIL
    assert done.items() <= {one.number: one.figure for one in after.tried}.items()
    if died:  # it may have ended between the look and the kill
        (retried,) = (one for one in after.tried if one.number not in {was.number for was in before.tried})
        assert retried.setting == died[0].setting
        assert next(one.state for one in after.tried if one.number == died[0].number) == "failed"


def test_other_rows_or_settings_are_refused_unless_it_begins_anew(tmp_path: Path) -> None:
    SettingsSearch(tmp_path, NOW, UNTIL).run(made_rows(), QUICK, 1)
    with pytest.raises(TrainingError, match="begun on other events") as refused:
        SettingsSearch(tmp_path, NOW, UNTIL).run(made_rows(users=39), QUICK, 2)
    assert "--fresh" in refused.value.remedy
    longer = replace(QUICK, training=replace(QUICK.training, epochs=3))
    with pytest.raises(TrainingError, match="settings"):
        SettingsSearch(tmp_path, NOW, UNTIL).run(made_rows(), longer, 2)
    SettingsSearch(tmp_path, NOW, UNTIL, fresh=True).run(made_rows(users=39), QUICK, 1)
    result = found(tmp_path)
    assert result is not None
    assert len(result.tried) == 1


def test_trials_of_the_release_before_can_be_shown() -> None:
    old = {"rate" if key == "learning_rate" else key: value for key, value in NOW.items()}
    assert clean(old) == clean(NOW) == NOW


def test_a_trial_that_has_chosen_only_some_of_its_settings_can_be_shown(tmp_path: Path) -> None:
    SettingsSearch(tmp_path, NOW, UNTIL).run(made_rows(), QUICK, 1)
    study = newest(storage_of(tmp_path))
    assert study is not None
    study.ask({"learning_rate": study.trials[0].distributions["learning_rate"]})
    result = found(tmp_path)
    assert result is not None
    assert [one.setting for one in result.tried if one.state == "running"] == [{}]


def test_when_the_time_is_over_no_trial_begins(tmp_path: Path) -> None:
    SettingsSearch(tmp_path, NOW, UNTIL).run(made_rows(), QUICK, 5, seconds=0)
    result = found(tmp_path)
    assert result is not None
    assert [one.state for one in result.tried] == ["waiting"]
    assert (result.best, result.now, result.gain()) == (None, None, None)


def test_too_few_rows_are_said_and_begin_no_search(tmp_path: Path) -> None:
    with pytest.raises(TooLittleDataError, match="training rows are too few"):
        SettingsSearch(tmp_path, NOW, UNTIL).run(made_rows(users=3), QUICK, 1)
    assert found(tmp_path) is None
