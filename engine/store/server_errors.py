"""What went wrong in a call of a Qdrant server: whether another try may help, and what to say."""

import re
from collections.abc import Iterable
from enum import IntEnum

import grpc
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from engine.core.errors import StoreError

_PART = re.compile(r"\b(shard|replica)|\bpeer \d|operations failed", re.IGNORECASE)
"""A server says this of a part of a collection that is on another node; a connection that fails never does."""


class Fault(IntEnum):
    """What kind of error it is; of several nodes' errors the highest tells most."""

    UNREACHABLE = 0
    """No answer. Another node may have one, or the same node later."""
    BUSY = 1
    """It refuses work for now."""
    FAILING = 2
    """It answers that it cannot: a part of the collection is on a node that is lost, or starting."""
    WRONG = 3
    """It refuses the call itself; so would any other node."""
    REFUSED = 4
    """It refuses the key."""


def fault(error: Exception) -> Fault:
    """The kind of an error of qdrant-client or gRPC."""
    if isinstance(error, UnexpectedResponse):
        return _of_status(error.status_code or 0)
    if isinstance(error, ResourceExhaustedResponse):
        return Fault.BUSY
    if isinstance(error, grpc.RpcError):
        return _of_code(error)
    if isinstance(error, ResponseHandlingException | ConnectionError | TimeoutError):
        return Fault.UNREACHABLE
    return Fault.WRONG


def _of_status(status: int) -> Fault:
    if status in (401, 403):
        return Fault.REFUSED
    if status == 429:
        return Fault.BUSY
    return Fault.FAILING if status >= 500 else Fault.WRONG


def _of_code(error: grpc.RpcError) -> Fault:
    code = error.code() if isinstance(error, grpc.Call) else None
    match code:
        case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
            return Fault.REFUSED
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return Fault.BUSY
        case grpc.StatusCode.INTERNAL:
            return Fault.FAILING
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.DEADLINE_EXCEEDED:
            return Fault.FAILING if _PART.search(said(error)) else Fault.UNREACHABLE
    return Fault.WRONG


def translate(errors: Iterable[Exception], where: str) -> StoreError:
    """The error to raise for the last errors of all nodes.

    Args:
        errors: at least one.
        where: the addresses.
    """
    worst = max(errors, key=fault)
    text = said(worst)
    match fault(worst):
        case Fault.REFUSED:
            return StoreError(f"qdrant at {where} refuses the api key", "set store.api_key to one that it takes")
        case Fault.UNREACHABLE:
            return StoreError(
                f"qdrant at {where} does not answer ({text})",
                "start it, or set store.url to where it runs; store.timeout_seconds if it is slow",
            )
        case Fault.BUSY:
            return StoreError(f"qdrant at {where} has too much to do ({text})", "ask less of it, or try again later")
        case Fault.FAILING if _PART.search(text):
            return StoreError(
                f"qdrant at {where} answers, but a part of the collection cannot be reached ({text})",
                "start the lost node again; a collection that is made with store.replicas above 1 does without it",
            )
    return StoreError(f"qdrant at {where} failed: {text}", "see its log")


def said(error: Exception) -> str:
    """The text of an error, on one line."""
    text = error.details() if isinstance(error, grpc.Call) else str(error)
    return (" ".join((text or "").split()) or type(error).__name__)[:300]
