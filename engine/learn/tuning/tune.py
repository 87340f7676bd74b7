"""The search of the few settings of training that matter: learning rate, batch, width and the two dropouts.

Each trial trains on the same rows, and is measured on the youngest of them, which none of them learns from. Trials
are proposed by Optuna's tree-structured Parzen estimator (Bergstra et al., *Algorithms for hyper-parameter
optimization*, NIPS 2011), after the settings as they are and some at random; one that falls behind the median of the
others is ended early. What was tried is in an SQLite database, so that a search that was killed goes on.
"""

import fcntl
import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from encoders.types import Ints
from engine.learn.fit import FitSettings, TrainingRows, network_of
from engine.learn.network.train import check_enough, held_out, logits_of, row_ndcg, train
from engine.learn.network.trainer import Progress, Run, Stop
from engine.learn.pace import Tell
from engine.learn.tuning.tried import WHOLE, Setting, clean, newest, storage_of
from engine.models.errors import TooLittleDataError, TrainingError

AT_RANDOM = 5
"""Trials before the estimator proposes, and before one is ended early."""
RETRIES = 3
"""How often the settings of a trial whose process died are tried again."""


class SettingsSearch:
    """Trials on one set of rows, and the database where they are.

    Args:
        folder: where the database is; one process at a time, see `alone`.
        now: the settings as they are; the first trial is of them.
        until: the youngest event that is looked at, for a new search.
        fresh: begin a new one, even if there is one.
    """

    def __init__(self, folder: Path, now: Setting, until: datetime, *, fresh: bool = False) -> None:
        self._folder, self._storage = folder, storage_of(folder)
        self._now, self._until = now, until
        self._there = None if fresh else newest(self._storage)
        begun = datetime.now(UTC)
        self._name = self._there.study_name if self._there else f"{begun:%Y%m%d-%H%M%S-%f}"

    @property
    def until(self) -> datetime:
        """Events from then on are not looked at, so that a search that goes on sees what it saw before."""
        return datetime.fromisoformat(self._there.user_attrs["until"]) if self._there else self._until

    @property
    def folder(self) -> Path:
        """Where this search keeps what its rows are made with."""
        return self._folder / self._name

    @property
    def _study(self) -> optuna.Study:
        """The search in the database; it begins when there is something to try."""
        if self._there is None:
            self._there = optuna.create_study(study_name=self._name, storage=self._storage, direction="maximize")
            self._there.set_user_attr("until", self._until.isoformat())
            self._there.set_user_attr("now", dict(self._now))
            self._there.enqueue_trial(dict(self._now), user_attrs={"now": True})
            self._there.set_user_attr(WHOLE, True)
        return self._there

    def run(
        self,
        rows: TrainingRows,
        settings: FitSettings,
        trials: int,
        *,
        seconds: float = float("inf"),
        device: str = "cpu",
        report: Tell = lambda share, stage: None,
    ) -> None:
        """Try until so many trials are done, or the time is over; a trial that began is brought to its end.

        Args:
            rows: what each trial is trained and measured on.
            settings: what is not searched.
            trials: those of earlier runs count.
            seconds: after so many no trial begins.
            device: "cpu" or "cuda".
            report: is told the share that is done, 0 to 1, and what is being done.

        Raises:
            TooLittleDataError: if there are too few rows.
            TrainingError: if the search was begun on other rows, or with other settings.
        """
        learn, check = held_out(rows.examples, settings.training.held_out)
        check_enough(learn)
        if not any(one.positive.any() for one in check):
            raise TooLittleDataError("no held-out row has a positive candidate to measure on", "record more events")
        self._same(_signature(rows, settings), np.array([one.user for one in check], np.int64))
        self._take_up()
        began, seed = time.monotonic(), settings.training.seed
        while (done := self._done()) < trials and time.monotonic() - began < seconds:
            # The same seed again would propose the same again.
            self._study.sampler = optuna.samplers.TPESampler(seed=seed + done, n_startup_trials=AT_RANDOM)
            self._study.pruner = optuna.pruners.MedianPruner(n_startup_trials=AT_RANDOM, n_warmup_steps=1)
            trial = self._study.ask(_space(self._study.user_attrs["now"]))

            def told(one: Progress, done: int = done) -> None:
                report((done + one.share) / trials, f"trial {done + 1} of {trials}: {one.stage}")

            self._try(trial, rows, settings, Run(device, report=told))

    def _try(self, trial: optuna.Trial, rows: TrainingRows, settings: FitSettings, run: Run) -> None:
        made, began = with_setting(settings, trial.params), time.monotonic()
        behind, epochs = False, 0

        def told(one: Progress) -> None:
            nonlocal behind, epochs
            run.report(one)
            if "ndcg_at_10" in one.figures:
                epochs += 1
                trial.report(one.figures["ndcg_at_10"], epochs)
                behind = trial.should_prune()

        table = rows.point_in_time.table
        try:
            heard = replace(run, report=told, stopped=lambda: behind)
            trained = train(rows.examples, table, network_of(rows, made), made.training, heard)
        except Stop:
            trial.set_user_attr("epochs", epochs)
            trial.set_user_attr("seconds", time.monotonic() - began)
            self._study.tell(trial, state=TrialState.PRUNED)
            return
        except Exception:
            self._study.tell(trial, state=TrialState.FAIL)
            raise
        _, check = held_out(rows.examples, made.training.held_out)
        values = row_ndcg(check, logits_of(trained.model.to(run.device), check, table, run.device))
        trial.set_user_attr("epochs", epochs)
        trial.set_user_attr("seconds", time.monotonic() - began)
        trial.set_user_attr("values", [None if np.isnan(value) else round(value, 5) for value in values.tolist()])
        self._study.tell(trial, float(np.nanmean(values)))

    def _done(self) -> int:
        return len(self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))

    def _take_up(self) -> None:
        """End trials that died with their process, and have their settings tried again."""
        for dead in self._study.get_trials(states=(TrialState.RUNNING,)):
            self._study.tell(dead.number, state=TrialState.FAIL)
            again = int(dead.user_attrs.get("again", 0)) + 1
            if dead.params and again <= RETRIES:
                marks = {"again": again, "now": bool(dead.user_attrs.get("now"))}
                self._study.enqueue_trial(dead.params, user_attrs=marks)

    def _same(self, signature: str, users: Ints) -> None:
        before = self._study.user_attrs.get("rows")
        if before is None:
            self._study.set_user_attr("people", users.tolist())
            self._study.set_user_attr("rows", signature)
        elif before != signature:
            raise TrainingError(
                "the search that is there was begun on other events, items or settings of [learn]",
                "give --fresh to begin another, or put them back",
            )


