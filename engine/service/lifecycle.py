"""A server from its start to its end: signals, and in which order things close."""

import asyncio
import os
import signal
from collections.abc import Callable

import structlog

from engine.service.server import Server

SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve_until_signal(server: Server, ready: Callable[[], None] = lambda: None) -> None:
    """Start a server and serve until SIGTERM or SIGINT, then let running calls end; a second signal exits at once.

    Args:
        server: the server.
        ready: is called once it has started.

    Raises:
        TriveniError: if it cannot start.
    """
    loop = asyncio.get_running_loop()
    starting = loop.create_task(server.start())
    stopping: list[asyncio.Task[None]] = []

    def stop(number: signal.Signals) -> None:
        structlog.get_logger("triveni.service").info("signal", name=number.name)
        if stopping:
            os._exit(128 + number)
        starting.cancel()  # does nothing once it has started
        stopping.append(loop.create_task(server.stop()))

    for number in SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        await starting
        ready()
        await server.wait()
    except asyncio.CancelledError:
        if not stopping:
            raise
    finally:
        await server.stop()
        for number in SIGNALS:
            loop.remove_signal_handler(number)
