"""What a search of settings has tried so far: read from its database, also while it runs."""

import fcntl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from encoders.types import Doubles, Ints
from engine.learn.evaluation.stats import Difference, paired
from engine.learn.settings import LearnSettings

FILE = "tuning.db"
SEARCHED = ("learning_rate", "batch", "width", "dropout", "id_dropout")
"""Keys of `[learn]`."""
WHOLE = "whole"
"""Marks a search that has all it needs."""

Setting = Mapping[str, float | int]


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial. r rows were held out."""

    number: int
    setting: Setting
    """Empty until all of it is chosen."""
    figure: float | None
    """NDCG@10 on the held-out rows, the best of its epochs, so far where it was ended early. None if it failed."""
    epochs: int
    seconds: float
    state: str
    """"done", "ended early", "failed", "running" or "waiting"."""
    as_it_was: bool
    """Whether these are the settings that were there when the search began."""
    values: Doubles
    """(r,): NDCG@10 of each row; empty if it is not done."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found."""

    until: datetime
    tried: tuple[Tried, ...]
    """The best first; those without a figure last."""
    users: Ints
    """(r,): whose each held-out row is."""

    @property
    def best(self) -> Tried | None:
        """The best that is done; None if none is."""
        return next((one for one in self.tried if one.state == "done"), None)

    @property
    def now(self) -> Tried | None:
        """The settings as they were when the search began; None if that trial is not done."""
        return next((one for one in self.tried if one.as_it_was and one.state == "done"), None)

    def gain(self) -> Difference | None:
        """The best less the settings as they were, row by row; None if they are the same, or not done.

        The best was chosen by these rows, so this flatters it.
        """
        if self.best is None or self.now is None or self.best is self.now:
            return None
        return paired(self.best.values, self.now.values, self.users)


def found(folder: Path) -> SearchResult | None:
    """What the newest search in a folder found so far, also while it runs; None if there is none."""
    study = newest(storage_of(folder)) if (folder / FILE).is_file() else None
    if study is None:
        return None
    tried = sorted(
        map(_tried, study.get_trials()),
        key=lambda one: (one.state != "done", one.figure is None, -(one.figure or 0.0), one.number),
    )
    users = np.array(study.user_attrs.get("people", []), np.int64)
    return SearchResult(datetime.fromisoformat(study.user_attrs["until"]), tuple(tried), users)


def clean(setting: Mapping[str, Any]) -> dict[str, float | int]:
    """A trial's settings as they are used and shown: three digits, which is more than they are known to. Searches of
    the release before call some otherwise."""
    named = {LearnSettings.renamed.get(key, key): value for key, value in setting.items()}
    return {key: float(f"{named[key]:.3g}") if isinstance(named[key], float) else named[key] for key in SEARCHED}


def storage_of(folder: Path) -> optuna.storages.RDBStorage:
    """The database of a folder; made where it is not there."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{FILE}.lock").open("w") as lock:  # two that make its tables at once fail
        fcntl.flock(lock, fcntl.LOCK_EX)
        return optuna.storages.RDBStorage(f"sqlite:///{folder / FILE}")


def newest(storage: optuna.storages.RDBStorage) -> optuna.Study | None:
    """The newest search in a database that was not killed while it was made."""
    found = [one for one in optuna.get_all_study_summaries(storage) if WHOLE in one.user_attrs]
    names = sorted(one.study_name for one in found)
    return optuna.load_study(study_name=names[-1], storage=storage) if names else None


_STATES = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "ended early",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def _tried(trial: FrozenTrial) -> Tried:
    values = trial.user_attrs.get("values", [])
    figures = list(trial.intermediate_values.values())
    return Tried(
        trial.number,
        clean(trial.params) if len(trial.params) >= len(SEARCHED) else {},  # else it has just begun
        trial.value if trial.state is TrialState.COMPLETE else max(figures, default=None),
        int(trial.user_attrs.get("epochs", len(figures))),
        float(trial.user_attrs.get("seconds", 0.0)),
        _STATES[trial.state],
        bool(trial.user_attrs.get("now")),
        np.array([np.nan if value is None else value for value in values], np.float64),
    )
