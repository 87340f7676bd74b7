"""Trainings as long-running operations: one runs, the others wait, and the list of them survives a restart."""

import fcntl
import os
import secrets
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import structlog

from encoders.errors import TriveniError
from engine.core.errors import InvalidQueryError, NotFoundError, OverloadedError
from engine.core.files import disk_errors
from engine.core.times import now_utc
from engine.learn.jobs.training_list import LIVE, Training, TrainingList, TrainingState
from engine.learn.jobs.worker import Failure, Stopped, Train, train_apart
from engine.learn.pace import Pace
from engine.learn.window import TimeWindow
from engine.models.card import ModelCard
from engine.models.errors import NotBetterError, OvertakenError, TrainingError
from engine.models.serving import Serving

MAX_WAITING = 16
"""Trainings that may wait for their turn."""
WRITTEN_SECONDS = 2.0
"""How far a training is, is written down so often, for the servers that do not run it."""
_SERVER_STOPPED = Failure("TrainingError", "UNAVAILABLE", "the server stopped", "train again")


class Trainings:
    """Runs trainings, and tells of them. Any number of threads may ask.

    Args:
        folder: where the list is kept. One process trains in it at a time; others may read.
        train: makes a version; None if nothing here trains.
        serving: promotes what passes the gate.
        keep: versions that are kept beside those that serve; see `Registry.prune`.
        prepare: is called in this process before each training, whose own process cannot open an embedded store.
        clock: tells the time, with a time zone.
    """

    def __init__(
        self,
        folder: Path,
        train: Train | None,
        serving: Serving,
        *,
        keep: int,
        prepare: Callable[[], None] = lambda: None,
        clock: Callable[[], datetime] = now_utc,
    ) -> None:
        self._folder, self._train, self._serving = folder, train, serving
        self._keep, self._prepare, self._clock = keep, prepare, clock
        self._log = structlog.get_logger("triveni.models")
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._closing = False
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder) if train else -1
        self._list = TrainingList(folder)
        self._thread = threading.Thread(target=self._work, name="trainings", daemon=True)
        if self._lock >= 0:
            for one in self._list:
                if one.state is TrainingState.RUNNING:
                    self._list.put(self._over(one, TrainingState.FAILED, _SERVER_STOPPED))
            self._thread.start()

    def close(self) -> None:
        """Stop the training that runs; those that wait begin when the next server starts."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            self._stop.set()
        if self._lock >= 0:
            self._thread.join()
            os.close(self._lock)
            self._lock = -1

    def start(
        self, window_start: datetime | None, window_end: datetime | None, *, promote: bool, seed: int | None
    ) -> Training:
        """Ask for a training; it begins when those before it have ended.

        Args:
            window_start: learn from events from this time on; None means from the first.
            window_end: and before this time; None means now.
            promote: whether its version is promoted if the gate says so.
            seed: makes it repeatable; None draws one.

        Raises:
            TrainingError: if nothing here trains.
            InvalidQueryError: if the times hold no events, or the seed is negative.
            OverloadedError: if too many wait.
            DiskError: if it cannot be written down.
        """
        if self._lock < 0:
            raise TrainingError(
                "another process trains into this folder" if self._train else "this server does not train",
                "ask that process" if self._train else "train with `triveni train`, then promote the version",
            )
        now = self._clock()
        window = TimeWindow(window_start, window_end or now)
        if window.start is not None and window.start >= window.end:
            raise InvalidQueryError(
                f"no time lies between {window.start.isoformat()} and {window.end.isoformat()}",
                "let data_start_time be before data_end_time",
                field="data_start_time",
            )
        if seed is not None and seed < 0:
            raise InvalidQueryError(f"seed is {seed}", "send 0 or more, or none", field="seed")
        drawn = secrets.randbelow(2**31) if seed is None else seed
        training = Training(f"{now:%Y%m%d-%H%M%S-%f}-{uuid.uuid4().hex[:6]}", window, promote, drawn)
        with self._changed:
            if sum(one.state is TrainingState.QUEUED for one in self._list) >= MAX_WAITING:
                raise OverloadedError(
                    f"{MAX_WAITING} trainings are waiting already", "cancel some, or try again later"
                )
            self._list.add(training)
            self._changed.notify_all()
        return training

    def all(self) -> list[Training]:
        """All trainings, the newest first."""
        with self._changed:
            if self._lock < 0:
                self._list.reload()
            return sorted(self._list, key=lambda one: one.id, reverse=True)

    def get(self, training_id: str) -> Training:
        """One training.

        Raises:
            NotFoundError: if there is none of that id.
        """
        for one in self.all():
            if one.id == training_id:
                return one
        raise NotFoundError(f"no training {training_id[:80]!r}", "ListTrainings names them", field="training_id")

    def cancel(self, training_id: str) -> Training:
        """Stop a training, within about a second if it runs; one that has ended is left as it is.

        Raises:
            NotFoundError: if there is none of that id.
            TrainingError: if another process runs it.
        """
        with self._changed:
            training = self.get(training_id)
            if training.state in LIVE and self._lock < 0:
                raise TrainingError(f"training {training_id} runs in another process", "cancel it there")
            if training.state is TrainingState.QUEUED:
                self._list.put(self._over(training, TrainingState.CANCELLED))
            elif training.state is TrainingState.RUNNING:
                self._list.put(replace(training, stage="stopping"), durably=False)
                self._stop.set()
            return self._list[training_id]

    # The thread that runs them ------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._changed:
                while (training := self._next()) is None and not self._closing:
                    self._changed.wait()
                if self._closing or training is None:
                    return
                self._stop.clear()
                training = replace(training, state=TrainingState.RUNNING, stage="starting", started=self._clock())
                self._list.put(training)
            self._log.info("training began", id=training.id)
            try:
                self._run(training)
            except TriveniError as error:
                self._end(training, TrainingState.FAILED, Failure.of(error))
            except Exception as error:  # noqa: BLE001 (the next training has to find its thread)
                self._log.error("training lost", id=training.id, exc_info=error)
                said = f"the server failed at this training ({type(error).__name__}: {error})"
                self._end(training, TrainingState.FAILED, Failure("UnexpectedError", "INTERNAL", said, "see its log"))

    def _next(self) -> Training | None:
        waiting = [one for one in self._list if one.state is TrainingState.QUEUED]
        return min(waiting, key=lambda one: one.id, default=None)

    def _run(self, training: Training) -> None:
        assert self._train is not None

        pace, written = Pace(), float("-inf")

        def progress(part: float, stage: str) -> None:
            nonlocal written
            pace.update(part)
            with self._changed:
                if self._stop.is_set():
                    return
                durably = pace.elapsed - written >= WRITTEN_SECONDS
                written = pace.elapsed if durably else written
                now = replace(self._list[training.id], progress=pace.share, left=pace.left, stage=stage)
                self._list.put(now, durably=durably)

        progress(0.0, "reading the catalogue")
        with disk_errors(self._folder):
            self._prepare()
        progress(0.0, "starting the training's process")
        result = train_apart(self._train, training.window, training.seed, progress, self._stop)
        if isinstance(result, Stopped) and self._closing:
            self._end(training, TrainingState.FAILED, _SERVER_STOPPED)
        elif isinstance(result, Stopped):
            self._end(training, TrainingState.CANCELLED)
        elif isinstance(result, Failure):
            self._end(training, TrainingState.FAILED, result)
        else:
            self._judge(training, result)

    def _judge(self, training: Training, card: ModelCard) -> None:
        made, verdict = replace(training, version=card.version), card.gate
        try:
            if verdict is not None and not verdict.promote:
                raise NotBetterError(
                    f"model version {card.version} is not promoted: {verdict.reason}",
                    "train on more events, or promote it nevertheless with PromoteModel",
                )
            stage = self._promote(card) if training.promote and not self._stop.is_set() else "done"
            self._end(made, TrainingState.SUCCEEDED, stage=stage)
        except TriveniError as error:
            self._end(made, TrainingState.FAILED, Failure.of(error))
        try:
            self._serving.registry.prune(self._keep)
        except (TriveniError, OSError) as error:
            self._log.warning("old versions not retired", error=str(error))

    def _promote(self, card: ModelCard) -> str:
        """Promote a version that passed the gate, unless the gate judged it against another; says what was done."""
        if card.gate is None:
            return "done, not promoted: the gate was not asked"
        try:
            self._serving.promote(card.version, over=card.parent)
        except OvertakenError as error:
            return f"done, not promoted: {error}"
        return "done, promoted"

    def _end(self, training: Training, state: TrainingState, failure: Failure | None = None, stage: str = "") -> None:
        with self._changed:
            now = self._list[training.id]
            ended = self._over(replace(now, version=training.version), state, failure, stage)
            self._list.put(ended)
        problem = failure.problem if failure else ""
        self._log.info("training ended", id=training.id, state=state.value, version=training.version, problem=problem)

    def _over(
        self, training: Training, state: TrainingState, failure: Failure | None = None, stage: str = ""
    ) -> Training:
        progress = 1.0 if state is TrainingState.SUCCEEDED else training.progress
        return replace(
            training,
            state=state,
            failure=failure,
            stage=stage or state.value,
            progress=progress,
            left=None,
            ended=self._clock(),
        )


def _lock(folder: Path) -> int:
    """The right to train in a folder, until the process ends; -1 if another process has it."""
    file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return -1
    return file
