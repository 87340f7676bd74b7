"""Clients that go away, servers that stop, addresses that cannot be had, how many connections."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from encoders.types import Content, Text
from engine.core.deadline import Deadline
from engine.core.errors import CancelledError, SettingsError
from engine.core.types import ItemId
from engine.encode.encoding import ContentEncoder, Encoded, EncodedPassages
from engine.http.server import HttpServer
from engine.http.settings import HttpSettings
from tests.http.doors import Opened, opened

HOLD = {"parts": [{"content": {"text": "hold"}}]}


class Holding:
    """The real encoder, which keeps the text "hold" until it may go on or its caller has gone."""

    def __init__(self) -> None:
        self.inside, self.go, self.cancelled = threading.Event(), threading.Event(), threading.Event()

    def around(self, encoder: ContentEncoder) -> ContentEncoder:
        self._encoder = encoder
        return self

    def encode(self, contents: Sequence[Content], deadline: Deadline) -> list[Encoded]:
        if Text("hold") in contents:
            self.inside.set()
            try:
                while not self.go.wait(0.01):
                    deadline.check("holding")
            except CancelledError:
                self.cancelled.set()
                raise
        return self._encoder.encode(contents, deadline)

    def encode_passages(
        self, contents: Sequence[Content], most: Sequence[int], deadline: Deadline
    ) -> list[EncodedPassages]:
        return self._encoder.encode_passages(contents, most, deadline)


def test_a_client_that_goes_away_cancels_its_call(tmp_path: Path) -> None:
    holding = Holding()
    with opened(tmp_path, wrap=holding.around) as door:
        with socket.create_connection(("127.0.0.1", door.door.port)) as connection:
            body = b'{"parts": [{"content": {"text": "hold"}}]}'
            head = f"POST /v1/search HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n"
            connection.sendall(f"{head}content-type: application/json\r\n\r\n".encode() + body)
            assert holding.inside.wait(20)
            assert not holding.cancelled.is_set()
        assert holding.cancelled.wait(20)


def test_a_stream_that_breaks_off_cancels_its_call(tmp_path: Path) -> None:
    holding = Holding()
    with opened(tmp_path, wrap=holding.around) as door:
        with socket.create_connection(("127.0.0.1", door.door.port)) as connection:
            line = b'{"item": {"id": "h", "contents": [{"text": "hold"}]}}\n'
            head = "POST /v1/items:upsert HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n"
            connection.sendall(f"{head}content-type: application/x-ndjson\r\n\r\n".encode() + line)
            assert holding.inside.wait(20)
        assert holding.cancelled.wait(20)
        assert httpx.get(f"{door.url}/v1/items/h").status_code == 404


def test_a_server_that_stops_answers_what_it_has_begun(tmp_path: Path) -> None:
    holding = Holding()
    with opened(tmp_path, wrap=holding.around) as door, ThreadPoolExecutor() as pool:
        with httpx.Client(base_url=door.url, timeout=30) as http:
            http.get("/v1/health")
            begun = pool.submit(httpx.post, f"{door.url}/v1/search", json=HOLD, timeout=30)
            assert holding.inside.wait(20)
            stopping = pool.submit(door.run.do, door.run.server.stop)
            while (health := http.get("/v1/health")).status_code == 200:
                time.sleep(0.01)
            assert (health.status_code, health.json()) == (503, {"status": "NOT_SERVING"})
            late = httpx.post(f"{door.url}/v1/search", json=HOLD)
            assert (late.status_code, late.json()["reason"]) == (503, "NOT_READY")
            assert int(late.headers["retry-after"]) == late.json()["retry_after"] == 2
            assert late.headers["connection"] == "close"
            assert not begun.done()
            holding.go.set()
            assert begun.result(20).status_code == 200
            stopping.result(20)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{door.url}/v1/health")


def test_calls_that_outlast_the_drain_are_cut_off(tmp_path: Path) -> None:
    holding = Holding()
    with opened(tmp_path, wrap=holding.around, drain_seconds=0.3) as door, ThreadPoolExecutor() as pool:
        begun = pool.submit(httpx.post, f"{door.url}/v1/search", json=HOLD, timeout=30)
        assert holding.inside.wait(20)
        door.run.do(door.run.server.stop)
        assert (begun.result(20).status_code, begun.result().json()["reason"]) == (503, "NOT_READY")
        assert holding.cancelled.wait(20)


def test_a_stream_that_outlasts_the_drain_keeps_what_was_answered_and_says_so(tmp_path: Path) -> None:
    with opened(tmp_path, drain_seconds=0.3) as door:
        with socket.create_connection(("127.0.0.1", door.door.port), timeout=20) as connection:
            head = "POST /v1/items:upsert HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n"
            line = b'{"item": {"id": "h", "contents": [{"text": "a bell"}]}}\n'
            connection.sendall(f"{head}content-type: application/x-ndjson\r\n\r\n{len(line):x}\r\n".encode() + line)
            connection.sendall(b"\r\n")
            said = b""
            while b"UPSERT_OUTCOME_STORED" not in said:
                said += connection.recv(1 << 16)
            door.run.do(door.run.server.stop)
            while more := connection.recv(1 << 16):
                said += more
        assert door.run.store.retrieve([ItemId("h")]) != [None]
    (error,) = (json.loads(line)["error"] for line in said.splitlines() if line.startswith(b'{"error"'))
    assert (error["code"], error["reason"]) == ("UNAVAILABLE", "NOT_READY")
    assert error["remedy"] == "send again what was not answered"


@pytest.mark.parametrize("address", ["IN USE", "nowhere.invalid:1", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x"])
def test_an_address_that_cannot_be_had_is_said(door: Opened, address: str) -> None:
    said = f"127.0.0.1:{door.door.port}" if address == "IN USE" else address
    other = HttpServer(HttpSettings(address=said), max_message_bytes=1)
    with pytest.raises(SettingsError, match=r"cannot listen on .*: choose another http.address"):
        asyncio.run(other.open("unix:/nothing", lambda _: 0.0))


def test_more_connections_than_allowed_are_refused_and_health_is_answered(tmp_path: Path) -> None:
    settings = HttpSettings(address="127.0.0.1:0", max_connections=3)
    with opened(tmp_path, settings) as door:
        kept = [socket.create_connection(("127.0.0.1", door.door.port)) for _ in range(4)]
        refused = httpx.get(f"{door.url}/v1/models")
        assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
        assert (refused.json()["reason"], refused.json()["code"]) == ("CROWDED", "UNAVAILABLE")
        assert "http.max_connections" in refused.json()["remedy"]
        assert (refused.headers["connection"], refused.headers["retry-after"]) == ("close", "2")
        assert httpx.get(f"{door.url}/v1/health").status_code == 200
        for connection in kept:
            connection.close()
        until = time.monotonic() + 20
        while httpx.get(f"{door.url}/v1/models").status_code == 503 and time.monotonic() < until:
            time.sleep(0.01)
        assert httpx.get(f"{door.url}/v1/models").status_code == 200


@pytest.mark.parametrize("before", [b"", b"GET /v1/health HTTP/1.1\r\nhost: localhost\r\n\r\n"])
@pytest.mark.parametrize("sent", [b"", b"GET /v1/health HTT"])
def test_a_connection_whose_request_does_not_arrive_is_closed(tmp_path: Path, before: bytes, sent: bytes) -> None:
    """Else a thousand of them, which cost nothing, would keep all others out for as long as they like."""
    if before and not sent:
        pytest.skip("between requests a connection may wait for longer")
    settings = HttpSettings(address="127.0.0.1:0", body_seconds=0.2)
    with opened(tmp_path, settings) as door, socket.create_connection(("127.0.0.1", door.door.port)) as slow:
        slow.settimeout(20)
        if before:
            slow.sendall(before)
            assert slow.recv(1 << 16).startswith(b"HTTP/1.1 200")
        for byte in sent:
            slow.sendall(bytes([byte]))
        while slow.recv(1 << 16):
            pass
