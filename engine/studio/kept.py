"""What was found out last is kept for a while."""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Found = TypeVar("Found")


class Kept(Generic[Found]):
    """Remembers the last answer for a while; any number of threads may ask, one at a time finds out.

    Args:
        seconds: how long an answer is taken for true.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._lock = seconds, threading.Lock()
        self._last: tuple[Hashable, float, Found] | None = None

    def get(self, find: Callable[[], Found], key: Hashable = None) -> Found:
        """The answer to a question: the last one if it is that of this key and not too old, else a new one."""
        with self._lock:
            if self._last is None or self._last[0] != key or time.monotonic() >= self._last[1]:
                found = find()
                self._last = key, time.monotonic() + self._seconds, found
            return self._last[2]
