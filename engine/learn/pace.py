"""How far a long run is, and how long it will still take."""

import time
from collections import deque
from collections.abc import Callable

Tell = Callable[[float, str], None]
"""Is told the share that is done, 0 to 1, and what is being done."""

_SETTLED = 5.0
"""Seconds before a pace is told."""
_BEGINNING = 0.05
"""Until this share there is no pace: what is loaded first takes as long however much follows."""


def within(tell: Tell, first: float, last: float) -> Tell:
    """Tells of a part, between two shares of the whole, as of the whole."""
    return lambda share, stage: tell(first + (last - first) * share, stage)


class Pace:
    """Follows the share of a run that is done, which never falls here.

    The time left is what the rest takes at the pace of the younger half of the run: stages differ, and what went on
    from an interrupted run has skipped some.

    Args:
        clock: tells seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._begun = clock, clock()
        self._marks: deque[tuple[float, float]] = deque([(0.0, 0.0)])
        self.share = 0.0
        """0 to 1."""

    def update(self, share: float) -> None:
        """So much is done."""
        self.share = max(self.share, min(share, 1.0))
        now = self.elapsed
        if self.share <= _BEGINNING:
            self._marks = deque([(now, self.share)])
        elif self.share > self._marks[-1][1]:
            self._marks.append((now, self.share))
        while len(self._marks) > 2 and self._marks[1][0] < now / 2:
            self._marks.popleft()

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._begun

    @property
    def left(self) -> float | None:
        """Seconds that it will still take; None while there is no pace yet."""
        now = self.elapsed
        began, before = self._marks[0]
        if self.share >= 1.0:
            return 0.0
        if now < _SETTLED or self.share <= before:
            return None
        return (1.0 - self.share) * (now - began) / (self.share - before)
