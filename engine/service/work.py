"""The threads in which requests are worked on, so that the event loop stays free."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from engine.core.deadline import Deadline
from engine.core.errors import OverloadedError
from engine.service.calls import Context

_Answer = TypeVar("_Answer")


class Workers:
    """A pool of threads with a bounded queue before it.

    Args:
        threads: requests that are worked on at once.
        max_queue: requests that may wait for a thread.
    """

    def __init__(self, threads: int, max_queue: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "request")
        self._most = threads + max_queue
        self._max_queue = max_queue
        self.pending = 0
        """Requests that wait or are worked on."""

    async def run(self, work: Callable[[], _Answer], deadline: Deadline) -> _Answer:
        """Run `work` in a thread; called from the event loop.

        When the call is cancelled, `deadline` is too: work that waits never begins, work that runs stops at its
        next check.

        Raises:
            OverloadedError: if the queue is full.
        """
        if self.pending >= self._most:
            raise OverloadedError(
                f"{self._max_queue} requests are waiting already", "try again in a second, or add servers"
            )
        loop = asyncio.get_running_loop()
        self.pending += 1
        future = self._pool.submit(_run, work, deadline)
        future.add_done_callback(lambda _: self._release(loop))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            deadline.cancel()
            raise

    def _release(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.call_soon_threadsafe(self._done)
        except RuntimeError:  # the loop is closed: the server is gone
            return

    def _done(self) -> None:
        self.pending -= 1

    def close(self) -> None:
        """Let running work end, and begin no more."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _run(work: Callable[[], _Answer], deadline: Deadline) -> _Answer:
    deadline.check("starting")
    return work()


def deadline_of(context: Context) -> Deadline:
    """The time that the caller gives."""
    return Deadline(context.time_remaining())
