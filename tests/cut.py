"""A connection that can be cut: a port that hands on to another, until it does not."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any


class CutProxy:
    """Hands on to a port. Cut, it refuses connections and has dropped those that there were.

    Args:
        host: of what is behind.
        port: of the same.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._behind = host, port
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = 0
        self.restore()

    def restore(self) -> None:
        """Take connections, on the same port as before."""
        self._do(self._listen())

    def cut(self) -> None:
        """Take none, and drop those that there are."""
        self._do(self._drop())

    def close(self) -> None:
        """End it."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._hand_on, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _drop(self) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        behind = await asyncio.open_connection(self._host, self._behind)
        try:
            await asyncio.gather(_copy(reader, behind[1]), _copy(behind[0], writer))
        except asyncio.CancelledError:
            pass  # it was cut
        finally:
            for one in (writer, behind[1]):
                one.transport.abort()
            self._open.discard(task)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextmanager
def proxy(host: str, port: int) -> Iterator[CutProxy]:
    """A proxy before a port, closed at the end."""
    made = CutProxy(host, port)
    try:
        yield made
    finally:
        made.close()
