"""Trainings that are quick. They are functions of a module, so that another process can run them."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from engine.core.errors import CancelledError
from engine.learn.window import TimeWindow
from engine.models.card import ModelCard
from engine.models.errors import TooLittleDataError
from engine.models.registry import Registry
from engine.models.verdict import Verdict
from tests.models.versions import make

Progress = Callable[[float, str], None]
Cancelled = Callable[[], bool]


def quick(
    path: Path,
    concept: str,
    better: bool | None,
    progress: Progress,
    cancelled: Cancelled,
    window: TimeWindow,
    seed: int,
) -> ModelCard:
    """Makes a version at once; the gate says what it is told to, None asks no gate."""
    progress(0.5, "epoch 1 of 1")
    verdict = None if better is None else Verdict(better, "as told", "ndcg_at_10", 500)
    registry = Registry(path)
    parent = registry.pointer().serving
    said = {"gate": verdict, "parent": parent, "seed": seed, "data_from": window.start, "data_until": window.end}
    return make(registry, concept, **said)


def patient(path: Path, progress: Progress, cancelled: Cancelled, window: TimeWindow, seed: int) -> ModelCard:
    """Goes on until it is cancelled, or the file `go` is there; writes its process id."""
    (path / "pid").write_text(str(os.getpid()))
    progress(0.25, "epoch 1 of 4")
    while not (path / "go").exists():
        if cancelled():
            raise CancelledError("told to stop")
        time.sleep(0.02)
    return quick(path, "bird", None, progress, cancelled, window, seed)


def wandering(path: Path, progress: Progress, cancelled: Cancelled, window: TimeWindow, seed: int) -> ModelCard:
    """Tells of less than before, then waits for the file `go`."""
    progress(0.5, "making training rows")
    progress(0.25, "epoch 1 of 4")
    while not (path / "go").exists():
        time.sleep(0.02)
    return quick(path, "bird", None, progress, cancelled, window, seed)


def deaf(path: Path, progress: Progress, cancelled: Cancelled, window: TimeWindow, seed: int) -> ModelCard:
    """Never asks whether it is cancelled."""
    (path / "pid").write_text(str(os.getpid()))
    progress(0.25, "epoch 1 of 4")
    time.sleep(600)
    raise AssertionError("nobody stopped it")


def hungry(progress: Progress, cancelled: Cancelled, window: TimeWindow, seed: int) -> ModelCard:
    """Has not enough to learn from."""
    raise TooLittleDataError("12 events of 3 people are too few to learn from", "collect at least 1000")


def wrong(progress: Progress, cancelled: Cancelled, window: TimeWindow, seed: int) -> ModelCard:
    """Has a defect."""
    raise ZeroDivisionError("a defect")


def crashing(progress: Progress, cancelled: Cancelled, window: TimeWindow, seed: int) -> ModelCard:
    """Its process dies."""
    os._exit(7)