def with_setting(settings: FitSettings, setting: Mapping[str, Any]) -> FitSettings:
    """The settings of training with those of a trial."""
    made = clean(setting)
    return replace(
        settings,
        training=replace(settings.training, learning_rate=float(made["learning_rate"]), batch=int(made["batch"])),
        width=int(made["width"]),
        dropout=float(made["dropout"]),
        id_dropout=float(made["id_dropout"]),
    )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One search at a time in a folder.

    Raises:
        TrainingError: if another process searches.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TrainingError(
                f"another process searches in {folder}", "wait for it, or look with triveni tune --show"
            ) from None
        yield


def _space(now: Setting) -> dict[str, BaseDistribution]:
    """What is searched; the settings as they were are always in it."""

    def choices(key: str, *values: int) -> CategoricalDistribution:
        return CategoricalDistribution(sorted({*values, int(now[key])}))

    rate = now["learning_rate"]
    return {
        "learning_rate": FloatDistribution(min(3e-4, rate), max(1e-2, rate), log=True),
        "batch": choices("batch", 32, 64, 128),
        "width": choices("width", 16, 32, 64, 96),
        "dropout": FloatDistribution(0.0, max(0.5, now["dropout"])),
        "id_dropout": FloatDistribution(0.0, max(0.9, now["id_dropout"])),
    }


def _signature(rows: TrainingRows, settings: FitSettings) -> str:
    """Of all that figures of trials depend on, besides what is searched."""
    now = {"learning_rate": 1.0, "batch": 1, "width": 4, "dropout": 0.0, "id_dropout": 0.0}
    digest = hashlib.blake2b(repr((with_setting(settings, now).training, rows.scales)).encode(), digest_size=16)
    for one in rows.examples:
        digest.update(np.float64(one.label_time).tobytes())
        digest.update(one.request.candidates[one.positive].tobytes())
    return digest.hexdigest()
