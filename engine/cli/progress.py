"""Says how far a long run is: a bar on a terminal, log lines elsewhere; both on standard error."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from engine.cli.common import stderr

if TYPE_CHECKING:
    from engine.config.settings import Settings
    from engine.learn.pace import Tell

EVERY_SECONDS = 10.0
"""A line is written so often, also where a stage tells nothing."""


@contextmanager
def told(settings: Settings, doing: str, *, shown: bool = True) -> Iterator[Tell]:
    """Show what it is told.

    Args:
        settings: how log lines look.
        doing: what the run does.
        shown: False shows nothing, for all processes of a run but the first.
    """
    if not shown:
        yield lambda share, stage: None
    elif stderr.is_terminal:
        with _bar() as tell:
            yield tell
    else:
        from engine.service.logs import configure_logs

        configure_logs(settings.log.level, json_lines=settings.log.json_lines)
        with _lines(doing) as tell:
            yield tell


@contextmanager
def _bar() -> Iterator[Tell]:
    from engine.learn.pace import Pace

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    pace = Pace()
    with Progress(*columns, console=stderr) as bar:
        task = bar.add_task("starting", total=1.0, left="")

        def tell(share: float, stage: str) -> None:
            pace.update(share)
            left = "" if pace.left is None else f"about {timedelta(seconds=round(pace.left))} left"
            bar.update(task, completed=pace.share, description=stage, left=left)

        yield tell


@contextmanager
def _lines(doing: str, every: float = EVERY_SECONDS) -> Iterator[Tell]:
    """A line for each stage, and one every few seconds."""
    import structlog

    from engine.learn.pace import Pace

    log, pace = structlog.get_logger("triveni.models"), Pace()
    ended = threading.Event()
    saying = threading.Lock()
    now = "starting"

    def say() -> None:
        left = {} if pace.left is None else {"seconds_left": round(pace.left)}
        log.info(doing, stage=now, done=round(pace.share, 3), seconds=round(pace.elapsed), **left)

    def tell(share: float, stage: str) -> None:
        nonlocal now
        with saying:
            pace.update(share)
            if stage != now:
                now = stage
                say()

    def repeat() -> None:
        while not ended.wait(every):
            with saying:
                say()

    say()
    repeating = threading.Thread(target=repeat, name="progress", daemon=True)
    repeating.start()
    try:
        yield tell
    finally:
        ended.set()
        repeating.join()
