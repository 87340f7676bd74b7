"""What the stages of the pipeline stand on: a stop for all, bounded channels, a budget of bytes."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class StagesStopped(Exception):  # noqa: N818 (a signal between threads, not an error)
    """Another stage failed, or the run was interrupted: end without a word."""


class StopStages:
    """Ends all stages. The first error is the one that counts."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.error: BaseException | None = None
        self._set = False

    def set(self, error: BaseException | None = None) -> None:
        """End all stages, because of an error or because someone asked for it."""
        with self.changed:
            if not self._set:
                self._set, self.error = True, error
            self.changed.notify_all()

    @property
    def is_set(self) -> bool:
        """Whether the stages should end."""
        return self._set

    def wait_for(self, ready: Callable[[], bool]) -> None:
        """Wait until a condition holds. The caller holds `changed`, and whoever makes it true notifies.

        Raises:
            StagesStopped: if the stages should end.
        """
        self.changed.wait_for(lambda: self._set or ready())
        if self._set:
            raise StagesStopped


class StageChannel(Generic[T]):
    """A bounded queue from one stage to the next.

    Args:
        capacity: how many things may wait in it.
        stop: what ends both stages.
    """

    def __init__(self, capacity: int, stop: StopStages) -> None:
        self._capacity = capacity
        self._stop = stop
        self._waiting: deque[T] = deque()
        self._closed = False

    def put(self, thing: T) -> None:
        """Add a thing, waiting for a place.

        Raises:
            StagesStopped: if the stages should end.
        """
        with self._stop.changed:
            self._stop.wait_for(lambda: len(self._waiting) < self._capacity)
            self._waiting.append(thing)
            self._stop.changed.notify_all()

    def close(self) -> None:
        """Say that nothing more will come."""
        with self._stop.changed:
            self._closed = True
            self._stop.changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._stop.changed:
                self._stop.wait_for(lambda: bool(self._waiting) or self._closed)
                if not self._waiting:
                    return
                thing = self._waiting.popleft()
                self._stop.changed.notify_all()
            yield thing


class Budget:
    """Bounds the bytes that files and decoded contents take while they wait.

    It lets a thing in while less than the limit is taken, so it is overrun by one thing at most, and a thing larger
    than the limit still comes through.

    Args:
        limit: bytes.
        stop: what ends the waiting.
    """

    def __init__(self, limit: int, stop: StopStages) -> None:
        self._limit = limit
        self._stop = stop
        self._used = 0

    def take(self, size: int) -> None:
        """Wait until bytes may be added.

        Raises:
            StagesStopped: if the stages should end.
        """
        with self._stop.changed:
            self._stop.wait_for(lambda: self._used < self._limit)
            self._used += size

    def give(self, size: int) -> None:
        """Say that so many bytes are gone; a negative number says that a thing grew."""
        with self._stop.changed:
            self._used -= size
            self._stop.changed.notify_all()


def ordered_map(pool: Executor, work: Callable[[T], R], things: Iterable[T], window: int) -> Iterator[R]:
    """Do work in a pool, at most `window` things ahead of the caller, and give the results in order."""
    waiting: deque[Future[R]] = deque()
    for thing in things:
        waiting.append(pool.submit(work, thing))
        if len(waiting) >= window:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def batches(things: Iterable[T], size: int, weight: Callable[[T], int], limit: int) -> Iterator[list[T]]:
    """Group things by number, and by weight: a group ends when it holds `size` things or weighs `limit`."""
    group: list[T] = []
    heavy = 0
    for thing in things:
        group.append(thing)
        heavy += weight(thing)
        if len(group) >= size or heavy >= limit:
            yield group
            group, heavy = [], 0
    if group:
        yield group
