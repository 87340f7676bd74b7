"""The call that is being answered: what its log line will say, and messages that cannot be parsed."""

import re
import time
import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

import grpc

from engine.service.status import MalformedError

REQUEST_ID = "x-request-id"
"""The metadata key under which a caller may send a request id of its own."""
SETTINGS = "triveni-settings"
"""The metadata key that asks for digests of the server's settings; they come as JSON under the same trailing key."""

_FORM = re.compile(r"[\x21-\x7e]{1,128}")

_Message = TypeVar("_Message")

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
"""What gRPC tells a handler about its call."""


class Malformed:
    """Stands for a message whose bytes are none, so that the call can be answered rather than dropped."""

    def ByteSize(self) -> int:  # noqa: N802
        """As a message has it: 0."""
        return 0


def checked(message: _Message | Malformed) -> _Message:
    """The message.

    Raises:
        MalformedError: if it could not be parsed.
    """
    if isinstance(message, Malformed):
        raise MalformedError(
            "message cannot be parsed", "send protobuf of triveni.v1, with valid UTF-8 in its strings"
        )
    return message


@dataclass(slots=True)
class Call:
    """A call that is being answered."""

    method: str
    request_id: str
    began: float = field(default_factory=time.perf_counter)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When it began."""
    notes: dict[str, object] = field(default_factory=dict)
    """What a servicer adds to the log line."""


_CURRENT: ContextVar[Call] = ContextVar("call")


def begin_call(method: str, context: Context) -> Call:
    """Make the call of this task; its request id is the caller's own if that is printable ASCII, or a new one."""
    request_id = ""
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID and isinstance(value, str) and _FORM.fullmatch(value):
            request_id = value
    call = Call(method, request_id or uuid.uuid4().hex)
    _CURRENT.set(call)
    return call


def current_call() -> Call:
    """The call that this task answers."""
    return _CURRENT.get()


def status_name(context: Any) -> str:
    """The name of the status that a call ended with, in a callback that gRPC makes when it has ended."""
    code = context.code()
    return "CANCELLED" if not context.done() else "OK" if code is None else str(code.name)
