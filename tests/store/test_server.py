"""What only the server's client has: retries, and errors that name the address."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from httpx import Headers
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from engine.errors import StoreError
from engine.store.collections import collections
from engine.store.server import ServerStore
from engine.store.server_client import ServerClient, connect
from tests.store.implementations import DIMENSION, FINGERPRINT, MODALITIES


def failing(errors: list[Exception]) -> Callable[[QdrantClient], str]:
    """A call that fails with these errors, one after the other, and then succeeds."""

    def ask(_: QdrantClient) -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    return ask


def answer(status: int) -> UnexpectedResponse:
    return UnexpectedResponse(status, "reason", b"content", Headers())


@pytest.fixture
def client() -> ServerClient:
    return ServerClient(QdrantClient(":memory:"), "http://there:6333", attempts=3, backoff_seconds=0.001)


def test_passing_errors_are_tried_again(client: ServerClient) -> None:
    errors: list[Exception] = [answer(503), ResponseHandlingException(TimeoutError("slow"))]
    assert client.call(failing(errors)) == "done"
    assert errors == []


def test_they_are_not_tried_forever(client: ServerClient) -> None:
    errors: list[Exception] = [answer(503) for _ in range(9)]
    with pytest.raises(
        StoreError, match=r"qdrant at http://there:6333 does not answer .*503.*: start it, or set store\.url"
    ) as caught:
        client.call(failing(errors))
    assert len(errors) == 6
    assert caught.value.status == "UNAVAILABLE"


def test_they_are_not_tried_for_longer_than_a_call_may_take() -> None:
    client = ServerClient(QdrantClient(":memory:"), "there", attempts=9, backoff_seconds=0.01, timeout_seconds=0.05)
    errors: list[Exception] = [answer(503) for _ in range(9)]
    with pytest.raises(StoreError, match="qdrant at there does not answer"):
        client.call(failing(errors))
    assert 9 - len(errors) in (1, 2, 3)  # the pauses are 10, 20, 40 ms


@pytest.mark.parametrize(
    ("status", "message"), [(401, "refuses the api key: set store.api_key"), (403, "api key"), (400, "failed: .*400")]
)
def test_other_errors_are_not_tried_again(client: ServerClient, status: int, message: str) -> None:
    errors: list[Exception] = [answer(status), answer(status)]
    with pytest.raises(StoreError, match=f"qdrant at http://there:6333 .*{message}"):
        client.call(failing(errors))
    assert len(errors) == 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_no_server_at_the_address(scheme: str, tmp_path: Path) -> None:
    url = f"{scheme}://127.0.0.1:{free_port()}"
    held = collections("server", path=tmp_path, url=url, timeout_seconds=1)
    with pytest.raises(StoreError, match=f"qdrant at {url} does not answer"):
        held.current("items")


def test_an_address_of_no_known_kind() -> None:
    with pytest.raises(StoreError, match="qdrant url 'ftp://x' is of no known kind: use http"):
        connect("ftp://x")


def test_a_collection_of_another_program() -> None:
    client = connect(":memory:")
    client.call(lambda qdrant: qdrant.create_collection("items", vectors_config={}))
    with pytest.raises(StoreError, match="items at :memory: does not say which space it is of"):
        ServerStore(client, "items", fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES)
