"""The call that is being answered: what its log line will say, and messages that cannot be parsed."""

import re
import time
import uuid
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

import grpc

from encoders.errors import TriveniError
from engine.core.types import Stage
from engine.service.access.access import Headers
from engine.service.access.caller import ANYONE, Caller
from engine.service.status import MalformedError, shorten
from engine.service.tracing import CARRIED

REQUEST_ID = "x-request-id"
"""The metadata key under which a caller may send a request id of its own."""
SETTINGS = "triveni-settings"
"""The metadata key that asks for digests of the server's settings; they come as JSON under the same trailing key."""

PEER = "triveni-peer"
"""The metadata key under which another door says whom it asks for; from elsewhere it says nothing."""

REFUSED = b"\x07"
"""Begins what no message begins with (field 0 of wire type 7)."""

_FORM = re.compile(r"[\x21-\x7e]{1,128}")

_Message = TypeVar("_Message")

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
"""What gRPC tells a handler about its call."""


class Malformed:
    """Stands for a message whose bytes are none, so that the call can be answered rather than dropped.

    Another door to the service, which makes messages of something else, sends what it could make none of as
    `REFUSED` and why: so a bad item of its streams has its place among the others.

    Args:
        raw: the bytes.
    """

    def __init__(self, raw: bytes = b"") -> None:
        said = raw.removeprefix(REFUSED).decode(errors="replace") if raw.startswith(REFUSED) else ""
        problem, _, remedy = said.partition("\0")
        self.problem = problem or "message cannot be parsed"
        self.remedy = remedy or "send protobuf of triveni.v1, with valid UTF-8 in its strings"

    def ByteSize(self) -> int:  # noqa: N802
        """As a message has it: 0."""
        return 0


def checked(message: _Message | Malformed) -> _Message:
    """The message.

    Raises:
        MalformedError: if it could not be parsed.
    """
    if isinstance(message, Malformed):
        raise MalformedError(message.problem, message.remedy)
    return message


def refused(error: TriveniError) -> bytes:
    """What a door sends in place of a message that it could not make."""
    return REFUSED + f"{shorten(error.problem)}\0{shorten(error.remedy)}".encode()


@dataclass(slots=True)
class Call:
    """A call that is being answered."""

    method: str
    request_id: str
    caller: Caller = ANYONE
    """Who called, and in which tenant."""
    peer: str = ""
    """The address that it came from, as gRPC or another door says it. It is asked for when a call begins: one that
    has ended may be gone, and gRPC's core would read what is freed."""
    headers: Headers = ()
    """Its metadata."""
    carried: Mapping[str, str] = field(default_factory=dict)
    """What it brought of the caller's trace."""
    began: float = field(default_factory=time.perf_counter)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When it began."""
    notes: dict[str, object] = field(default_factory=dict)
    """What a servicer adds to the log line, and to the span of a trace."""
    user: str = ""
    """Whom it is about; logs name them by a keyed hash."""
    stages: Sequence[Stage] = ()
    """What its query went through."""
    stages_began: float = 0.0
    """When the first did, as `time.perf_counter` has it."""


_CURRENT: ContextVar[Call] = ContextVar("call")


def begin_call(method: str, context: Context, caller: Caller, *, ask_peer: bool) -> Call:
    """Make the call of this task; its request id is the caller's own if that is printable ASCII, or a new one.

    Args:
        method: its full name.
        context: of it.
        caller: who makes it.
        ask_peer: whether anybody wants to know where it comes from.
    """
    request_id, peer, carried = "", str(context.peer()) if ask_peer else "", dict[str, str]()
    headers = tuple(context.invocation_metadata() or ())
    for key, value in headers:
        if key == REQUEST_ID and isinstance(value, str) and _FORM.fullmatch(value):
            request_id = value
        elif key == PEER and peer.startswith("unix:"):  # another door knows it
            peer = str(value)
        elif key in CARRIED:
            carried[key] = str(value)
    call = Call(method, request_id or uuid.uuid4().hex, caller, peer, headers, carried)
    _CURRENT.set(call)
    return call


def current_call() -> Call:
    """The call that this task answers."""
    return _CURRENT.get()


def status_name(context: Any) -> str:
    """The name of the status that a call ended with, in a callback that gRPC makes when it has ended."""
    code = context.code()
    return "CANCELLED" if not context.done() else "OK" if code is None else str(code.name)
