"""What only the server's client has: failover, retries, and errors that name the address and say what is wrong."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest
from httpx import Headers
from qdrant_client import QdrantClient, models
from qdrant_client import grpc as wire
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from encoders.types import Modality
from engine.core.errors import SettingsError, StoreError
from engine.core.types import ItemId
from engine.store.base import VectorQuery
from engine.store.collections import ServerCollections, collections, open_store
from engine.store.server import ServerStore
from engine.store.server_client import Node, ServerClient, connect
from engine.store.server_errors import Fault, fault
from engine.store.server_points import ClientPoints
from engine.store.server_wire import WirePoints
from engine.store.settings import StoreSettings
from tests.store.implementations import DIMENSION, FINGERPRINT, MODALITIES, everything, point, unit_vectors

pytestmark = pytest.mark.filterwarnings("ignore:Local mode", "ignore:Payload indexes have no effect")

LOST_SHARD = "Service internal error: 1 of 1 read operations failed:\n  Service internal error: tcp connect error"


def failing(errors: list[Exception]) -> Callable[[QdrantClient], str]:
    """A call that fails with these errors, one after the other, and then succeeds."""

    def ask(_: QdrantClient) -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    return ask


def answer(status: int, content: bytes = b"content") -> UnexpectedResponse:
    return UnexpectedResponse(status, "reason", content, Headers())


class Status(grpc.RpcError, grpc.Call):  # type: ignore[misc]
    """An error as gRPC raises it."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details


def memory(where: str) -> Node:
    client = QdrantClient(":memory:")
    return Node(where, client, ClientPoints(client))


@pytest.fixture
def client() -> ServerClient:
    return ServerClient([memory("http://there:6333")], attempts=3, backoff_seconds=0.001)


def test_passing_errors_are_tried_again(client: ServerClient) -> None:
    errors: list[Exception] = [
        answer(503),
        ResponseHandlingException(TimeoutError("slow")),
    ]
    assert client.call(failing(errors)) == "done"
    assert errors == []


def test_they_are_not_tried_forever(client: ServerClient) -> None:
    errors: list[Exception] = [ResponseHandlingException(ConnectionError("refused")) for _ in range(9)]
    with pytest.raises(
        StoreError, match=r"qdrant at http://there:6333 does not answer .*refused.*: start it, or set store\.url"
    ) as caught:
        client.call(failing(errors))
    assert len(errors) == 6
    assert caught.value.status == "UNAVAILABLE"


def test_they_are_not_tried_for_longer_than_a_call_may_take() -> None:
    client = ServerClient([memory("there")], attempts=9, backoff_seconds=0.01, timeout_seconds=0.05)
    errors: list[Exception] = [answer(503) for _ in range(9)]
    with pytest.raises(StoreError, match=r"qdrant at there failed: .*503"):
        client.call(failing(errors))
    assert 9 - len(errors) in (1, 2, 3)  # the pauses are 10, 20, 40 ms


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (answer(401), Fault.REFUSED, r"refuses the api key: set store\.api_key"),
        (Status(grpc.StatusCode.PERMISSION_DENIED, "no"), Fault.REFUSED, "refuses the api key"),
        (answer(400), Fault.WRONG, "failed: .*400.*: see its log"),
        (Status(grpc.StatusCode.NOT_FOUND, "no such"), Fault.WRONG, "failed: no such"),
        (answer(500, LOST_SHARD.encode()), Fault.FAILING, r"answers, but a part .*read operations failed.*replicas"),
        (Status(grpc.StatusCode.INTERNAL, LOST_SHARD), Fault.FAILING, "answers, but a part of the collection"),
        (Status(grpc.StatusCode.UNAVAILABLE, "Shard temporarily unavailable"), Fault.FAILING, "answers, but a part"),
        (answer(500, b"disk"), Fault.FAILING, "failed: .*disk.*: see its log"),
        (
            Status(grpc.StatusCode.UNAVAILABLE, "connection refused"),
            Fault.UNREACHABLE,
            "does not answer .*: start it",
        ),
        (Status(grpc.StatusCode.DEADLINE_EXCEEDED, "late"), Fault.UNREACHABLE, "does not answer .*timeout_seconds"),
        (answer(429), Fault.BUSY, "has too much to do .*: ask less"),
    ],
)
def test_errors_say_what_is_wrong_and_only_passing_ones_are_tried_again(
    client: ServerClient, error: Exception, kind: Fault, message: str
) -> None:
    assert fault(error) is kind
    errors = [error] * 9
    with pytest.raises(StoreError, match=f"qdrant at http://there:6333 {message}"):
        client.call(failing(errors))
    assert 9 - len(errors) == (1 if kind >= Fault.WRONG else 3)


