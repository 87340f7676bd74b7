"""Files that are read again when they change, while what was read last goes on."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from engine.core.errors import SettingsError

EVERY = 1.0
"""Seconds after which it is looked whether files have changed."""
GRACE = 10.0
"""Seconds for which what a file said holds when it is gone: whoever replaces one may take it away first."""

_T = TypeVar("_T")


class Watched(Generic[_T]):
    """What some files say. Any number of threads may ask.

    Files that are replaced are noticed as well as ones that are written to, and links that lead elsewhere, as
    Kubernetes does it. One that is broken, or gone, is logged; what was read last holds until it is mended, but for
    files that let people in: who takes such a file away wants nobody to be let in.

    Args:
        what: the files are, for the log.
        paths: of the files.
        read: makes of them what they say; its errors are `SettingsError`.
        gone: what counts once one of them is gone for `GRACE`; None lets what was read last hold.

    Raises:
        SettingsError: if they cannot be read to begin with.
    """

    def __init__(self, what: str, paths: Sequence[Path], read: Callable[[], _T], gone: _T | None = None) -> None:
        self._what, self._paths, self._read, self._gone = what, paths, read, gone
        self._ends = math.inf
        """When what was read last ends to hold, as a file is gone."""
        self._lock = threading.Lock()
        self._state = self._look()
        self._looked = time.monotonic()
        self._value = read()

    def current(self) -> _T:
        """What they say, as of a second ago at most."""
        if time.monotonic() - self._looked >= EVERY:
            with self._lock:
                if time.monotonic() - self._looked >= EVERY:
                    self._read_again()
                    self._looked = time.monotonic()
        return self._value

    def _read_again(self) -> None:
        log = structlog.get_logger("triveni.service")
        state = self._look()
        if time.monotonic() >= self._ends and self._gone is not None:
            self._value, self._ends = self._gone, math.inf
            log.error("file is gone, what was read before holds no more", what=self._what, paths=self._shown)
        if state == self._state:
            return
        self._state, self._ends = state, math.inf
        if self._gone is not None and () in state:
            self._ends = time.monotonic() + GRACE
        try:
            self._value = self._read()
        except SettingsError as error:
            ends = {} if self._ends == math.inf else {"for_seconds": GRACE}
            log.error("not read again, what was read before holds", what=self._what, error=str(error), **ends)
        else:
            log.info("read again", what=self._what)

    @property
    def _shown(self) -> str:
        return ", ".join(map(str, self._paths))

    def _look(self) -> list[tuple[int, ...]]:
        found: list[tuple[int, ...]] = []
        for path in self._paths:
            try:
                state = path.stat()
                found.append((state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns))
            except (FileNotFoundError, NotADirectoryError):
                found.append(())
            except OSError as error:  # a disk that is away for a while is not a file that was taken away
                found.append((error.errno or 0,))
        return found


def read_file(path: Path, what: str) -> bytes:
    """The bytes of a file.

    Raises:
        SettingsError: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{what} {path} cannot be read ({error.strerror})", "name a file that may be read"
        ) from None
