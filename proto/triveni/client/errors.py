"""The one tree of errors: what a server said, or what cannot even be sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import grpc

    from triveni.client.problem import Problem

DETAILS = "grpc-status-details-bin"
"""The trailing metadata key of a google.rpc.Status (https://google.aip.dev/193)."""
_WRITE_FAILED = "Internal error from Core"
"""What grpc.aio says where a server ends a stream that is written to, and its status is not read yet."""


class TriveniError(Exception):
    """A call failed, in a way that can be read and acted on.

    Args:
        problem: what is wrong, with the offending value.
        remedy: what to do about it; "" where there is nothing to do.
        status: the name of the gRPC status; that of the class if not given.
        reason: the kind of problem, one word in capitals, such as LIMIT; the status if none is said.
        fields: what is wrong with which field of the request.
        retry_after: seconds after which the call may be tried again; None if it would fail again.
        request_id: names the call in the server's log; "" if it never got there.
    """

    default_status: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        problem: str,
        remedy: str = "",
        *,
        status: str = "",
        reason: str = "",
        fields: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(f"{problem}: {remedy}" if remedy else problem)
        self.problem, self.remedy = problem, remedy
        self.status = status or self.default_status
        self.reason = reason or self.status
        self.fields = dict(fields or {})
        self.retry_after = retry_after
        self.request_id = request_id


class InvalidError(TriveniError):
    """The request makes no sense: an unknown field in a filter, a picture that cannot be read, a wrong argument."""

    default_status = "INVALID_ARGUMENT"


class NotFoundError(TriveniError):
    """There is no such item, version or training."""

    default_status = "NOT_FOUND"


class PreconditionError(TriveniError):
    """What was asked cannot be done as things are: no version to go back to, a server that does not train."""

    default_status = "FAILED_PRECONDITION"


class DeniedError(TriveniError):
    """The token is missing or wrong, or does not allow this."""

    default_status = "PERMISSION_DENIED"


class OverloadedError(TriveniError):
    """The server has too much to do, or the request is too large for it."""

    default_status = "RESOURCE_EXHAUSTED"


class UnavailableError(TriveniError):
    """No server answers, or it is starting or stopping."""

    default_status = "UNAVAILABLE"


class DeadlineError(TriveniError, TimeoutError):
    """The time was up before the answer came."""

    default_status = "DEADLINE_EXCEEDED"


class ServerError(TriveniError):
    """The server failed, or cannot do this at all."""

    default_status = "INTERNAL"


_KINDS: dict[str, type[TriveniError]] = {
    "INVALID_ARGUMENT": InvalidError,
    "OUT_OF_RANGE": InvalidError,
    "NOT_FOUND": NotFoundError,
    "FAILED_PRECONDITION": PreconditionError,
    "ABORTED": PreconditionError,
    "ALREADY_EXISTS": PreconditionError,
    "UNAUTHENTICATED": DeniedError,
    "PERMISSION_DENIED": DeniedError,
    "RESOURCE_EXHAUSTED": OverloadedError,
    "UNAVAILABLE": UnavailableError,
    "DEADLINE_EXCEEDED": DeadlineError,
    "INTERNAL": ServerError,
    "UNIMPLEMENTED": ServerError,
}


def refusal(problem: Problem) -> TriveniError:
    """The error that a problem stands for where nothing else was asked for."""
    kind = _KINDS.get(problem.status, TriveniError)
    fields = {problem.field: problem.message} if problem.field else {}
    return kind(problem.message, problem.remedy, status=problem.status, reason=problem.reason, fields=fields)


def error_of(call: grpc.RpcError, address: str) -> TriveniError:
    """The error that a failed call stands for.

    Args:
        call: as gRPC raised it: of a blocking or an asynchronous call.
        address: of the server that was called.
    """
    status: str = call.code().name
    message = call.details() or ""
    kind = _KINDS.get(status, TriveniError)
    trailing: Iterable[tuple[str, str | bytes]] = call.trailing_metadata() or ()  # type: ignore[assignment]
    details = next((value for key, value in trailing if key == DETAILS), None)
    if details is not None:
        return _detailed(kind, status, details)
    if status == "UNAVAILABLE":  # said by gRPC, not by a server of ours
        remedy = 'start one with `triveni serve`, or name another: Client("host:port"), or TRIVENI_SERVER'
        why, about_tls = why_none(message)
        return UnavailableError(f"no server answers at {address} ({why})", about_tls or remedy)
    if message == _WRITE_FAILED:
        return UnavailableError(f"the stream to {address} broke off", "see the server's log")
    if status == "DEADLINE_EXCEEDED":
        return DeadlineError(f"no answer from {address} in time", "give a longer timeout=")
    return kind(message or f"the server at {address} answered {status}", status=status)


def why_none(details: str) -> tuple[str, str]:
    """Why gRPC found no server, and what to do about it if that may lie in TLS; "" if not.

    Args:
        details: what gRPC says beside UNAVAILABLE.
    """
    said = details.rpartition("last error: ")[2]
    if said.lower().endswith("connection refused"):
        return "connection refused", ""
    return next(((why, remedy) for sign, why, remedy in _TLS if sign in said), (said, ""))


_TLS = (
    (
        "CERTIFICATE_VERIFY_FAILED",
        "its certificate is not trusted",
        "name the certificate that signed it, or it itself: ca=, or TRIVENI_TLS_CA",
    ),
    ("Hostname Verification", "its certificate is of another name", "call the server by a name of its certificate"),
    ("WRONG_VERSION_NUMBER", "it does not speak TLS", "leave tls, ca, TRIVENI_TLS and TRIVENI_TLS_CA out"),
    (
        "Socket closed",
        "it closed the connection",
        "does it speak TLS? Then set tls=True or ca=, or TRIVENI_TLS=1 or TRIVENI_TLS_CA; or see its log",
    ),
)
"""Of what gRPC says: a sign, what it means, what to do."""


def _detailed(kind: type[TriveniError], status: str, details: str | bytes) -> TriveniError:
    from google.rpc import error_details_pb2 as said
    from google.rpc import status_pb2

    whole = status_pb2.Status.FromString(details if isinstance(details, bytes) else details.encode("latin-1"))
    info, request, bad, retry = said.ErrorInfo(), said.RequestInfo(), said.BadRequest(), said.RetryInfo()
    for detail in whole.details:
        for message in (info, request, bad, retry):
            detail.Unpack(message)
    remedy = info.metadata.get("remedy", "")
    return kind(
        whole.message.removesuffix(f": {remedy}"),
        remedy,
        status=status,
        reason=info.reason,
        fields={violation.field: violation.description for violation in bad.field_violations},
        retry_after=retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None,
        request_id=request.request_id,
    )
