"""When and how the search graphs of an embedded store are built: in a copy, by another process."""

import logging
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from engine.core.errors import DiskError, StoreError
from engine.core.types import ItemId
from engine.store.base import Tell
from engine.store.edge_build import Build

_PROGRAM = Path(__file__).with_name("edge_optimize.py")
_BACKGROUND_NICENESS = 10
_BUILDS = threading.Lock()
"""One build at a time in this process, so that the budget of memory holds for all its stores together."""
_LOOK_SECONDS = 0.1
"""Between two looks whether a store that waits for its turn was stopped."""
_log = logging.getLogger(__name__)


class Optimizer:
    """Builds search graphs while the store goes on reading and writing.

    It copies the shard, lets a process of its own build over the copy, and hands it back; whoever takes it asks for
    the ids of the points that were written meanwhile.

    Args:
        after: so many written points make a build due; 0 for never.
        writing: the lock of the store's writers.
        copy: copies the shard, as so many points are unbuilt, or gives None if it is too small; called with the lock.
        adopt: exchanges the shard for the one that was built; it asks which points were written since it last asked.
        tell: is told how far each build is; None where nobody wants to know.
        ended: is told that one is over, whether or not there was anything to build; None where nobody wants to know.
    """

    def __init__(
        self,
        after: int,
        writing: threading.RLock,
        copy: Callable[[int], Build | None],
        adopt: Callable[[Build, Callable[[], set[ItemId]]], None],
        tell: Tell | None = None,
        ended: Callable[[], None] | None = None,
    ) -> None:
        self._after = after
        self._writing = writing
        self._copy = copy
        self._adopt = adopt
        self._running = threading.Lock()
        self._thread: threading.Thread | None = None
        self._child: subprocess.Popen[str] | None = None
        self._stopped = False
        self._written = 0
        self._changed: set[ItemId] | None = None
        self._listeners = [tell] if tell else []
        self._ended = ended or (lambda: None)

    def count(self, points: int) -> None:
        """Count points that were written before this object was there."""
        self._written += points

    def wrote(self, ids: Iterable[ItemId]) -> None:
        """Take note of points that were written or deleted; called with the store's write lock."""
        for item in ids:
            self._written += 1
            if self._changed is not None:
                self._changed.add(item)

    def start_if_due(self, points: int) -> None:
        """Start a build in the background if enough was written: `after` points, and half of all."""
        due = 0 < self._after <= self._written and 2 * self._written >= points
        if due and not self._stopped and (self._thread is None or not self._thread.is_alive()):
            with suppress(DiskError):  # who writes meanwhile has not asked for a build
                for tell in self._listeners:
                    tell(0.0, "it begins soon")
            self._thread = threading.Thread(target=self._in_background, name="store-optimizer", daemon=True)
            self._thread.start()

    def _in_background(self) -> None:
        try:
            self.run(niceness=_BACKGROUND_NICENESS)
        except (StoreError, DiskError) as error:
            self._after *= 2
            if not self._stopped:
                _log.warning("search index was not built, searches stay exact but slower: %s", error)

    def run(self, niceness: int = 0, tell: Tell | None = None) -> None:
        """Build now, and return when the result serves.

        Args:
            niceness: of the other process.
            tell: is told how far it is.

        Raises:
            StoreError: if the other process fails.
            DiskFullError: if there is too little room.
        """
        with self._running, self._alone():
            if not self._written or self._stopped:
                self._ended()
                return
            build = None
            try:
                with self._writing:
                    written = self._written
                    build = self._copy(written)
                    self._written = 0  # also where it is too small: another look is due after as many writes
                    if build is None:
                        return
                    self._changed = set()
                with self._telling(tell), _logged(build, told=tell is None):
                    self._build(build, niceness)
                    self._adopt(build, self._take)
            except BaseException as error:
                if build is not None:
                    build.remove()
                    with self._writing:
                        self._written += written
                if isinstance(error, OSError):
                    raise StoreError(f"the search index cannot be built: {error}", "make room on the disk") from error
                raise
            finally:
                self._changed = None
                self._ended()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until no other store of this process builds, or this one is stopped."""
        while not (mine := _BUILDS.acquire(timeout=_LOOK_SECONDS)) and not self._stopped:
            pass
        try:
            yield
        finally:
            if mine:
                _BUILDS.release()

    @contextmanager
    def _telling(self, tell: Tell | None) -> Iterator[None]:
        """Somebody more wants to know how far a build is."""
        if tell is None:
            yield
            return
        self._listeners.append(tell)
        try:
            yield
        finally:
            self._listeners.remove(tell)

    def _take(self) -> set[ItemId]:
        """The points that were written since this was asked last; called with the lock."""
        changed, self._changed = self._changed or set(), set()
        return changed

    def _build(self, build: Build, niceness: int) -> None:
        command = [sys.executable, "-P", str(_PROGRAM), build.order(niceness)]
        with (
            tempfile.TemporaryFile() as complaints,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True) as child,
        ):
            self._child = child
            if self._stopped:
                child.terminate()
            for line in child.stdout or ():
                share, _, stage = line.strip().partition(" ")
                for tell in self._listeners:
                    tell(float(share), stage)
            if child.wait():
                complaints.seek(0)
                last = complaints.read().decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
                raise StoreError(f"building the search index failed with code {child.returncode}: {last[0]}")

    def stop(self) -> None:
        """End a build that runs, and start no other."""
        self._stopped = True
        if self._child is not None:
            self._child.terminate()
        if self._thread is not None:
            self._thread.join()


@contextmanager
def _logged(build: Build, *, told: bool) -> Iterator[None]:
    """Log when a build begins and ends, unless somebody watches it anyway."""
    if not told:
        yield
        return
    log, begun = structlog.get_logger("triveni.store"), time.monotonic()
    store = build.path.parent.name
    log.info("building search graphs", store=store, items=build.points, quantization=build.quantization)
    yield
    log.info("built search graphs", store=store, seconds=round(time.monotonic() - begun, 1))
