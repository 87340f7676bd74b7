"""Errors as gRPC statuses with google.rpc details (https://google.aip.dev/193)."""

import math
import random
import re
from functools import cache
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from encoders.errors import TriveniError
from engine.core.errors import OverloadedError

DOMAIN = "triveni"
RETRY_SECONDS = {"RESOURCE_EXHAUSTED": 1, "UNAVAILABLE": 2}
"""Statuses that a caller may try again after so many seconds; one with another status would fail again."""

_PUSHBACK = "grpc-retry-pushback-ms"
"""Trailing metadata that says after how long a client of gRPC tries again
(https://github.com/grpc/proposal/blob/master/A6-client-retries.md)."""
_SHORTEST, _GROWTH = 0.1, 1.1
"""Of the retry delays of refused calls: the shortest in seconds, and how much longer each is than the one before."""

_MAX_BYTES = 400
"""Of a text in a status. Statuses travel in headers, of which clients take 8 KiB."""


class MalformedError(TriveniError):
    """The bytes of a message are not a message."""

    status = "INVALID_ARGUMENT"


class NotReadyError(TriveniError):
    """The server is starting or stopping."""

    status = "UNAVAILABLE"


class TenantError(TriveniError):
    """A credential is of no tenant that the server has."""

    status = "PERMISSION_DENIED"

    @classmethod
    def of(cls, tenant: str) -> "TenantError":
        """Of a credential of that tenant; "" is none."""
        said = f"tenant {tenant!r}" if tenant else "no tenant"
        return cls(f"the credential is of {said}", "send one of a tenant that this server has")


class NotServedError(TriveniError):
    """A service of gRPC's own has a method that its servicer does not answer."""

    status = "UNIMPLEMENTED"


class UnexpectedError(TriveniError):
    """A defect of ours. The log has the rest, under the request's id."""

    status = "INTERNAL"

    def __init__(self, request_id: str) -> None:
        super().__init__(
            "the server failed at this request", f"report request id {request_id}; the log has the cause"
        )


def reason_of(error: TriveniError) -> str:
    """The kind of error in capitals: `InvalidQueryError` is INVALID_QUERY."""
    return reason_named(type(error).__name__)


def reason_named(kind: str) -> str:
    """The same, from the name of the error's class."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.removesuffix("Error")).upper()


def grpc_status(error: TriveniError, request_id: str) -> grpc.Status:
    """The status of a call that failed, with ErrorInfo, RequestInfo, and BadRequest or RetryInfo where they fit."""
    problem, remedy, field = (shorten(text) for text in (error.problem, error.remedy, error.field))
    message = ": ".join(part for part in (field, problem, remedy) if part)
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=reason_of(error), domain=DOMAIN, metadata={"remedy": remedy}),
        error_details_pb2.RequestInfo(request_id=request_id),
    ]
    if error.status == "INVALID_ARGUMENT" or field:
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[error_details_pb2.BadRequest.FieldViolation(field=field, description=problem)]
            )
        )
    seconds = retry_seconds(error)
    if seconds:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMicroseconds(round(seconds * 1e6))
        details.append(retry)
    status = status_pb2.Status(code=code_pb2.Code.Value(error.status), message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    made: Any = rpc_status.to_status(status)
    if error.status == "RESOURCE_EXHAUSTED":  # clients of gRPC that try again by themselves wait as long
        pushback = (_PUSHBACK, str(round(1e3 * seconds)))
        made = made._replace(trailing_metadata=(*made.trailing_metadata, pushback))
    result: grpc.Status = made
    return result


def retry_seconds(error: TriveniError) -> float:
    """Seconds after which a call may be tried again; 0 if it would fail again."""
    known = error.retry_seconds if isinstance(error, OverloadedError) else None
    return known or RETRY_SECONDS.get(error.status, 0)


@cache
def refusal(step: int) -> grpc.Status:
    """The status of calls that are refused before they are read, made once for each of few retry delays."""
    return grpc_status(refusal_error(step), "")


def refusal_error(step: int) -> OverloadedError:
    """The same as an error."""
    seconds = _SHORTEST * _GROWTH**step
    return OverloadedError(
        "more calls wait than can be answered in time",
        f"try again in {seconds:.1f} seconds, or add servers",
        retry_seconds=seconds,
    )


def refusal_step(seconds: float) -> int:
    """Which `refusal` tells to try again after so many seconds, some a little earlier and some later: those who are
    refused together shall not come back together."""
    spread = seconds * random.uniform(0.8, 1.25)
    return max(0, round(math.log(max(spread, _SHORTEST) / _SHORTEST, _GROWTH)))


def shorten(text: str, limit: int = _MAX_BYTES) -> str:
    """A text that fits a status or a log line: valid UTF-8, and not longer than `limit` bytes."""
    raw = text.encode("utf-8", "replace")
    return raw.decode() if len(raw) <= limit else raw[: limit - 3].decode(errors="ignore") + "…"
