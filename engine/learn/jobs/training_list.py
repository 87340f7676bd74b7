"""The list of trainings: what is known of each, in memory and as a file, so that it survives a restart."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from engine.core.errors import DiskError
from engine.core.files import write_atomically
from engine.learn.jobs.worker import Failure
from engine.learn.window import TimeWindow

MAX_KEPT = 100
"""Trainings that are remembered; the oldest ones that have ended are forgotten."""


class TrainingState(StrEnum):
    """How far a training is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


LIVE = frozenset({TrainingState.QUEUED, TrainingState.RUNNING})


@dataclass(frozen=True, slots=True)
class Training:
    """A training."""

    id: str
    """Sorts by the time when it was asked for."""
    window: TimeWindow
    promote: bool
    """Whether its version is promoted if the gate says so."""
    seed: int
    state: TrainingState = TrainingState.QUEUED
    progress: float = 0.0
    """0 to 1; it never falls."""
    left: float | None = None
    """Seconds that it will still take, as its pace says; None while that is not known, and when it has ended."""
    stage: str = "waiting"
    started: datetime | None = None
    ended: datetime | None = None
    version: str = ""
    """The version that it made."""
    failure: Failure | None = None


_ADAPTER = TypeAdapter(Training)


class TrainingList:
    """The trainings in a folder. Whoever has it sees to it that one thread at a time uses it.

    Args:
        folder: where a file for each is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = structlog.get_logger("triveni.models")
        self._known: dict[str, Training] = {}
        self.reload()

    def __iter__(self) -> Iterator[Training]:
        return iter(list(self._known.values()))

    def __getitem__(self, name: str) -> Training:
        return self._known[name]

    def reload(self) -> None:
        """Read the files, which another process may have written. One that cannot be read is logged."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                found.append(_ADAPTER.validate_json(path.read_bytes()))
            except (OSError, ValidationError) as error:
                self._log.warning("training not read", path=str(path), error=str(error))
        self._known = {one.id: one for one in found}

    def add(self, training: Training) -> None:
        """Add one, and forget the oldest that have ended if there are too many.

        Raises:
            DiskError: if it cannot be written; it is not added.
        """
        self._write(training)
        self._known[training.id] = training
        old = sorted(one.id for one in self if one.state not in LIVE)
        for name in old[: max(0, len(self._known) - MAX_KEPT)]:
            del self._known[name]
            self._path(name).unlink(missing_ok=True)

    def put(self, training: Training, *, durably: bool = True) -> None:
        """Replace what is known of one. Where the disk is full the log says so, and the memory is right."""
        self._known[training.id] = training
        if durably:
            try:
                self._write(training)
            except DiskError as error:
                self._log.error("training not written", id=training.id, error=str(error))

    def _write(self, training: Training) -> None:
        write_atomically(self._path(training.id), _ADAPTER.dump_json(training, indent=1).decode())

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"
