"""The time that a request has left, and whether its caller is still there."""

import math
import threading
import time

from engine.core.errors import CancelledError, DeadlineError


class Deadline:
    """Checked before each expensive stage, so that work nobody waits for is not begun.

    Args:
        seconds: from now; None means no limit.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._until = math.inf if seconds is None else time.monotonic() + seconds
        self._cancelled = threading.Event()

    def remaining(self) -> float:
        """Seconds left, infinity where there is no limit, negative once it passed."""
        return self._until - time.monotonic()

    def cancel(self) -> None:
        """Say that the caller went away; from any thread."""
        self._cancelled.set()

    def check(self, stage: str) -> None:
        """Raise if the work should stop before `stage`.

        Raises:
            CancelledError: if the caller went away.
            DeadlineError: if the time is up.
        """
        if self._cancelled.is_set():
            raise CancelledError(f"the caller cancelled before {stage}")
        late = -self.remaining()
        if late > 0:
            raise DeadlineError(f"the deadline passed {late * 1000:.0f} ms ago, before {stage}", "allow more time")
