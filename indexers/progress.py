"""Says how far a run is: a bar on a terminal, log lines elsewhere."""

import time
from collections import deque
from typing import Protocol

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

_EVERY_SECONDS = 5.0


class Watcher(Protocol):
    """Is told how a run goes, by the thread that runs it."""

    def start(self, total: int | None) -> None:
        """A run begins over so many rows, None if their number is unknown."""

    def update(self, done: int, failed: int) -> None:
        """So many rows are done, and so many of them failed."""

    def phase(self, name: str) -> None:
        """The rows are done, and something else goes on: pruning, optimising."""

    def close(self) -> None:
        """The run ended, one way or the other."""


class Silent:
    """Says nothing."""

    def start(self, total: int | None) -> None:
        """See `Watcher`."""

    def update(self, done: int, failed: int) -> None:
        """See `Watcher`."""

    def phase(self, name: str) -> None:
        """See `Watcher`."""

    def close(self) -> None:
        """See `Watcher`."""


class Bar:
    """A progress bar with rate and time left.

    Args:
        console: the terminal that it is drawn on.
        doing: what the run does.
    """

    def __init__(self, console: Console, doing: str = "indexing") -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]} items/s"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[failed]}", style="red"),
            console=console,
        )
        self._task = self._progress.add_task(doing, total=None, start=False, rate="–", failed="")
        self._clock = Clock()

    def start(self, total: int | None) -> None:
        """See `Watcher`."""
        self._clock = Clock(total)
        self._progress.update(self._task, total=total)
        self._progress.start_task(self._task)
        self._progress.start()

    def update(self, done: int, failed: int) -> None:
        """See `Watcher`."""
        self._clock.update(done)
        told = f"{failed} failed" if failed else ""
        self._progress.update(self._task, completed=done, rate=f"{self._clock.rate:,.0f}", failed=told)

    def phase(self, name: str) -> None:
        """See `Watcher`."""
        self._progress.update(self._task, description=name)

    def close(self) -> None:
        """See `Watcher`."""
        self._progress.stop()


class Lines:
    """A log line every few seconds.

    Args:
        every: seconds between lines.
        doing: what the run does.
    """

    def __init__(self, every: float = _EVERY_SECONDS, doing: str = "indexing") -> None:
        self._log = structlog.get_logger("triveni.index")
        self._doing = doing
        self._every = every
        self._clock = Clock()
        self._told = 0.0

    def start(self, total: int | None) -> None:
        """See `Watcher`."""
        self._clock = Clock(total)
        self._told = time.monotonic()
        self._log.info(self._doing, total=total)

    def update(self, done: int, failed: int) -> None:
        """See `Watcher`."""
        self._clock.update(done)
        if time.monotonic() - self._told >= self._every:
            self._told = time.monotonic()
            facts: dict[str, float | None] = {
                "done": done,
                "failed": failed,
                "per_second": round(self._clock.rate, 1),
            }
            if self._clock.left is not None:
                facts |= {"total": self._clock.total, "seconds_left": round(self._clock.left)}
            self._log.info(self._doing, **facts)

    def phase(self, name: str) -> None:
        """See `Watcher`."""
        self._log.info(name)

    def close(self) -> None:
        """See `Watcher`."""


class Clock:
    """The rate of a run over the younger half of its time, and the time left.

    What is loaded before the first rows are done takes as long however many there are, so it does not count.

    Args:
        total: rows, None if their number is unknown.
    """

    def __init__(self, total: int | None = None) -> None:
        self.total = total
        self.rate = 0.0
        """Rows per second; 0 until a pace can be told."""
        self.left: float | None = None
        """Seconds, None while unknown."""
        self._begun = time.monotonic()
        self._marks: deque[tuple[float, int]] = deque([(0.0, 0)])
        """Seconds since it began, and rows that were done then."""

    def update(self, done: int) -> None:
        """So many rows are done."""
        now = time.monotonic() - self._begun
        if not self._marks[-1][1]:
            self._marks[-1] = now, done
        elif done > self._marks[-1][1]:
            self._marks.append((now, done))
        while len(self._marks) > 2 and self._marks[1][0] < now / 2:
            self._marks.popleft()
        began, before = self._marks[0]
        self.rate = (done - before) / (now - began) if done > before else 0.0
        if self.total is not None and self.rate > 0:
            self.left = max(0.0, (self.total - done) / self.rate)
