"""What the server stands on goes away and comes back: it degrades or refuses, and recovers by itself."""

import gc
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy.engine import make_url

from engine.core.errors import DiskError
from engine.core.types import Event, EventKind, ItemId, UserId
from engine.events.errors import EventStoreError
from engine.events.sql import SqlEventStore
from engine.events.types import OutcomeKind, UserEvent
from engine.models.registry import Registry
from engine.store.edge import EdgeStore
from engine.store.edge_space import DiskRoom
from tests.cut import proxy
from tests.disks import MB, remount, small_disk
from tests.events.stores import NOW, click, no_postgres, store_url
from tests.models.versions import make as make_version
from tests.service.running import Running, failure, item, open_edge, running
from tests.service.test_lifecycle import _event
from tests.store.cluster import NO_BINARY, QDRANT_BINARY, cluster
from tests.store.implementations import DIMENSION, FINGERPRINT, MODALITIES, open_server, points
from tests.tiny import concept_space
from triveni.v1 import catalog_pb2, content_pb2, event_pb2, recommendation_pb2

SEARCH = recommendation_pb2.SearchRequest(
    parts=[recommendation_pb2.QueryPart(content=content_pb2.Content(text="bird"))]
)


def record(server: Running, row: int) -> int:
    request = event_pb2.RecordEventsRequest(events=[_event(row, "ann")])
    return int(server.events.RecordEvents(request, timeout=30).recorded_count)


def is_serving(server: Running) -> bool:
    health = health_pb2_grpc.HealthStub(server.channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
    return bool(health.status == health_pb2.HealthCheckResponse.SERVING)


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_database_of_events_goes_away_and_comes_back(tmp_path: Path) -> None:
    if no_postgres():
        pytest.skip(no_postgres())
    space = concept_space()
    with store_url("postgresql", tmp_path) as url:
        behind = make_url(url)
        with proxy(behind.host or "127.0.0.1", behind.port or 5432) as between:
            through = behind.set(host="127.0.0.1", port=between.port).render_as_string(hide_password=False)
            store, events = open_edge(tmp_path / "store", space), SqlEventStore(through)
            with running(space, store, events) as server:
                server.upsert([item("a", text="a bird")])
                assert record(server, 0) == 1
                asked = recommendation_pb2.RecommendRequest(user_id="ann")
                assert not server.recommendations.Recommend(asked, timeout=30).skipped
                between.cut()
                answer = server.recommendations.Recommend(asked, timeout=30)
                assert [one.item_id for one in answer.results] == ["a"]
                assert answer.skipped, "an answer from the request alone says so"
                refused = failure(lambda: record(server, 1))
                assert (refused.code, refused.reason) == ("UNAVAILABLE", "EVENT_STORE")
                assert "see that the database runs and can be reached, then try again" in refused.message
                assert refused.retry_seconds > 0
                assert is_serving(server)
                between.restore()
                assert record(server, 1) == 1
                assert not server.recommendations.Recommend(asked, timeout=30).skipped
                wait_for(lambda: events.stats().impressions == 3)  # those of the outage waited
            assert events.stats().events == 2
            events.close()
            store.close()


def test_a_disk_that_may_only_be_read_is_refused_at_the_start_and_served_later(tmp_path: Path) -> None:
    """Even the embedded store writes where it opens."""
    with small_disk(tmp_path / "disk", 200) as disk:
        fill(disk)
        gc.collect()  # the store's columns stay mapped as long as it can be reached
        remount(disk, "ro")
        with pytest.raises(DiskError, match=r"cannot write .*store: Read-only file system: .*let the folder be"):
            open_small(disk)
        with pytest.raises(EventStoreError, match="let the file and its folder be written"):
            SqlEventStore(f"sqlite:///{disk}/events.db")
        with pytest.raises(DiskError, match="Read-only file system"):
            make_version(Registry(disk / "models"), "bird")
        remount(disk, "rw")
        store, events = open_small(disk), SqlEventStore(f"sqlite:///{disk}/events.db")
        assert (store.count(), events.stats().events) == (10, 1)
        events.close()
        store.close()


def fill(disk: Path) -> None:
    """A store and a database with something in them."""
    store, events = open_small(disk), SqlEventStore(f"sqlite:///{disk}/events.db")
    store.upsert(points(10))
    events.record([click()])
    events.close()
    store.close()


def open_small(disk: Path) -> EdgeStore:
    """A store that leaves but a megabyte free."""
    return EdgeStore(
        disk / "store",
        fingerprint=FINGERPRINT,
        dimension=DIMENSION,
        modalities=MODALITIES,
        room=DiskRoom(disk, MB),
    )


def test_a_clock_that_jumps_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Deadlines, drains and pauses count seconds that only rise; what has no time of its own gets the clock's."""
    url = f"sqlite:///{tmp_path / 'events.db'}"
    for number, jump in enumerate((timedelta(), timedelta(days=300), timedelta(days=-300))):
        events = SqlEventStore(url, clock=lambda jump=jump: NOW + jump)  # type: ignore[misc]
        same = UserEvent(UserId("ann"), Event(EventKind.CLICK, ItemId("bird"), id=f"{number}"))
        assert [done.kind for done in events.record([same, same])] == [OutcomeKind.RECORDED, OutcomeKind.DUPLICATE]
        assert [done.kind for done in events.record([same])] == [OutcomeKind.DUPLICATE]
        events.close()
    events = SqlEventStore(url)
    assert [event.id for event in events.history(UserId("ann")).events] == ["1", "0", "2"]
    events.close()


@pytest.mark.skipif(not QDRANT_BINARY, reason=NO_BINARY)
def test_the_vector_store_goes_away_and_comes_back(tmp_path: Path) -> None:
    space = concept_space()
    with cluster(tmp_path, nodes=1) as (node,):
        store = open_server(node.url("grpc"), "items", space.fingerprint, space.dimension)
        events = SqlEventStore(f"sqlite:///{tmp_path / 'events.db'}")
        with running(space, store, events) as server:
            server.upsert([item("a", text="a bird")])
            assert server.recommendations.Search(SEARCH, timeout=30).results[0].item_id == "a"
            node.kill()
            refused = failure(lambda: server.recommendations.Search(SEARCH, timeout=30))
            assert (refused.code, refused.reason) == ("UNAVAILABLE", "STORE")
            assert refused.retry_seconds > 0
            (result,) = server.upsert([item("b", text="a bell")])
            assert result.outcome == catalog_pb2.UPSERT_OUTCOME_REJECTED
            assert result.problem.status == "UNAVAILABLE"
            assert record(server, 0) == 1, "events do not need it"
            assert is_serving(server)
            node.start()
            assert server.recommendations.Search(SEARCH, timeout=30).results[0].item_id == "a"
            (result,) = server.upsert([item("b", text="a bell")])
            assert result.outcome == catalog_pb2.UPSERT_OUTCOME_STORED
        events.close()
        store.close()