def test_a_node_that_fails_leaves_the_call_to_the_next_and_comes_last_from_then_on() -> None:
    nodes = [memory(where) for where in "abc"]
    client = ServerClient(nodes, attempts=2, backoff_seconds=0.001)
    names = {id(node.qdrant): node.where for node in nodes}
    down, asked = {"a", "b"}, list[str]()

    def ask(qdrant: QdrantClient) -> str:
        asked.append(names[id(qdrant)])
        if asked[-1] in down:
            raise ResponseHandlingException(ConnectionError("refused"))
        return asked[-1]

    assert [client.call(ask), client.call(ask)] == ["c", "c"]
    assert asked == ["a", "b", "c", "c"]
    down = {"c"}
    assert client.call(ask) == "a"
    down = {"a", "b", "c"}
    asked.clear()
    with pytest.raises(StoreError, match="qdrant at a, b, c does not answer"):
        client.call(ask)
    assert sorted(asked) == ["a", "a", "b", "b", "c", "c"]


def test_of_several_nodes_errors_the_one_that_was_answered_is_told() -> None:
    client = ServerClient([memory("a"), memory("b")], attempts=1)
    errors = [Status(grpc.StatusCode.INTERNAL, LOST_SHARD), ResponseHandlingException(ConnectionError("refused"))]
    with pytest.raises(StoreError, match="qdrant at a, b answers, but a part of the collection cannot be reached"):
        client.call(failing(errors))


def test_a_change_is_waited_for_on_every_node_that_answers() -> None:
    nodes = [memory(where) for where in "abc"]
    client = ServerClient(nodes, timeout_seconds=5)
    names = {id(node.qdrant): node.where for node in nodes}
    looks = {"a": 0, "b": 0, "c": 0}

    def seen(qdrant: QdrantClient) -> bool:
        name = names[id(qdrant)]
        looks[name] += 1
        if name == "b":
            raise ResponseHandlingException(ConnectionError("refused"))
        if looks[name] == 1:
            raise answer(404)
        return looks[name] not in (2, 4)  # it asks the other nodes of its cluster, of which one is late

    client.settle(seen, "the schema of items")
    assert looks == {"a": 7, "b": 1, "c": 7}


def test_a_change_that_never_shows_is_an_error() -> None:
    client = ServerClient([memory("a")], timeout_seconds=0.1)
    with pytest.raises(
        StoreError, match=r"qdrant at a took alias items, but does not show it after 0\.1 s: see whether its cluster"
    ):
        client.settle(lambda _: False, "alias items")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_no_server_at_the_address(scheme: str) -> None:
    urls = [f"{scheme}://127.0.0.1:{free_port()}" for _ in range(2)]
    held = collections(StoreSettings(backend="server", url=",".join(urls), timeout_seconds=1))
    with pytest.raises(StoreError, match=f"qdrant at {urls[0]}, {urls[1]} does not answer"):
        held.current("items")


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_an_address_that_does_not_answer_leaves_all_calls_to_the_next(scheme: str) -> None:
    client = connect(f"{scheme}://127.0.0.1:{free_port()}, :memory:", timeout_seconds=5)
    store = ServerStore(client, "items", fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES)
    store.upsert([point("a", 1), point("b", 2)])
    assert sorted(everything(store)) == ["a", "b"]
    assert len(store.candidates([ItemId("a"), ItemId("c")])) == 1
    assert store.query([VectorQuery(unit_vectors(1, 1)[0], Modality.TEXT, 5)])[0].ids
    store.close()
    client.close()


