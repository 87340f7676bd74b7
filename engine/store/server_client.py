"""Calls of a Qdrant server: tried again where that may help, their errors as ours."""

import time
from collections.abc import Callable
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import grpc
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from encoders.errors import TriveniError
from engine.errors import StoreError

_TRANSIENT_HTTP = frozenset({429, 500, 502, 503, 504})
_TRANSIENT_GRPC = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})
_REFUSED_GRPC = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})

Answer = TypeVar("Answer")


class ServerClient:
    """A connection to a Qdrant server or cluster, or to qdrant-client's local mode.

    Args:
        client: of qdrant-client.
        where: the address, for messages.
        attempts: how often a call is tried that fails for a passing reason. All of our calls are idempotent.
        backoff_seconds: before the second attempt; doubled before each further one.
        timeout_seconds: no further attempt begins so long after the first.
    """

    def __init__(
        self,
        client: QdrantClient,
        where: str,
        *,
        attempts: int = 4,
        backoff_seconds: float = 0.2,
        timeout_seconds: float = 30.0,
    ) -> None:
        self.where = where
        self._client: QdrantClient | None = client
        self._attempts = attempts
        self._backoff = backoff_seconds
        self._timeout = timeout_seconds
        self._users = 1

    def share(self) -> Self:
        """The same connection for one more user; it goes when all have closed it."""
        self._users += 1
        return self

    def call(self, ask: Callable[[QdrantClient], Answer]) -> Answer:
        """Ask the server.

        Raises:
            StoreError: if it cannot be reached, refuses the key, or answers with an error.
        """
        until = time.monotonic() + self._timeout
        for attempt in range(1, self._attempts + 1):
            pause = self._backoff * 2 ** (attempt - 1)
            if self._client is None:
                raise StoreError(f"the connection to qdrant at {self.where} is closed", "open the store again")
            try:
                return ask(self._client)
            except TriveniError:
                raise
            except Exception as error:
                if not _passing(error) or attempt == self._attempts or time.monotonic() + pause >= until:
                    raise self._translate(error) from error
            time.sleep(pause)
        raise AssertionError("the loop returns or raises")

    def _translate(self, error: Exception) -> StoreError:
        if _refused(error):
            return StoreError(f"qdrant at {self.where} refuses the api key", "set store.api_key to one that it takes")
        if _passing(error):
            return StoreError(
                f"qdrant at {self.where} does not answer ({_first_line(error)})",
                "start it, or set store.url to where it runs; store.timeout_seconds if it is slow",
            )
        return StoreError(f"qdrant at {self.where} failed: {_first_line(error)}", "see its log")

    def close(self) -> None:
        """Let go of the connection; the last of its users ends it."""
        self._users -= 1
        if self._users <= 0 and self._client is not None:
            client, self._client = self._client, None
            client.close()


def connect(url: str, *, api_key: str = "", timeout_seconds: float = 30.0) -> ServerClient:
    """A connection to the server at a URL; nothing is sent yet.

    Args:
        url: `http://host:6333` or `https://…` speaks HTTP, `grpc://host:6334` or `grpcs://…` speaks gRPC, which
            is faster where it can be reached. `:memory:` and `file:///a/folder` are qdrant-client's local mode,
            for tests: exact, in one thread.
        api_key: "" for none.
        timeout_seconds: of each attempt; nor does a call that fails try again once it took so long.

    Raises:
        StoreError: if the URL is of another kind.
    """
    parts = urlsplit(url)
    timeout, key = max(1, round(timeout_seconds)), api_key or None
    if url == ":memory:":
        return ServerClient(QdrantClient(":memory:"), url)
    if parts.scheme == "file":
        return ServerClient(QdrantClient(path=parts.path, force_disable_check_same_thread=True), url)
    if parts.scheme in ("grpc", "grpcs") and parts.hostname:
        client = QdrantClient(
            host=parts.hostname,
            grpc_port=parts.port or 6334,
            prefer_grpc=True,
            https=parts.scheme == "grpcs",
            api_key=key,
            timeout=timeout,
            check_compatibility=False,
        )
        return ServerClient(client, url, timeout_seconds=timeout_seconds)
    if parts.scheme in ("http", "https") and parts.hostname:
        port = parts.port or (443 if parts.scheme == "https" else 6333)
        client = QdrantClient(url=url, port=port, api_key=key, timeout=timeout, check_compatibility=False)
        return ServerClient(client, url, timeout_seconds=timeout_seconds)
    raise StoreError(
        f"qdrant url {url!r} is of no known kind", "use http, https, grpc or grpcs, as in http://host:6333"
    )


def metadata(client: ServerClient, collection: str) -> dict[str, Any]:
    """What we wrote about a collection.

    Raises:
        StoreError: if there is nothing: another program made it, or the server is older than 1.16.
    """
    about = client.call(lambda qdrant: qdrant.get_collection(collection)).config.metadata or {}
    if not {"fingerprint", "dimension", "schema"} <= about.keys():
        raise StoreError(
            f"collection {collection} at {client.where} does not say which space it is of",
            "name a collection that triveni made, on qdrant 1.16 or later",
        )
    return about


def _passing(error: Exception) -> bool:
    if isinstance(error, UnexpectedResponse):
        return error.status_code in _TRANSIENT_HTTP
    if isinstance(error, grpc.RpcError):
        return _code(error) in _TRANSIENT_GRPC or _code(error) is grpc.StatusCode.DEADLINE_EXCEEDED
    return isinstance(error, ResponseHandlingException | ResourceExhaustedResponse | ConnectionError | TimeoutError)


def _refused(error: Exception) -> bool:
    if isinstance(error, UnexpectedResponse):
        return error.status_code in (401, 403)
    return isinstance(error, grpc.RpcError) and _code(error) in _REFUSED_GRPC


def _code(error: grpc.RpcError) -> grpc.StatusCode | None:
    return error.code() if isinstance(error, grpc.Call) else None


def _first_line(error: Exception) -> str:
    text = error.details() if isinstance(error, grpc.Call) else " ".join(str(error).split())
    return (text or type(error).__name__)[:300]
