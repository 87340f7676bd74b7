"""Errors as application/problem+json (RFC 9457), with what Triveni's gRPC statuses carry: reason, remedy, fields."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from starlette.responses import Response

from encoders.errors import TriveniError
from engine.http.errors import HttpError
from engine.service.status import RETRY_SECONDS, reason_of, retry_seconds, shorten

MEDIA_TYPE = "application/problem+json"

HTTP_STATUS: Mapping[str, int] = {
    "OK": 200,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
}
"""By gRPC status, as google/rpc/code.proto says."""

_REMEDIES = {
    "DEADLINE_EXCEEDED": "allow more time, with the header x-request-timeout",
    "UNAVAILABLE": "try again",
    "CANCELLED": "try again",
}
"""Of failures that gRPC itself tells of, without a remedy."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request failed."""

    code: str
    """The gRPC status."""
    status: int
    """The HTTP status."""
    detail: str
    reason: str = ""
    remedy: str = ""
    violations: tuple[tuple[str, str], ...] = ()
    """Fields at fault, and what is wrong with each."""
    retry_after: float = 0.0
    """Seconds; 0 where it would fail again."""
    request_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def fields(self) -> dict[str, object]:
        """What its JSON says."""
        reason = self.reason or self.code
        said: dict[str, object] = {
            "type": f"urn:triveni:problem:{reason.lower().replace('_', '-')}",
            "title": reason.replace("_", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "reason": reason,
            "remedy": self.remedy,
        }
        if self.violations:
            said["errors"] = [{"field": name, "description": problem} for name, problem in self.violations]
        if self.retry_after:
            said["retry_after"] = self.retry_after
        if self.request_id:
            said["request_id"] = self.request_id
        return said

    def response(self) -> Response:
        """It as an answer."""
        headers = {"cache-control": "no-store", **self.headers}
        if self.retry_after:
            headers["retry-after"] = str(math.ceil(self.retry_after))
        if self.status == 401:  # no browser asks for this scheme by itself
            headers["www-authenticate"] = 'Bearer realm="triveni"'
        if self.status == 503:
            headers["connection"] = "close"  # what comes next may reach another server
        body = json.dumps(self.fields(), ensure_ascii=False).encode("utf-8", "replace")
        return Response(body, self.status, headers, MEDIA_TYPE)


def of_error(error: TriveniError, request_id: str = "", headers: Mapping[str, str] | None = None) -> Problem:
    """The problem of an error of ours."""
    detail = ": ".join(part for part in (error.field, error.problem, error.remedy) if part)
    return Problem(
        error.status,
        error.http_status if isinstance(error, HttpError) else HTTP_STATUS[error.status],
        shorten(detail, 1000),
        reason_of(error),
        shorten(error.remedy),
        ((shorten(error.field), shorten(error.problem)),) if error.field else (),
        retry_seconds(error),
        request_id,
        headers or {},
    )


def of_call(error: grpc.aio.AioRpcError, request_id: str) -> Problem:
    """The problem of a call that failed, its details unpacked."""
    code = error.code().name
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in _status(error).details:
        for message in (info, bad, retry):
            detail.Unpack(message)
    return Problem(
        code,
        HTTP_STATUS[code],
        error.details() or code_pb2.Code.Name(error.code().value[0]),
        info.reason,
        info.metadata.get("remedy") or _REMEDIES.get(code, ""),
        tuple((one.field, one.description) for one in bad.field_violations if one.field),
        retry.retry_delay.ToTimedelta().total_seconds() or RETRY_SECONDS.get(code, 0),
        request_id,
    )


def _status(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    try:
        return rpc_status.from_call(error) or status_pb2.Status()  # type: ignore[arg-type]
    except (ValueError, DecodeError):
        return status_pb2.Status()
