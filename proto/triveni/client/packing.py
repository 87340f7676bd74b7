"""Messages of a size that a server takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from google.protobuf.message import Message

from triveni.client.errors import InvalidError, TriveniError
from triveni.client.problem import Problem

R = TypeVar("R")
M = TypeVar("M", bound=Message)

PAGE = 1000
"""Rows of a page, events of a call: as many as a server gives, and fewer than it takes."""
_FRAME = 1024
"""Bytes of a call that are left for what is around its messages."""


def problem_of(error: TriveniError) -> Problem:
    """What could not be sent, as if the server had said so."""
    return Problem(error.problem, error.remedy, error.reason, error.status)


def fitting(message: M, max_bytes: int) -> M:
    """The message.

    Raises:
        InvalidError: if the server would not take one of its size, and end the call.
    """
    size = message.ByteSize()
    if size > max_bytes - _FRAME:
        problem = f"it has {size:,} bytes, the server takes {max_bytes:,}"
        remedy = "shrink the picture or sound, or raise service.max_message_bytes and Client(max_message_bytes=)"
        raise InvalidError(problem, remedy, reason="LIMIT")
    return message


def packed(
    rows: Iterable[R], make: Callable[[R], M], bad: dict[int, Problem], max_bytes: int, count: int = PAGE
) -> Iterator[list[tuple[int, M]]]:
    """Messages with the positions of their rows, by chunks that fit into one call.

    Args:
        rows: what the messages are made of.
        make: makes one.
        bad: gets what cannot be sent, by position.
        max_bytes: of a call.
        count: messages of a call.

    Yields:
        Chunks, none of them empty.
    """
    chunk: list[tuple[int, M]] = []
    room = max_bytes - _FRAME
    for index, row in enumerate(rows):
        try:
            message = fitting(make(row), max_bytes)
        except TriveniError as error:
            bad[index] = problem_of(error)
            continue
        size = message.ByteSize() + 8
        if chunk and (len(chunk) == count or size > room):
            yield chunk
            chunk, room = [], max_bytes - _FRAME
        chunk.append((index, message))
        room -= size
    if chunk:
        yield chunk
