"""What plans are made of."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from google.protobuf.message import Message

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of one request and one response.

    Args:
        method: such as CatalogService/GetItem.
        request: the message.
        response: the type of the answer.
        timeout: seconds; None takes the client's.
    """

    method: str
    request: Message
    response: type[Message]
    timeout: float | None


@dataclass(frozen=True, slots=True)
class Row(Generic[T]):
    """A result that is handed out before the plan has ended."""

    value: T


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing for so many seconds."""

    seconds: float


Plan: TypeAlias = Generator[Call, Any, T]
Rows: TypeAlias = Generator[Call | Row[T] | Pause, Any, None]
