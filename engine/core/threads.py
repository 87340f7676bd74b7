"""How the threads of a process that serves many calls share the cores, and Python's lock."""

import asyncio
import gc
import selectors
import sys

from threadpoolctl import threadpool_limits

_WAITS, _RUNS = 0.0001, 0.005
"""Seconds, Python's switch interval, while an event loop waits and while it runs."""


def one_blas_thread() -> None:
    """Let every matrix product of numpy run in its caller's thread; for a process that serves many calls at once.

    The products of one query take a millisecond. Spread over threads that wait for each other by spinning, they take
    up to a hundred where other threads are busy. The networks are not affected: torch and ONNX Runtime have
    threads of their own.
    """
    threadpool_limits(limits=1, user_api="blas")


class PromptSelector(selectors.DefaultSelector):
    """Gives an event loop Python's lock soon where other threads compute, and lets it keep that while it has work.

    Whoever waits for the lock has it demanded after the switch interval. That is short while the loop waits and
    longer while it runs. With one interval for both, a short one stops the loop within each of the several turns that
    a call of gRPC takes, and a long one makes it wait before each: under six times the load it then took in fewer
    calls than came, and could refuse none in time.
    """

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `selectors.BaseSelector.select`."""
        sys.setswitchinterval(_WAITS)
        try:
            return super().select(timeout)
        finally:
            sys.setswitchinterval(_RUNS)


def prompt_event_loop() -> asyncio.AbstractEventLoop:
    """An event loop that calls wait for shortly where other threads compute; one in a process."""
    return asyncio.SelectorEventLoop(PromptSelector())


def short_collections() -> None:
    """Let collections of garbage pass over all that is there now; for a server that has loaded what it needs.

    Modules and networks are some 300,000 objects. To look through them takes Python's lock for a third of a second,
    in which no call is answered or refused.
    """
    gc.collect()
    gc.freeze()
