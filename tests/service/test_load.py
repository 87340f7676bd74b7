"""More work than threads, and defects of ours."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from encoders.types import Content, Text
from engine.core.deadline import Deadline
from engine.encode.encoding import ContentEncoder, Encoded, EncodedPassages
from engine.http.server import HttpServer
from engine.http.settings import HttpSettings
from engine.service.admission import Outcome
from engine.service.server import ServerOptions
from tests.service.running import Running, failure, item, open_edge, open_events, running
from tests.tiny import concept_space
from triveni.client import Client
from triveni.v1 import content_pb2, event_pb2, recommendation_pb2


class Gate:
    """The real encoder behind a gate that a text may have to wait at."""

    def __init__(self) -> None:
        self.encoder: ContentEncoder | None = None
        self.open = threading.Event()
        self.waiting = 0
        self.stopped: list[str] = []

    def encode(self, contents: Sequence[Content], deadline: Deadline) -> list[Encoded]:
        assert self.encoder
        if Text("wait") in contents:
            self.waiting += 1
            try:
                while not self.open.wait(0.01):
                    deadline.check("waiting")
            except Exception as error:
                self.stopped.append(type(error).__name__)
                raise
            finally:
                self.waiting -= 1
        return self.encoder.encode(contents, deadline)

    def encode_passages(
        self, contents: Sequence[Content], most: Sequence[int], deadline: Deadline
    ) -> list[EncodedPassages]:
        assert self.encoder
        return self.encoder.encode_passages(contents, most, deadline)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Running, Gate]]:
    """A server with two threads and room for two more."""
    space, gate = concept_space(), Gate()
    store = open_edge(tmp_path / "store", space)
    events = open_events(tmp_path, store)

    def wrap(encoder: ContentEncoder) -> ContentEncoder:
        gate.encoder = encoder
        return gate

    options = ServerOptions(address="127.0.0.1:0", threads=2, max_queue=2, drain_seconds=2)
    door = HttpServer(HttpSettings(address="127.0.0.1:0"), max_message_bytes=1 << 20)
    with running(space, store, events, options, wrap=wrap, doors=[door]) as run:
        yield run, gate
        gate.open.set()
    events.close()
    store.close()


def request(text: str) -> recommendation_pb2.SearchRequest:
    return recommendation_pb2.SearchRequest(
        parts=[recommendation_pb2.QueryPart(content=content_pb2.Content(text=text))], limit=1
    )


def until(condition: object) -> None:
    end = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_full_queue_refuses_and_says_when_to_retry(small: tuple[Running, Gate]) -> None:
    run, gate = small
    held = [run.recommendations.Search.future(request("wait"), timeout=30) for _ in range(4)]
    until(lambda: gate.waiting == 2 and run.server._pools.reads.pending == 4)
    with capture_logs() as said:
        for count in range(1, 4):
            found = failure(lambda: run.recommendations.Search(request("bird"), timeout=10))
            assert (found.code, found.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
            assert found.retry_seconds > 0
            assert f"try again in {found.retry_seconds:.1f} seconds" in found.message
            assert run.server._pools.reads.admission.outcomes[Outcome.REFUSED] == count
        body = {"parts": [{"content": {"text": "bird"}}]}
        over_http = httpx.post(f"http://127.0.0.1:{run.server._doors[0].port}/v1/search", json=body, timeout=10)
        assert (over_http.status_code, over_http.json()["reason"]) == (429, "OVERLOADED")
        assert int(over_http.headers["retry-after"]) >= 1
        health = health_pb2_grpc.HealthStub(run.channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        assert run.events.GetHistory(event_pb2.GetHistoryRequest(user_id="ann"), timeout=10) is not None
        until(lambda: any(line["event"] == "calls refused" for line in said))
    assert sum(line.get("count", 0) for line in said if line["event"] == "calls refused") == 4
    gate.open.set()
    for call in held:
        assert call.result(timeout=20).tier
    assert run.recommendations.Search(request("bird"), timeout=10).tier


def test_a_refused_caller_comes_again_by_itself(small: tuple[Running, Gate]) -> None:
    """The client waits as long as the server says, and is answered once there is room."""
    run, gate = small
    held = [run.recommendations.Search.future(request("wait"), timeout=30) for _ in range(4)]
    until(lambda: gate.waiting == 2 and run.server._pools.reads.pending == 4)
    with Client(run.address) as client, ThreadPoolExecutor(1) as pool:
        found = pool.submit(client.search, "bird", timeout=20)
        until(lambda: run.server._pools.reads.admission.outcomes[Outcome.REFUSED] > 0)
        gate.open.set()
        assert found.result(20).request_id
    for call in held:
        assert call.result(timeout=20).tier


def test_a_stream_is_held_back_and_not_refused(small: tuple[Running, Gate]) -> None:
    run, gate = small
    held = [run.recommendations.Search.future(request("wait"), timeout=30) for _ in range(4)]
    until(lambda: gate.waiting == 2 and run.server._pools.reads.pending == 4)
    assert [one.problem.message for one in run.upsert([item(f"{n}", text="bird") for n in range(3)])] == [""] * 3
    gate.open.set()
    for call in held:
        assert call.result(timeout=20).tier


def test_cancelled_calls_leave_threads_and_queue(small: tuple[Running, Gate]) -> None:
    run, gate = small
    held = [run.recommendations.Search.future(request("wait"), timeout=30) for _ in range(4)]
    until(lambda: gate.waiting == 2 and run.server._pools.reads.pending == 4)
    for call in held:
        call.cancel()
    until(lambda: run.server._pools.reads.pending == 0)
    assert gate.waiting == 0
    assert set(gate.stopped) == {"CancelledError"}
    assert run.recommendations.Search(request("bird"), timeout=10).tier


def test_a_deadline_stops_the_work(small: tuple[Running, Gate]) -> None:
    run, gate = small
    assert failure(lambda: run.recommendations.Search(request("wait"), timeout=0.3)).code == "DEADLINE_EXCEEDED"
    until(lambda: run.server._pools.reads.pending == 0)
    assert len(gate.stopped) == 1
    assert gate.stopped[0] in ("DeadlineError", "CancelledError")


def test_a_defect_is_internal_with_an_id_and_nothing_else(
    small: tuple[Running, Gate], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = small

    def broken(*_: object) -> None:
        raise RuntimeError("a secret of the server")

    with monkeypatch.context() as patch:
        patch.setattr(run.tenant.engine, "recommend", broken)
        found = failure(lambda: run.recommendations.Search(request("bird"), timeout=10))
    assert (found.code, found.reason) == ("INTERNAL", "UNEXPECTED")
    assert "secret" not in found.message
    assert found.request_id in found.message
    logged = capsys.readouterr().out
    assert "a secret of the server" in logged
    assert found.request_id in logged
    assert run.recommendations.Search(request("bird"), timeout=10).tier
