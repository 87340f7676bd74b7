"""Servers that are away, late or strange; what is tried again; secrets and TLS."""

import json
import math
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import ServiceDescriptor

from engine.service.server import ServerOptions
from tests.client.proxies import make_certificate, tls_proxy
from tests.service.running import Running, open_edge, open_events, running
from tests.tiny import concept_space
from triveni.client import Client, DeadlineError, InvalidError, UnavailableError
from triveni.client.connection import NOT_AGAIN, SERVICES, service_config
from triveni.v1 import catalog_pb2, encoder_pb2, event_pb2, model_pb2, recommendation_pb2


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def again(tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """A server that can be started on the same port again and again."""
    port = free_port()
    space = concept_space()
    store = open_edge(tmp_path / "items", space)
    events = open_events(tmp_path)

    def start() -> Any:
        return running(space, store, events, ServerOptions(address=f"127.0.0.1:{port}", drain_seconds=1))

    yield start
    events.close()
    store.close()


# Away and late ----------------------------------------------------------------------------------------------


def test_nobody_listens(connect: Any) -> None:
    port = free_port()
    with pytest.raises(
        UnavailableError, match=rf"no server answers at 127\.0\.0\.1:{port} \(connection refused\)"
    ) as away:
        connect(f"127.0.0.1:{port}", retry=False).search("x")
    assert "triveni serve" in away.value.remedy
    assert "TRIVENI_SERVER" in away.value.remedy
    with pytest.raises(UnavailableError) as away:
        connect(f"127.0.0.1:{port}", retry=False).upsert([{"id": "1", "text": "a"}])
    assert "0 items were answered" in away.value.__notes__[0]


def test_a_server_that_starts_again_is_waited_for(connect: Any, again: Callable[[], Any]) -> None:
    """Calls that fall into the gap are answered, though nobody listens at first."""
    with again() as server:
        client = connect(server.address)
        client.upsert([{"id": "a", "text": "a bell"}])
        assert client.get("a").text == "a bell"
    came = threading.Event()
    leave = threading.Event()

    def come_back() -> None:
        time.sleep(0.3)
        with again():
            came.set()
            leave.wait(60)

    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        assert not came.is_set()
        found = client.get("a")
        assert came.is_set()
        assert found.text == "a bell"
        assert client.record(user="u", kind="like", item="a").recorded == 1
        assert len(client.history("u")) == 1
    finally:
        leave.set()
        thread.join(30)


def test_without_retries_the_gap_is_an_error(connect: Any, again: Callable[[], Any]) -> None:
    with again() as server:
        client = connect(server.address, retry=False)
        client.upsert([{"id": "a", "text": "a bell"}])
    with pytest.raises(UnavailableError):
        client.get("a")


def test_only_what_may_be_done_twice_is_tried_again() -> None:
    files = (recommendation_pb2, catalog_pb2, encoder_pb2, event_pb2, model_pb2)
    services: list[ServiceDescriptor] = [
        service for file in files for service in file.DESCRIPTOR.services_by_name.values()
    ]
    assert [service.name for service in services] == [f"{name}Service" for name in SERVICES]
    known = {f"{service.name}/{method.name}" for service in services for method in service.methods}
    assert set(NOT_AGAIN) <= known
    streams = {
        f"{service.name}/{method.name}"
        for service in services
        for method in service.methods
        if method.client_streaming or method.server_streaming
    }
    assert streams <= set(NOT_AGAIN)
    tried, once = json.loads(service_config())["methodConfig"]
    assert tried["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
    assert "hedgingPolicy" not in tried
    assert "retryPolicy" not in once
    assert {f"{one['service'].removeprefix('triveni.v1.')}/{one['method']}" for one in once["name"]} == set(NOT_AGAIN)
    assert {one["service"] for one in tried["name"]} == {service.full_name for service in services}


def test_what_takes_too_long_ends_in_time(connect: Any, server: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DeadlineError, match=f"no answer from {address} in time: give a longer timeout=") as late:
            connect(address).search("a bell", timeout=0.2)
        assert isinstance(late.value, TimeoutError)
        with pytest.raises(DeadlineError):
            connect(address, timeout=0.2).search("a bell")
    client = connect(server.address)
    with pytest.raises(DeadlineError):
        client.search("a bell", timeout=1e-6)
    assert client.search("a bell", timeout=math.inf).request_id


def test_a_server_of_something_else(connect: Any) -> None:
    other = grpc.server(ThreadPoolExecutor(1))
    port = other.add_insecure_port("127.0.0.1:0")
    other.start()
    try:
        with pytest.raises(Exception, match="Method not found") as strange:
            connect(f"127.0.0.1:{port}").search("x")
        assert strange.value.status == "UNIMPLEMENTED"
    finally:
        other.stop(None)


@pytest.mark.parametrize("address", ["http://127.0.0.1:50051", "localhost", "127.0.0.1:port"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(InvalidError, match="host:port"):
        Client(address)


# Secrets and TLS --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", [{"token": "s3cret"}, {"api_key": "s3cret"}])
def test_a_secret_goes_in_the_clear_to_this_machine_only(secret: dict[str, str]) -> None:
    for address in ("example.org:443", "10.0.0.1:50051", "[2001:db8::1]:50051"):
        with pytest.raises(InvalidError, match="in the clear") as refusal:
            Client(address, **secret)  # type: ignore[arg-type]
        assert "tls=True" in refusal.value.remedy
        assert "s3cret" not in str(refusal.value)
        Client(address, tls=True, **secret).close()  # type: ignore[arg-type]
    for address in ("127.0.0.1:50051", "[::1]:50051", "localhost:50051", "unix:/tmp/socket"):
        Client(address, **secret).close()  # type: ignore[arg-type]


def test_secrets_that_cannot_be_sent() -> None:
    for secret in ("line\nbreak", "schlüssel"):
        with pytest.raises(InvalidError, match="header"):
            Client(token=secret)
    with pytest.raises(InvalidError, match="both"):
        Client(cert=__file__)
    with pytest.raises(InvalidError, match=r"cannot read nowhere\.pem"):
        Client(ca="nowhere.pem")


def test_secrets_are_sent_with_every_call(connect: Any) -> None:
    seen: list[dict[str, str]] = []

    class Notice(grpc.ServerInterceptor):
        def intercept_service(self, continuation: Any, details: Any) -> Any:
            seen.append(dict(details.invocation_metadata))
            return continuation(details)

    pool = ThreadPoolExecutor(1)
    other = grpc.server(pool, interceptors=[Notice()])
    port = other.add_insecure_port("127.0.0.1:0")
    other.start()
    try:
        client = connect(f"127.0.0.1:{port}", token="one", api_key="two")
        for call in (lambda: client.search("x"), lambda: client.upsert([{"id": "1", "text": "a"}])):
            with pytest.raises(Exception, match=r"Method not found|broke off"):
                call()
    finally:
        other.stop(None)
    assert len(seen) == 2
    assert all((one["authorization"], one["x-api-key"]) == ("Bearer one", "two") for one in seen)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_tls(connect: Any, server: Running, tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path, "server")
    other, _ = make_certificate(tmp_path, "other")
    with tls_proxy(server.server.port, cert, key) as port:
        secure = connect(f"localhost:{port}", ca=cert, token="s3cret")
        assert secure.get("bird/text").id == "bird/text"
        assert [one.outcome for one in secure.upsert_each([{"id": "bird/text"}])] == ["rejected"]
        for options, remedy in (({"ca": other}, "ca="), ({"tls": True}, "TRIVENI_TLS_CA"), ({}, "tls=True")):
            with pytest.raises(UnavailableError) as away:
                connect(f"localhost:{port}", retry=False, timeout=10, **options).get("bird/text")
            assert remedy in away.value.remedy, away.value
    with pytest.raises(UnavailableError, match="does not speak TLS"):
        connect(server.address, retry=False, timeout=10, ca=cert).get("bird/text")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_a_server_that_asks_for_a_certificate(connect: Any, server: Running, tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path, "server")
    own, own_key = make_certificate(tmp_path, "client")
    with tls_proxy(server.server.port, cert, key, clients=own) as port:
        known = connect(f"localhost:{port}", ca=cert, cert=own, key=own_key)
        assert known.get("bird/text").id == "bird/text"
        with pytest.raises(UnavailableError):
            connect(f"localhost:{port}", ca=cert, retry=False).get("bird/text")
