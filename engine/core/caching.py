"""How often caches have what they are asked for: each counts, and whoever watches them reads it."""

import threading
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

Uses = tuple[int, int]
"""How often what was asked for was there, and how often it was not."""


@runtime_checkable
class Caching(Protocol):
    """A part that keeps what it may be asked for again."""

    def caches(self) -> Mapping[str, Uses]:
        """By the name of a cache, how it was used; numbers begin anew when the cache does."""


def caches_of(*parts: object) -> dict[str, Uses]:
    """The caches of some parts, as far as they have any."""
    return {name: uses for part in parts if isinstance(part, Caching) for name, uses in part.caches().items()}


class UseCount:
    """Counts the uses of a cache. Any number of threads may."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hits = self._misses = 0

    def add(self, hits: int, misses: int) -> None:
        """So many were asked for that were there, and so many that were not."""
        with self._lock:
            self._hits += hits
            self._misses += misses

    @property
    def uses(self) -> Uses:
        """All until now."""
        with self._lock:
            return self._hits, self._misses
