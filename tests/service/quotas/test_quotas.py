"""Quotas over real gRPC and HTTP: what is refused says when to come again, and streams are read no faster."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine.http.server import HttpServer
from engine.http.settings import HttpSettings
from engine.service.metrics import Metrics
from engine.service.quotas.buckets import Draw, LocalBuckets
from engine.service.quotas.quotas import Quota, Quotas, carries_contents
from engine.service.services import ADD_TO_SERVER
from tests.service.running import Running, failure, item, open_edge, open_events, running
from tests.tiny import concept_png, concept_space, concept_text
from triveni.v1 import catalog_pb2, content_pb2, encoder_pb2, event_pb2, recommendation_pb2

SLOW = 1e-3
"""Units per second: nothing comes back while a test runs."""


class Watched(LocalBuckets):
    """Notes what was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    async def take(self, draws: Sequence[Draw]) -> float:
        wait = await super().take(draws)
        self.waits.append(wait)
        return wait


@contextmanager
def served(folder: Path, quota: Quota, buckets: LocalBuckets | None = None) -> Iterator[tuple[Running, str, Metrics]]:
    """A server with a quota, its HTTP door, and its metrics."""
    space, metrics = concept_space(), Metrics()
    store = open_edge(folder / "items", space)
    events = open_events(folder)
    door = HttpServer(HttpSettings(address="127.0.0.1:0"), max_message_bytes=1 << 20)
    with running(space, store, events, doors=[door], metrics=metrics, quotas=Quotas({"": quota}, buckets)) as run:
        yield run, f"http://127.0.0.1:{door.port}", metrics
    events.close()
    store.close()


def test_calls_beyond_the_quota_are_refused_over_grpc_and_http(tmp_path: Path) -> None:
    with served(tmp_path, Quota(calls_per_second=SLOW, burst_seconds=3 / SLOW)) as (run, url, metrics):
        run.catalog.ListItems(catalog_pb2.ListItemsRequest(), timeout=30)
        assert httpx.get(f"{url}/v1/items", timeout=30).status_code == 200
        with pytest.raises(Exception, match="no item"):
            run.catalog.GetItem(catalog_pb2.GetItemRequest(item_id="none"), timeout=30)
        refused = failure(lambda: run.catalog.ListItems(catalog_pb2.ListItemsRequest(), timeout=30))
        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "QUOTA")
        assert refused.message.startswith("the quota of 0.001 calls per second is used up: try again in ")
        assert 0.9 / SLOW < refused.retry_seconds <= 1 / SLOW
        stream = failure(lambda: list(run.catalog.UpsertItems(iter([]), timeout=30)))
        assert (stream.code, stream.reason) == ("RESOURCE_EXHAUSTED", "QUOTA")
        over_http = httpx.get(f"{url}/v1/items", timeout=30)
        said = over_http.json()
        assert (over_http.status_code, said["reason"]) == (429, "QUOTA")
        assert 0.9 / SLOW < int(over_http.headers["retry-after"]) <= 1 / SLOW
        assert metrics.registry.get_sample_value("triveni_quota_refused_total", {"tenant": ""}) == 3
        health = health_pb2_grpc.HealthStub(run.channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert health.status == health_pb2.HealthCheckResponse.SERVING, "health is no call of a tenant"


def test_bytes_count_where_messages_carry_contents(tmp_path: Path) -> None:
    picture = content_pb2.Content(image=concept_png("bird", size=256))
    size = encoder_pb2.EncodeRequest(contents=[picture]).ByteSize()
    with served(tmp_path, Quota(encoded_bytes_per_second=1.0, burst_seconds=600)) as (run, _, _):
        assert size > 600, "more than is held: it goes ahead, and the rest is owed"
        run.encoder.Encode(encoder_pb2.EncodeRequest(contents=[picture]), timeout=30)
        part = recommendation_pb2.QueryPart(content=content_pb2.Content(text="a bird"))
        refused = failure(
            lambda: run.recommendations.Search(recommendation_pb2.SearchRequest(parts=[part]), timeout=30)
        )
        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "QUOTA")
        assert size - 600 - 60 < refused.retry_seconds <= size - 600 + 1
        assert "1 bytes of contents per second" in refused.message
        run.catalog.ListItems(catalog_pb2.ListItemsRequest(), timeout=30)


def test_a_stream_waits_where_a_call_would_be_refused_and_leaves_calls_their_half(tmp_path: Path) -> None:
    buckets = Watched()
    with served(tmp_path, Quota(calls_per_second=100.0, burst_seconds=0.08), buckets) as (run, _, _):
        results = run.upsert([item(f"bird/{row}", text=concept_text("bird", row).text) for row in range(12)])
        assert [result.outcome for result in results] == [catalog_pb2.UPSERT_OUTCOME_STORED] * 12
        assert any(buckets.waits), "8 are held: it had to wait"
        assert run.catalog.ListItems(catalog_pb2.ListItemsRequest(), timeout=30).items
        events = [
            event_pb2.UserEvent(user_id="ann", event={"kind": "EVENT_KIND_LIKE", "item_id": f"bird/{row}"})
            for row in range(9)
        ]
        requests = (event_pb2.StreamEventsRequest(event=event) for event in events)
        assert run.events.StreamEvents(requests, timeout=30).recorded_count == 9


def test_what_carries_contents_is_read_off_the_wire_contract() -> None:
    methods = [
        f"/{service}/{method.name}"
        for service in ADD_TO_SERVER
        for method in descriptor_pool.Default().FindServiceByName(service).methods
    ]
    assert {name.rpartition("/")[2] for name in methods if carries_contents(name)} == {
        "Recommend", "Search", "UpsertItems", "Encode", "RecordEvents", "StreamEvents",
    }  # fmt: skip
