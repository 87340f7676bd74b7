"""Files that are read again when they change, while what was read last goes on."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from engine.core.errors import SettingsError

EVERY = 1.0
"""Seconds after which it is looked whether files have changed."""

_T = TypeVar("_T")


class Watched(Generic[_T]):
    """What some files say. Any number of threads may ask.

    Files that are replaced are noticed as well as ones that are written to, and links that lead elsewhere, as
    Kubernetes does it. One that is broken, or gone, is logged; what was read last holds until it is mended.

    Args:
        what: the files are, for the log.
        paths: of the files.
        read: makes of them what they say; its errors are `SettingsError`.

    Raises:
        SettingsError: if they cannot be read to begin with.
    """

    def __init__(self, what: str, paths: Sequence[Path], read: Callable[[], _T]) -> None:
        self._what, self._paths, self._read = what, paths, read
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
        if state == self._state:
            return
        self._state = state
        try:
            self._value = self._read()
        except SettingsError as error:
            log.error("not read again, what was read before holds", what=self._what, error=str(error))
        else:
            log.info("read again", what=self._what)

    def _look(self) -> list[tuple[int, ...]]:
        found: list[tuple[int, ...]] = []
        for path in self._paths:
            try:
                state = path.stat()
                found.append((state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns))
            except OSError:
                found.append(())
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
