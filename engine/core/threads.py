"""How the threads of a process that serves many calls share the cores, and Python's lock."""

import gc
import sys

from threadpoolctl import threadpool_limits


def one_blas_thread() -> None:
    """Let every matrix product of numpy run in its caller's thread; for a process that serves many calls at once.

    The products of one query take a millisecond. Spread over threads that wait for each other by spinning, they take
    up to a hundred where other threads are busy. The networks are not affected: torch and ONNX Runtime have
    threads of their own.
    """
    threadpool_limits(limits=1, user_api="blas")


def prompt_event_loop() -> None:
    """Let an event loop have Python's lock soon where other threads compute.

    It asks for the lock again at each turn, and takes in one call of gRPC in each. With Python's 5 ms, busy threads
    leave it too few turns under overload: calls would wait before they are seen, and could not be refused.
    """
    sys.setswitchinterval(0.0001)


def short_collections() -> None:
    """Let collections of garbage pass over all that is there now; for a server that has loaded what it needs.

    Modules and networks are some 300,000 objects. To look through them takes Python's lock for a third of a second,
    in which no call is answered or refused.
    """
    gc.collect()
    gc.freeze()
