"""When and how the search graphs of an embedded store are built: in a copy, by another process."""

import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from engine.core.errors import DiskError, StoreError
from engine.core.types import ItemId

_PROGRAM = Path(__file__).with_name("edge_optimize.py")
_BACKGROUND_NICENESS = 10
_log = logging.getLogger(__name__)


class Optimizer:
    """Builds search graphs while the store goes on reading and writing.

    It copies the shard, lets a process of its own optimize the copy, and hands it back with the ids of the
    points that were written meanwhile.

    Args:
        after: so many written points make a build due; 0 for never.
        writing: the lock of the store's writers.
        copy: flushes the shard and copies it to a new folder, or gives None if it is too small; called with
            the lock.
        adopt: exchanges the shard for the optimized copy.
    """

    def __init__(
        self,
        after: int,
        writing: threading.RLock,
        copy: Callable[[], Path | None],
        adopt: Callable[[Path, Collection[ItemId]], None],
    ) -> None:
        self._after = after
        self._writing = writing
        self._copy = copy
        self._adopt = adopt
        self._running = threading.Lock()
        self._thread: threading.Thread | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._written = 0
        self._changed: set[ItemId] | None = None

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
            self._thread = threading.Thread(target=self._in_background, name="store-optimizer", daemon=True)
            self._thread.start()

    def _in_background(self) -> None:
        try:
            self.run(niceness=_BACKGROUND_NICENESS)
        except (StoreError, DiskError) as error:
            self._after *= 2
            if not self._stopped:
                _log.warning("search index was not built, searches stay exact but slower: %s", error)

    def run(self, niceness: int = 0) -> None:
        """Build now, and return when the result serves.

        Raises:
            StoreError: if the other process fails.
            DiskFullError: if there is too little room.
        """
        with self._running:
            if not self._written or self._stopped:
                return
            path = None
            try:
                with self._writing:
                    path, written = self._copy(), self._written
                    self._written = 0  # also where it is too small: another look is due after as many writes
                    if path is None:
                        return
                    self._changed = set()
                self._build(path, niceness)
                self._adopt(path, self._changed)
            except BaseException as error:
                if path is not None:
                    shutil.rmtree(path, ignore_errors=True)
                    with self._writing:
                        self._written += written
                if isinstance(error, OSError):
                    raise StoreError(f"the search index cannot be built: {error}", "make room on the disk") from error
                raise
            finally:
                self._changed = None

    def _build(self, path: Path, niceness: int) -> None:
        command = [sys.executable, "-P", str(_PROGRAM), str(path), str(niceness)]
        self._child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if self._stopped:
            self._child.terminate()
        _, complaint = self._child.communicate()
        if self._child.returncode:
            last = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
            raise StoreError(f"building the search index failed with code {self._child.returncode}: {last[0]}")

    def stop(self) -> None:
        """End a build that runs, and start no other."""
        self._stopped = True
        if self._child is not None:
            self._child.terminate()
        if self._thread is not None:
            self._thread.join()
