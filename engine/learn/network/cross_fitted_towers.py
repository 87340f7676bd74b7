"""The learned query vector for training rows: of each row, one that has not seen its label.

By time, the log is cut at two moments: rows behind a cut use the vector that was learned before it, and the oldest
rows none. By people, there are two halves, and each half's rows use the vector of the other.
"""

from dataclasses import replace

import numpy as np

from encoders.types import Bools
from engine.learn.network.train_towers import TwoTowerSettings, train_towers
from engine.learn.network.trainer import HERE, Progress, Run
from engine.learn.rows.dataset import RowSettings, TowersOf, folds_of
from engine.learn.rows.point_in_time import PointInTimeFeatures
from engine.models.errors import TooLittleDataError
from engine.rerank.two_towers import TowerScores, TwoTowerConfig, TwoTowerModel

CUTS = (0.35, 0.7)
"""The shares of the positive events before the two moments."""


class CrossFittedTowers:
    """Trains the vectors.

    Args:
        point_in_time: the log.
        rows: how rows are cross-fitted.
        config: the towers.
        settings: how they are trained.
        run: where, who hears of it and who may stop it.
    """

    def __init__(
        self,
        point_in_time: PointInTimeFeatures,
        rows: RowSettings,
        config: TwoTowerConfig,
        settings: TwoTowerSettings,
        run: Run = HERE,
    ) -> None:
        self._point_in_time, self._rows = point_in_time, rows
        self._config, self._settings, self._run = config, settings, run
        self._done = 0.0

    def towers_of(self) -> TowersOf:
        """What rows may know; see `engine.learn.rows.dataset.blocks`.

        Raises:
            Stop: if the run is stopped.
        """
        return self._by_user() if self._rows.cross_fit == "users" else self._by_time()

    def whole(self) -> TwoTowerModel | None:
        """The vector that is learned from everything; None if that is too little.

        Raises:
            Stop: if the run is stopped.
        """
        return self._train(None, "whole", 1.0 - self._done)

    def _by_user(self) -> TowersOf:
        half = folds_of(self._point_in_time, self._rows) % 2
        mine = half[self._point_in_time.log.user]  # (n,)
        made = [self._laid(mine != one, f"half-{one}", 0.25) for one in (0, 1)]

        def of(fold: int | None, until: float) -> TowerScores | None:
            return None if fold is None else made[fold % 2]

        return of

    def _by_time(self) -> TowersOf:
        time = self._point_in_time.log.time
        steps = time[self._point_in_time.positive]
        made: list[tuple[float, TowerScores | None]] = []
        for position, share in enumerate(CUTS if len(steps) else ()):
            cut = float(np.quantile(steps, share))
            made.append((cut, self._laid(time < cut, f"cut-{position}", share / (1 + sum(CUTS)))))

        def of(fold: int | None, until: float) -> TowerScores | None:
            return next((towers for cut, towers in reversed(made) if cut <= until), None)

        return of

    def _train(self, targets: Bools | None, name: str, share: float) -> TwoTowerModel | None:
        done, self._done = self._done, self._done + share

        def report(one: Progress) -> None:
            self._run.report(Progress(done + share * one.share, f"two towers, {name}: {one.stage}", one.figures))

        folder = None if self._run.folder is None else self._run.folder / f"towers-{name}"
        run = replace(self._run, folder=folder, report=report)
        try:
            return train_towers(self._point_in_time, self._config, self._settings, run, targets=targets).model
        except TooLittleDataError:
            return None

    def _laid(self, targets: Bools, name: str, share: float) -> TowerScores | None:
        model, point_in_time = self._train(targets, name, share), self._point_in_time
        known = np.zeros(point_in_time.size, np.bool_)
        known[point_in_time.item[point_in_time.positive & targets]] = True
        return None if model is None else TowerScores(model, point_in_time.table, known)