def test_an_address_of_no_known_kind() -> None:
    with pytest.raises(StoreError, match="qdrant url 'ftp://x' is of no known kind: use grpc"):
        connect("http://there:6333,ftp://x")


@pytest.mark.parametrize(
    "url",
    [
        "http://me:se/cret@there:6333", "https://me:7/cret@there", "grpc://me:se?cret@there", "http://me:se#cret@there",
        "http://me:se,cret@there", "http://there:secret", "http://there:70000", "http://[secret", "grpc://there:0",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_read_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(SettingsError, match=r"store\.url cannot be read: write / .* as %2F") as refused:
        connect(url)
    assert "cret" not in str(refused.value)


def test_a_collection_of_another_program() -> None:
    client = connect(":memory:")
    client.call(lambda qdrant: qdrant.create_collection("items", vectors_config={}))
    with pytest.raises(StoreError, match="items at :memory: does not say which space it is of"):
        ServerStore(client, "items", fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES)


def test_a_collection_with_the_name_of_the_alias_is_named(tmp_path: Path) -> None:
    url = f"file://{tmp_path}"
    client = connect(url)
    client.call(lambda qdrant: qdrant.create_collection("items", vectors_config={}))
    client.close()
    held = ServerCollections(url)
    with pytest.raises(
        StoreError,
        match=r"has a collection named items, which is to be the alias of ours: set store\.collection to another",
    ):
        open_store(held, "items", fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES)
    assert held.all() == []
    held.close()


def test_a_collection_that_a_lost_answer_made_is_taken() -> None:
    node = memory("a")
    client, made = ServerClient([node], attempts=2, backoff_seconds=0.001), node.qdrant.create_collection

    def lose(*args: object, **kwargs: object) -> bool:
        made(*args, **kwargs)  # type: ignore[arg-type]
        raise ResponseHandlingException(TimeoutError("late"))

    node.qdrant.create_collection = lose  # type: ignore[assignment]
    store = ServerStore(client, "items", fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES)
    assert store.count() == 0


def test_a_lost_answer_to_a_change_of_vectors_is_no_error() -> None:
    node = memory("a")
    client = ServerClient([node], attempts=2, backoff_seconds=0.001)
    store = ServerStore(client, "items", fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES)

    def lose(call: Callable[..., object]) -> Callable[..., object]:
        def lost(*args: object, **kwargs: object) -> object:
            call(*args, **kwargs)
            raise ResponseHandlingException(TimeoutError("late"))

        return lost

    node.qdrant.create_vector_name = lose(node.qdrant.create_vector_name)  # type: ignore[assignment]
    store.add_vector("taste-1", 8)
    assert store.vectors == {"taste-1": 8}
    node.qdrant.delete_vector_name = lose(node.qdrant.delete_vector_name)  # type: ignore[assignment]
    store.drop_vector("taste-1")
    assert store.vectors == {}


FROZEN = """
from concurrent.futures import ThreadPoolExecutor
import grpc
server = grpc.server(ThreadPoolExecutor(1))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
"""


@pytest.mark.timeout(120)
def test_a_node_that_falls_silent_is_given_up_long_before_the_time_of_a_call() -> None:
    """Its machine hangs: connections stay, answers do not come."""
    with subprocess.Popen([sys.executable, "-c", FROZEN], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        reader = WirePoints("127.0.0.1", int(server.stdout.readline()), secure=False, api_key="", timeout_seconds=50)
        try:
            with pytest.raises(grpc.RpcError) as caught:
                reader.get("items", [], payload=False, vectors=[])
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED  # it is there, and connected to
            server.send_signal(signal.SIGSTOP)
            while psutil.Process(server.pid).status() != psutil.STATUS_STOPPED:
                time.sleep(0.01)
            with pytest.raises(grpc.RpcError) as caught:
                reader.get("items", [], payload=False, vectors=[])
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE  # not DEADLINE_EXCEEDED
            assert fault(caught.value) is Fault.UNREACHABLE
        finally:
            reader.close()
            server.kill()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_vectors_come_off_the_wire_as_they_are(host: str) -> None:
    """A gRPC server that answers with the library's own messages: the arrays hold what the messages hold."""
    matrix = unit_vectors(0, 6)
    keys = [f"00000000-0000-0000-0000-00000000000{number}" for number in range(3)]
    points = []
    for number, key in enumerate(keys):
        named = {
            "text": wire.VectorOutput(dense=wire.DenseVector(data=matrix[number])),
            "image": wire.VectorOutput(data=matrix[3 + number]),
        }
        if number == 1:
            del named["text"]
        vectors = wire.VectorsOutput(vectors=wire.NamedVectorsOutput(vectors=named))
        payload = {"n": wire.Value(integer_value=number)}
        points.append(wire.RetrievedPoint(id=wire.PointId(uuid=key), payload=payload, vectors=vectors))
    hits = [wire.ScoredPoint(id=wire.PointId(uuid=key), score=number) for number, key in enumerate(keys)]

    class Points(wire.PointsServicer):  # type: ignore[misc]
        def Get(self, request: wire.GetPoints, context: grpc.ServicerContext) -> wire.GetResponse:  # noqa: N802
            if ("api-key", "secret") not in tuple(context.invocation_metadata()):
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "no key")
            return wire.GetResponse(result=points)

        def QueryBatch(  # noqa: N802
            self, request: wire.QueryBatchPoints, context: grpc.ServicerContext
        ) -> wire.QueryBatchResponse:
            assert request.query_points[0].filter.must[0].field.key == "n"
            return wire.QueryBatchResponse(result=[wire.BatchResult(result=hits), wire.BatchResult()])

    server = grpc.server(ThreadPoolExecutor(2))
    wire.add_PointsServicer_to_server(Points(), server)
    try:
        port = server.add_insecure_port(f"{host}:0")
    except RuntimeError:
        pytest.skip(f"this machine has no {host}")
    server.start()
    client = connect(f"grpc://{host}:{port}", api_key="secret", timeout_seconds=10)
    reader = client._nodes[0].points
    try:
        found = reader.get("items", keys, payload=True, vectors=["text", "image", "audio"])
        assert list(found.keys) == keys
        assert [payload["n"] for payload in found.payloads] == [0, 1, 2]
        assert found.vectors.keys() == {"text", "image"}
        for name, rows, expected in (("text", [0, 2], matrix[[0, 2]]), ("image", [0, 1, 2], matrix[3:])):
            assert found.vectors[name][0].tolist() == rows
            assert np.array_equal(found.vectors[name][1], expected)
        filter_ = models.Filter(must=[models.FieldCondition(key="n", match=models.MatchValue(value=1))])
        requests = [models.QueryRequest(query=[1.0, 0.0], using="text", limit=3, filter=filter_)] * 2
        (first, scores), (none, empty) = reader.query("items", requests)
        assert (list(first), scores.tolist(), list(none), empty.tolist()) == (keys, [0, 1, 2], [], [])
        other = WirePoints(host, port, secure=False, api_key="", timeout_seconds=10)
        with pytest.raises(grpc.RpcError) as caught:
            other.get("items", keys, payload=False, vectors=[])
        assert fault(caught.value) is Fault.REFUSED
        other.close()
    finally:
        client.close()
        server.stop(None)


@pytest.mark.parametrize(
    "url", ["http://me:sekr@et@there:6333", "grpc://me:sekr@et@there", "gprc:/me:sek/r@et@there"]
)
def test_no_message_shows_a_password_of_the_url(url: str) -> None:
    try:
        client = connect(url)
        said = client._nodes[0].where
        client.close()
    except StoreError as error:
        said = str(error)
    assert "there" in said and "sek" not in said and "r@et" not in said
