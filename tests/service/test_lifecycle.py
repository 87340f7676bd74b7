"""Starting, stopping and dying, in a process of its own."""

import asyncio
import itertools
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine.core.errors import SettingsError
from engine.service.lifecycle import serve_until_signal
from engine.service.server import READY, Server, ServerOptions
from tests.service.running import Running, failure, item, open_events
from triveni.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    content_pb2,
    event_pb2,
    event_pb2_grpc,
    recommendation_pb2,
    recommendation_pb2_grpc,
)

ROOT = Path(__file__).parents[2]
HOLD = recommendation_pb2.SearchRequest(
    parts=[recommendation_pb2.QueryPart(content=content_pb2.Content(text="hold"))]
)


@dataclass
class Child:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    channel: grpc.Channel
    folder: Path

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def end(self) -> tuple[int, list[dict[str, object]]]:
        """Wait for its end: exit code and log lines."""
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, [json.loads(line) for line in errors.splitlines() if line.startswith("{")]


@contextmanager
def child(folder: Path, drain_seconds: float = 20) -> Iterator[Child]:
    command = [sys.executable, "-m", "tests.service.serve_tiny", str(folder), str(drain_seconds)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        port = process.stdout.readline().strip()
        assert port, process.stderr.read() if process.stderr else ""
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Child(process, channel, folder)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def held_call(server: Child) -> Iterator[grpc.Future]:
    """A call that runs in the server until the file `go` is there."""
    call = recommendation_pb2_grpc.RecommendationServiceStub(server.channel).Search.future(HOLD, timeout=60)
    assert server.line() == "holding"
    yield call
    call.cancel()


def test_sigterm_lets_running_calls_end_and_refuses_new_ones(tmp_path: Path) -> None:
    with child(tmp_path) as server, held_call(server) as call:
        health = health_pb2_grpc.HealthStub(server.channel)
        watches = [health.Watch(health_pb2.HealthCheckRequest(service=name), timeout=60) for name in READY]
        assert [next(states).status for states in watches] == [health_pb2.HealthCheckResponse.SERVING] * len(READY)
        unknown = health.Watch(health_pb2.HealthCheckRequest(service="triveni.v1.NoService"), timeout=60)
        assert next(unknown).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        server.process.send_signal(signal.SIGTERM)
        ended = [next(states).status for states in watches]
        assert ended == [health_pb2.HealthCheckResponse.NOT_SERVING] * len(READY)
        with grpc.insecure_channel(server.channel._channel.target().decode()) as other:  # type: ignore[attr-defined]
            late = recommendation_pb2_grpc.RecommendationServiceStub(other)
            refused = failure(lambda: late.Search(HOLD, timeout=10))
            assert (refused.code, refused.reason) == ("UNAVAILABLE", "NOT_READY"), refused
            assert refused.retry_seconds > 0
        assert not call.done()
        (tmp_path / "go").touch()
        assert call.result(timeout=20).tier
        code, logs = server.end()
        assert code == 0
        events = [line["event"] for line in logs]
        assert events[-1] == "stopped"
        assert {"ready", "signal", "draining"} <= set(events)
        line = next(line for line in logs if line["event"] == "call" and "tier" in line)
        assert (line["code"], line["method"]) == ("OK", "/triveni.v1.RecommendationService/Search")
        assert line["request_id"]
        assert float(str(line["ms"])) > 0


def test_calls_that_outlast_the_drain_are_cancelled(tmp_path: Path) -> None:
    with child(tmp_path, drain_seconds=0.2) as server, held_call(server) as call:
        server.process.send_signal(signal.SIGINT)
        cut = failure(lambda: call.result(timeout=20))
        assert (cut.code, cut.reason) == ("UNAVAILABLE", "NOT_READY")
        assert "the server stopped before the call was done: send again what was not answered" in cut.message
        assert server.end()[0] == 0


def test_streams_that_outlast_the_drain_keep_what_was_answered_and_say_so(tmp_path: Path) -> None:
    """Who sends for ever is told that the server stops; items that were answered are there, and events that came."""
    rows = itertools.count()

    def items() -> Iterator[catalog_pb2.UpsertItemsRequest]:
        while True:
            row = next(rows)
            yield catalog_pb2.UpsertItemsRequest(item=item(f"i{row}", text=f"thing {row}"))

    def events() -> Iterator[event_pb2.StreamEventsRequest]:
        for row in itertools.count():
            yield event_pb2.StreamEventsRequest(event=_event(row, "ann"))
            time.sleep(0.001)

    answered: list[str] = []
    with child(tmp_path, drain_seconds=0.3) as server:
        upserting = catalog_pb2_grpc.CatalogServiceStub(server.channel).UpsertItems(items(), timeout=60)
        recording = event_pb2_grpc.EventServiceStub(server.channel).StreamEvents.future(events(), timeout=60)
        answered += (next(upserting).item_id for _ in range(50))
        server.process.send_signal(signal.SIGTERM)
        cut = failure(lambda: answered.extend(response.item_id for response in upserting))
        assert (cut.code, cut.reason) == ("UNAVAILABLE", "NOT_READY")
        cut = failure(lambda: recording.result(timeout=20))
        assert (cut.code, cut.reason) == ("UNAVAILABLE", "NOT_READY")
        assert server.end()[0] == 0
    with child(tmp_path) as server:
        assert set(answered) <= _items(catalog_pb2_grpc.CatalogServiceStub(server.channel))
        there = _ids(event_pb2_grpc.EventServiceStub(server.channel), "ann")
        assert there == [f"ann{row}" for row in range(len(there))]


def _items(catalog: catalog_pb2_grpc.CatalogServiceStub) -> set[str]:
    """The ids of all items."""
    found: set[str] = set()
    token = ""
    while True:
        page = catalog.ListItems(catalog_pb2.ListItemsRequest(page_size=1000, page_token=token), timeout=20)
        found |= {one.id for one in page.items}
        token = page.next_page_token
        if not token:
            return found


def test_a_second_signal_exits_at_once(tmp_path: Path) -> None:
    with child(tmp_path) as server, held_call(server):
        health = health_pb2_grpc.HealthStub(server.channel)
        states = health.Watch(health_pb2.HealthCheckRequest(), timeout=60)
        next(states)
        server.process.send_signal(signal.SIGTERM)
        assert next(states).status == health_pb2.HealthCheckResponse.NOT_SERVING
        server.process.send_signal(signal.SIGTERM)
        assert server.end()[0] == 128 + signal.SIGTERM


def test_acknowledged_items_survive_kill_9(tmp_path: Path) -> None:
    with child(tmp_path) as server:
        catalog = catalog_pb2_grpc.CatalogServiceStub(server.channel)

        def endless() -> Iterator[catalog_pb2.UpsertItemsRequest]:
            row = 0
            while True:
                yield catalog_pb2.UpsertItemsRequest(item=item(f"i{row}", text=f"thing {row}", row=row))
                row += 1

        acknowledged = []
        for response in catalog.UpsertItems(endless(), timeout=60):
            assert response.outcome == catalog_pb2.UPSERT_OUTCOME_STORED
            acknowledged.append(response.item_id)
            if len(acknowledged) == 150:
                server.process.kill()
                break
        server.process.wait()
    with child(tmp_path) as server:
        catalog = catalog_pb2_grpc.CatalogServiceStub(server.channel)
        listed = catalog.ListItems(catalog_pb2.ListItemsRequest(page_size=1000, include_vectors=True), timeout=20)
        found = {one.id: one for one in listed.items}
        assert set(acknowledged) <= set(found)
        for row, item_id in enumerate(acknowledged):
            assert found[item_id].payload["row"] == row
            assert len(found[item_id].vectors) == 1
        server.process.send_signal(signal.SIGTERM)
        assert server.end()[0] == 0


def test_acknowledged_events_survive_kill_9(tmp_path: Path) -> None:
    """Also while a stream comes in: of that, which nobody acknowledged, the beginning is there."""
    sent = 0

    def endless() -> Iterator[event_pb2.StreamEventsRequest]:
        nonlocal sent
        while True:
            yield event_pb2.StreamEventsRequest(event=_event(sent, "bob"))
            sent += 1

    with child(tmp_path) as server:
        events = event_pb2_grpc.EventServiceStub(server.channel)
        stream = events.StreamEvents.future(endless(), timeout=60)
        for row in range(20):
            one = event_pb2.RecordEventsRequest(events=[_event(row, "ann")])
            assert events.RecordEvents(one, timeout=20).recorded_count == 1
        server.process.kill()
        server.process.wait()
        assert stream.exception(timeout=20)
    with child(tmp_path) as server:
        events = event_pb2_grpc.EventServiceStub(server.channel)
        assert _ids(events, "ann") == [f"ann{row}" for row in range(20)]
        there = _ids(events, "bob")
        assert 0 < len(there) <= sent
        assert there == [f"bob{row}" for row in range(len(there))]


def _event(row: int, user: str) -> event_pb2.UserEvent:
    search = event_pb2.Event(
        kind="EVENT_KIND_SEARCH",
        content=content_pb2.Content(text=f"thing {row}"),
        id=f"{user}{row}",
        time=Timestamp(seconds=1_700_000_000 + row),
    )
    return event_pb2.UserEvent(user_id=user, event=search)


def _ids(events: event_pb2_grpc.EventServiceStub, user: str) -> list[str]:
    """Of all events of a person, oldest first."""
    found: list[str] = []
    token = ""
    while True:
        request = event_pb2.GetHistoryRequest(user_id=user, page_size=1000, page_token=token)
        page = events.GetHistory(request, timeout=20)
        found += [one.id for one in page.events]
        token = page.next_page_token
        if not token:
            return found[::-1]


def test_served_lists_that_wait_are_written_at_the_end(tmp_path: Path) -> None:
    with child(tmp_path) as server:
        stub = recommendation_pb2_grpc.RecommendationServiceStub(server.channel)
        request = recommendation_pb2.RecommendRequest(user_id="ann")
        with sqlite3.connect(tmp_path / "events.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")  # nobody else can write
            names = {stub.Recommend(request, timeout=20).request_id for _ in range(30)}
            assert other.execute("SELECT count(*) FROM triveni_impressions").fetchone() == (0,)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            other.execute("COMMIT")
        other.close()
        assert server.end()[0] == 0
    with closing(open_events(tmp_path)) as store:
        assert {served.impression.request_id for served in store.impressions()} == names


def test_an_address_in_use_is_said(server: Running) -> None:
    other = Server({"": server.tenant}, server.space, ServerOptions(address=server.address))
    with pytest.raises(SettingsError, match=rf"cannot listen on {server.address}: choose another service.address"):
        asyncio.run(serve_until_signal(other))
