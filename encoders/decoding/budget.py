"""A budget of bytes that threads share while they decode."""

import ctypes
import threading
from collections import deque
from types import TracebackType
from typing import Self

SMALL = 1 << 22
"""What takes fewer bytes than this does not wait, and is not counted."""

_M_MMAP_THRESHOLD = -3
"""Of glibc's mallopt."""


def give_back_memory() -> None:
    """Have the C library give memory of `SMALL` bytes and more back to the system as soon as it is free.

    Left alone, glibc keeps up to 32 MB of it for each of many threads, and a budget bounds only what is in use. It
    holds for the whole process; other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, SMALL)


class ByteBudget:
    """Bounds the memory that contents take while they are decoded, over all threads.

    First come, first served, so that a large one gets its turn. One that is larger than the whole budget is let
    through alone.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    def lease(self) -> "MemoryLease":
        """A share of the budget, empty at first, that is given back at the end of a `with` block."""
        return MemoryLease(self)

    def take(self, size: int) -> None:
        """Wait until so many bytes are free, and take them."""
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            try:
                self._changed.wait_for(
                    lambda: self._waiting[0] is turn and (not self._used or self._used + size <= self._limit)
                )
                self._used += size
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()

    def give(self, size: int) -> None:
        """Give so many bytes back."""
        with self._changed:
            self._used -= size
            self._changed.notify_all()


class MemoryLease:
    """What one content takes of a budget."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._size = 0

    def take(self, size: int) -> None:
        """Wait for so many bytes. Call it once: whoever held some while waiting for more could wait for ever."""
        if size >= SMALL:
            self._budget.take(size)
            self._size += size

    def give_back(self) -> None:
        """Give back what it has; another `take` is allowed then."""
        size, self._size = self._size, 0
        if size:
            self._budget.give(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_back()
