"""A stream that lives longer than its credential ends; what came before that is kept."""

import time
from collections.abc import Callable, Iterator
from itertools import repeat

import grpc
import pytest

from engine.core.types import ItemId
from engine.service.access.caller import EVERY_SCOPE, Scope
from tests.service.access.secured import Secured
from tests.service.running import item, unpack
from triveni.v1 import admin_pb2, admin_pb2_grpc, catalog_pb2, event_pb2


def revoked(server: Secured) -> tuple[tuple[str, str], Callable[[], object]]:
    key = server.key(Scope.WRITE, Scope.ADMIN)
    return ("x-api-key", key), lambda: server.keys.revoke(key.split("_")[1])


def expired(server: Secured) -> tuple[tuple[str, str], Callable[[], object]]:
    token = server.issuer.token(seconds=2, scope=" ".join(EVERY_SCOPE), exp=(until := time.time() + 2))
    return ("authorization", f"Bearer {token}"), lambda: time.sleep(max(0.0, until - time.time()) + 0.05)


@pytest.mark.parametrize("how", [revoked, expired])
def test_of_items(server: Secured, how: Callable[..., tuple[tuple[str, str], Callable[[], object]]]) -> None:
    credential, end = how(server)
    answered, audited = list[str](), len(server.audited())

    def requests() -> Iterator[catalog_pb2.UpsertItemsRequest]:
        yield catalog_pb2.UpsertItemsRequest(item=item("before", text="a bird"))
        while not answered:
            time.sleep(0.01)
        end()
        yield catalog_pb2.UpsertItemsRequest(item=item("after", text="a bird"))

    with pytest.raises(grpc.RpcError) as refused:
        for answer in server.run.catalog.UpsertItems(requests(), timeout=30, metadata=(credential,)):
            answered += [answer.item_id]
    assert (unpack(refused.value).code, answered) == ("UNAUTHENTICATED", ["before"])
    before, after = server.run.store.retrieve([ItemId("before"), ItemId("after")])
    assert before is not None and after is None
    server.run.store.delete([ItemId("before")])
    while len(lines := server.audited()) == audited:  # gRPC tells of the end of a call after its answer
        time.sleep(0.01)
    assert (lines[-1]["method"].rpartition("/")[2], lines[-1]["code"]) == ("UpsertItems", "UNAUTHENTICATED")
    assert lines[-1]["why"]


def test_of_events(server: Secured) -> None:
    credential, end = revoked(server)

    def sent(name: str) -> event_pb2.StreamEventsRequest:
        event = event_pb2.Event(id=name, kind=event_pb2.EVENT_KIND_SEARCH, content={"text": "a bird"})
        return event_pb2.StreamEventsRequest(event=event_pb2.UserEvent(user_id="streams", event=event))

    def requests() -> Iterator[event_pb2.StreamEventsRequest]:
        yield sent("before")
        until = time.monotonic() + 20
        while not server.run.event_store.history("streams", limit=9).events:  # type: ignore[arg-type]
            assert time.monotonic() < until
            time.sleep(0.01)
        end()
        yield sent("after")

    with pytest.raises(grpc.RpcError) as refused:
        server.run.events.StreamEvents(requests(), timeout=30, metadata=(credential,))
    assert unpack(refused.value).code == "UNAUTHENTICATED"
    (kept,) = server.run.event_store.history("streams", limit=9).events  # type: ignore[arg-type]
    assert kept.id == "before"


def test_of_answers(server: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    servicer = server.run.server.services[""].servicers["triveni.v1.AdminService"]
    monkeypatch.setattr(servicer, "_backup", lambda: repeat(bytes(1 << 20), 100))
    credential, end = revoked(server)
    answers = admin_pb2_grpc.AdminServiceStub(server.run.channel).Backup(
        admin_pb2.BackupRequest(), timeout=30, metadata=(credential,)
    )
    next(answers)
    end()
    with pytest.raises(grpc.RpcError) as refused:
        assert sum(1 for _ in answers) < 99
    assert unpack(refused.value).code == "UNAUTHENTICATED"
