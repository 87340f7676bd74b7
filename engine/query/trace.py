"""What a request went through: the stages in order, how many each gave, how long each took."""

import time
from collections.abc import Sequence

from engine.core.types import Interest, Stage

TOTAL = "total"


class Trace:
    """Notes stages as they end. What has passed since the stage before belongs to a stage, so they do not overlap.

    Args:
        interests: whether it is wanted what the interests are, and not only how many.
    """

    def __init__(self, *, interests: bool = False) -> None:
        self.wants_interests = interests
        self.interests: tuple[Interest, ...] = ()
        self.began = self._last = time.perf_counter()
        """When the first stage did, as `time.perf_counter` has it."""
        self._stages: list[Stage] = []

    def passed(self, stage: str, count: int) -> None:
        """A stage has ended.

        Args:
            stage: its name.
            count: how many it gave.
        """
        now = time.perf_counter()
        self._stages.append(Stage(stage, count, now - self._last))
        self._last = now

    def ended(self, count: int) -> Sequence[Stage]:
        """All that was noted, then `TOTAL` with the number of results."""
        return (*self._stages, Stage(TOTAL, count, time.perf_counter() - self.began))


class Untraced(Trace):
    """Notes nothing."""

    def passed(self, stage: str, count: int) -> None:
        """Nothing."""

    def ended(self, count: int) -> Sequence[Stage]:
        """Nothing."""
        return ()


UNTRACED = Untraced()
