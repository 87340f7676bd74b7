"""How a run goes, in a file that others may read: Triveni Studio shows it."""

import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from indexers.progress import Watcher

_EVERY_SECONDS = 1.0


class Noted:
    """Tells another watcher, and notes the same in a file; a file that cannot be written is no reason to stop.

    Args:
        watcher: the other.
        path: the file, JSON; None notes nothing.
    """

    def __init__(self, watcher: Watcher, path: Path | None) -> None:
        self._watcher, self._path = watcher, path
        self._told = 0.0
        self._now: dict[str, object] = {
            "state": "running",
            "process": os.getpid(),
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
            "phase": "indexing",
            "done": 0,
            "failed": 0,
            "total": None,
        }

    def start(self, total: int | None) -> None:
        """See `Watcher`."""
        self._watcher.start(total)
        self._now["total"] = total
        self._write()

    def update(self, done: int, failed: int) -> None:
        """See `Watcher`."""
        self._watcher.update(done, failed)
        self._now.update(done=done, failed=failed)
        if time.monotonic() - self._told >= _EVERY_SECONDS:
            self._write()

    def phase(self, name: str) -> None:
        """See `Watcher`."""
        self._watcher.phase(name)
        self._now["phase"] = name
        self._write()

    def close(self) -> None:
        """See `Watcher`."""
        self._watcher.close()

    def end(self, state: str, report: Mapping[str, object]) -> None:
        """The run is over: "done", "interrupted" or "stopped", with its report."""
        ended = datetime.now(UTC).isoformat(timespec="seconds")
        self._now.update(state=state, process=None, ended=ended, report=dict(report))
        self._write()

    def _write(self) -> None:
        self._told = time.monotonic()
        if self._path is None:
            return
        part = self._path.with_name(self._path.name + ".part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(self._now), encoding="utf-8")
            part.replace(self._path)
        except OSError:
            self._path = None
