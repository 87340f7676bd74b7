"""Token buckets: units flow into each at its rate, as many as it holds, and what is done takes them out.

Libraries that limit rates count windows, or refuse for ever what costs more than a bucket holds; a message may cost
more. Here it goes ahead once there is a unit, and the bucket then owes the rest: the mean rate holds, and so does the
order of magnitude of a burst. (Heinanen and Guerin, "A Single Rate Three Color Marker", RFC 2697, tells of buckets.)
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Draw:
    """What is to be taken out of a bucket."""

    bucket: str
    rate: float
    """Units that flow in per second."""
    size: float
    """Units that it holds, at least `spare` + 1."""
    cost: float
    """Units that are taken."""
    spare: float = 0.0
    """Units that are to stay in it for others: there has to be one more."""


class Buckets(Protocol):
    """Keeps buckets; those that are not known yet are full."""

    alone: int
    """How often this process counted by itself as the others could not be asked."""

    async def take(self, draws: Sequence[Draw]) -> float:
        """Take something out of several buckets: out of all, or out of none.

        Returns:
            Seconds until all have what it takes; 0 if it was taken.
        """

    async def close(self) -> None:
        """Let go of connections."""


class LocalBuckets:
    """Buckets of this process. Used from one event loop.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self.alone = clock, 0
        self._levels: dict[str, tuple[float, float]] = {}
        """By bucket its level, and when it was that."""

    async def take(self, draws: Sequence[Draw]) -> float:
        """See `Buckets.take`."""
        now, left, wait = self._clock(), {}, 0.0
        for draw in draws:
            level, then = self._levels.get(draw.bucket, (draw.size, now))
            level = min(draw.size, level + (now - then) * draw.rate)
            wait = max(wait, (draw.spare + 1 - level) / draw.rate)
            left[draw.bucket] = level - draw.cost, now
        if not wait:
            self._levels |= left
        return wait

    async def close(self) -> None:
        """Nothing is held."""
