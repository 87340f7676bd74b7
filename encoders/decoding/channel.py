"""Between us and a process that decodes: short messages over a socket, contents in memory that both can reach."""

import json
import os
from multiprocessing.connection import Connection
from typing import Any

from encoders.decoding.budget import SMALL

Message = dict[str, Any]


class Channel:
    """One end. It is used by one thread at a time.

    Args:
        socket: descriptor of one end of a pair of sockets; it is closed with the channel.
        memory: descriptor of a file in memory, the same file at both ends; it is closed with the channel.
    """

    def __init__(self, socket: int, memory: int) -> None:
        self._connection, self._memory = Connection(socket), memory

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            OSError: if the other end is gone.
        """
        self._connection.send_bytes(json.dumps(message).encode())

    def receive(self, seconds: float | None = None) -> Message:
        """Wait for a message.

        Args:
            seconds: at most so long; None waits for ever.

        Raises:
            TimeoutError: if none comes in time.
            EOFError: if the other end is gone.
            OSError: the same.
        """
        if not self._connection.poll(seconds):
            raise TimeoutError
        message: Message = json.loads(self._connection.recv_bytes())
        return message

    def put(self, content: bytes | memoryview) -> None:
        """Write bytes to the memory, over what was there."""
        view, done = memoryview(content).cast("B"), 0
        while done < len(view):
            done += os.pwrite(self._memory, view[done:], done)

    def get(self, size: int) -> bytearray:
        """The first bytes of the memory, copied.

        Raises:
            EOFError: if there are fewer.
        """
        content, done = bytearray(size), 0
        while done < size:
            read = os.preadv(self._memory, [memoryview(content)[done:]], done)
            if not read:
                raise EOFError
            done += read
        return content

    def clear(self) -> None:
        """Give the memory back, if it is much."""
        if os.fstat(self._memory).st_size > SMALL:
            os.ftruncate(self._memory, 0)

    def close(self) -> None:
        """Let go of both."""
        self._connection.close()
        os.close(self._memory)


def shared_memory() -> int:
    """The descriptor of a new file in memory; on disk, where the system knows none in memory."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("content")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
