"""`triveni serve` on a disk that is full, or read-only by now: it refuses what it cannot keep, and answers."""

import signal
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.disks import MB, break_off, leave, real_disk, small_disk
from tests.service.running import failure, item
from tests.service.test_lifecycle import _event, _ids
from tests.service.test_serve_command import port_of, serve
from triveni.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    event_pb2,
    event_pb2_grpc,
    recommendation_pb2,
    recommendation_pb2_grpc,
)


class Caller:
    """Asks a server."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
        self.events = event_pb2_grpc.EventServiceStub(channel)
        self.recommendations = recommendation_pb2_grpc.RecommendationServiceStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)

    def upsert(self, name: str) -> catalog_pb2.UpsertItemsResponse:
        request = catalog_pb2.UpsertItemsRequest(item=item(name, text=f"the bird {name}"))
        (response,) = self.catalog.UpsertItems(iter([request]), timeout=30)
        return response

    def record(self, row: int) -> int:
        request = event_pb2.RecordEventsRequest(events=[_event(row, "ann")])
        return int(self.events.RecordEvents(request, timeout=30).recorded_count)

    def reads(self) -> None:
        """All that reads works."""
        found = self.recommendations.Recommend(recommendation_pb2.RecommendRequest(user_id="ann"), timeout=30)
        assert [one.item_id for one in found.results] == ["first"]
        assert self.catalog.GetItem(catalog_pb2.GetItemRequest(item_id="first"), timeout=30).item.id == "first"
        assert _ids(self.events, "ann")[0] == "ann0"
        health = self.health.Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert health.status == health_pb2.HealthCheckResponse.SERVING


def test_a_server_whose_disk_is_full_goes_on_and_recovers_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", 200) as disk:
        monkeypatch.setenv("TRIVENI_STORE__RESERVE_MB", "32")
        monkeypatch.setenv("TRIVENI_MODELS__PATH", str(disk / "models"))
        process = serve(disk / "store", "127.0.0.1:0")
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port_of(process)}") as channel:
                caller = Caller(channel)
                assert caller.upsert("first").outcome == catalog_pb2.UPSERT_OUTCOME_STORED
                assert caller.record(0) == 1
                leave(disk, 31 * MB)  # below the reserve: items are refused, the rest goes on
                refused = caller.upsert("second")
                assert refused.outcome == catalog_pb2.UPSERT_OUTCOME_REJECTED
                assert refused.problem.status == "RESOURCE_EXHAUSTED"
                assert refused.problem.message.startswith("writing items wants 32 MB free on the disk of ")
                assert refused.problem.remedy.startswith("free space there, or lower store.reserve_mb")
                assert caller.record(1) == 1
                caller.reads()
                leave(disk, 0)
                full = failure(lambda: [caller.record(row) for row in range(2, 2000)])
                assert (full.code, full.reason) == ("RESOURCE_EXHAUSTED", "EVENT_DISK_FULL")
                assert "free space on the disk, then try again" in full.message
                delete = catalog_pb2.DeleteItemsRequest(item_ids=["first"])
                kept = failure(lambda: caller.catalog.DeleteItems(delete, timeout=30))
                assert (kept.code, kept.reason) == ("RESOURCE_EXHAUSTED", "DISK_FULL")
                caller.reads()
                leave(disk, 150 * MB)
                assert caller.upsert("second").outcome == catalog_pb2.UPSERT_OUTCOME_STORED
                assert caller.record(5000) == 1
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=30)
            assert process.returncode == 0, said
            assert "impressions dropped" not in said
        finally:
            process.kill()
            process.communicate()


def test_a_server_whose_disk_becomes_read_only_goes_on_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ext4 does when the device below it fails: files that are open for writing may be written no more."""
    with real_disk(tmp_path / "disk", 200) as disk:
        monkeypatch.setenv("TRIVENI_STORE__RESERVE_MB", "32")
        monkeypatch.setenv("TRIVENI_MODELS__PATH", str(disk / "models"))
        process = serve(disk / "store", "127.0.0.1:0")
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port_of(process)}") as channel:
                caller = Caller(channel)
                assert caller.upsert("first").outcome == catalog_pb2.UPSERT_OUTCOME_STORED
                assert caller.record(0) == 1
                break_off(disk)
                for name in ("first, but another", "second"):
                    refused = caller.upsert(name)
                    assert refused.outcome == catalog_pb2.UPSERT_OUTCOME_REJECTED
                    assert (refused.problem.status, refused.problem.reason) == ("UNAVAILABLE", "DISK")
                    assert "Read-only file system" in refused.problem.message
                delete = catalog_pb2.DeleteItemsRequest(item_ids=["first"])
                kept = failure(lambda: caller.catalog.DeleteItems(delete, timeout=30))
                assert (kept.code, kept.reason) == ("UNAVAILABLE", "DISK")
                assert failure(lambda: caller.record(1)).code in ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
                caller.reads()
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
            assert process.returncode in (0, 1), said
        finally:
            process.kill()
            process.communicate()
