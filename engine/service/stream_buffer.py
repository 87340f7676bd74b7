"""What has arrived on a stream and was not taken yet, bounded in number and in bytes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

_Message = TypeVar("_Message")


class StreamBuffer(Generic[_Message]):
    """A box between a stream and its handler.

    It is full with `max_messages`, or once it holds `max_bytes`; then nothing is read from the stream, and gRPC's
    flow control holds the client back.

    Args:
        max_messages: at most so many wait.
        max_bytes: no more are read beyond so many bytes.
    """

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages, self._max_bytes = max_messages, max_bytes
        self._messages: list[_Message] = []
        self._bytes = 0
        self._ended = False
        self._changed = asyncio.Condition()

    async def fill(self, stream: AsyncIterator[tuple[_Message, int]]) -> None:
        """Read a stream of (message, bytes) to its end. An error of the stream ends the box, and is raised here."""
        try:
            async for message, size in stream:
                async with self._changed:
                    await self._changed.wait_for(self._has_room)
                    self._messages.append(message)
                    self._bytes += size
                    self._changed.notify_all()
        finally:
            async with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _has_room(self) -> bool:
        return len(self._messages) < self._max_messages and self._bytes < self._max_bytes

    async def take(self) -> list[_Message]:
        """All that has arrived, at least one; empty at the end of the stream."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._messages) or self._ended)
            taken, self._messages, self._bytes = self._messages, [], 0
            self._changed.notify_all()
            return taken
