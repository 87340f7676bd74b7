"""What a cluster of three nodes adds: changes that are late on some of them, and nodes that are lost."""

import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from encoders.types import Modality
from engine.core.errors import StoreError
from engine.core.filters import FieldKind, Match
from engine.core.types import ItemId
from engine.store.base import VectorQuery
from engine.store.layout import Layout
from engine.store.server import ServerStore
from engine.store.server_client import connect
from tests.store.cluster import NO_BINARY, QDRANT_BINARY, ClusterNode, cluster
from tests.store.implementations import DIMENSION, FINGERPRINT, MODALITIES, everything, point, points, unit_vectors

pytestmark = pytest.mark.skipif(not QDRANT_BINARY, reason=NO_BINARY)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ClusterNode]]:
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


def open_at(
    nodes: Sequence[ClusterNode], name: str, scheme: str = "grpc", layout: Layout | None = None, timeout: float = 30
) -> ServerStore:
    client = connect(",".join(node.url(scheme) for node in nodes), timeout_seconds=timeout)
    store = ServerStore(
        client, name, fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES, layout=layout
    )
    client.close()
    return store


@pytest.mark.parametrize("scheme", ["grpc", "http"])
@pytest.mark.parametrize("addresses", [1, 3])
def test_what_was_changed_shows_at_every_address_at_once(
    nodes: list[ClusterNode], addresses: int, scheme: str
) -> None:
    """Also where that node asks another one, because it keeps no part of the collection."""
    for turn in range(6):
        name = f"changes-{scheme}-{addresses}-{turn}"
        store = open_at(nodes[:addresses], name, scheme, Layout(shards=1 + turn % 3, replicas=1))
        others = [open_at([node], name, scheme) for node in nodes[:addresses]]
        store.upsert(points(6))
        for number in range(3):
            store.index_fields({f"field-{number}": FieldKind.KEYWORD, "stock": FieldKind.INTEGER})
            for node in nodes[:addresses]:
                fresh = open_at([node], name, scheme)
                assert fresh.schema == store.schema
                fresh.close()
            store.add_vector(f"taste-{number}", 3)
            for other in others:
                assert other.count(Match(f"field-{number}", "x")) == 0
                assert [one.id for one in other.scroll(order_by="stock", limit=1).points] == ["item 5"]
                assert f"taste-{number}" in other.vectors
            store.drop_vector(f"taste-{number}")
            assert not any(other.vectors for other in others)
        for one in (store, *others):
            one.close()


def test_a_collection_lies_as_it_was_told(nodes: list[ClusterNode]) -> None:
    store = open_at(nodes, "layout", layout=Layout(shards=4, replicas=2, write_consistency=2))
    client = connect(nodes[0].url("grpc"))
    params = client.call(lambda qdrant: qdrant.get_collection("layout")).config.params
    assert (params.shard_number, params.replication_factor, params.write_consistency_factor) == (4, 2, 2)
    store.close()
    client.close()


@pytest.mark.parametrize("scheme", ["grpc", "http"])
@pytest.mark.parametrize("lost", ["own", "other"])
def test_no_call_fails_when_a_node_dies(nodes: list[ClusterNode], lost: str, scheme: str) -> None:
    """Two threads read and one writes while a node is killed, and while it comes back."""
    name = f"load-{lost}-{scheme}"
    store = open_at(nodes, name, scheme, Layout(replicas=2))
    count = 60
    names = [ItemId(f"item {number}") for number in range(count)]
    store.upsert(points(count))
    dead = nodes[0] if lost == "own" else nodes[2]
    errors: list[Exception] = []
    done = threading.Event()
    calls = {"candidates": 0, "queries": 0, "writes": 0}
    written: dict[str, int] = {}

    def forever(what: str) -> None:
        try:
            while not done.is_set():
                number = calls[what]
                if what == "candidates":
                    assert len(store.candidates(names)) == count
                elif what == "queries":
                    assert len(store.query([VectorQuery(unit_vectors(number, 1)[0], Modality.TEXT, 5)])[0].ids) == 5
                    assert store.count() >= count
                else:
                    store.upsert([point(f"new {number}", number), point(names[0], number)])
                    written[f"new {number}"] = number
                calls[what] += 1
        except Exception as error:  # noqa: BLE001
            errors.append(error)
            done.set()

    threads = [threading.Thread(target=forever, args=(what,)) for what in calls]
    for thread in threads:
        thread.start()
    marks = []
    try:
        wait(done, calls)
        dead.kill()
        marks.append(dict(calls))
        wait(done, calls)
        dead.start()
        marks.append(dict(calls))
        wait(done, calls)
    finally:
        done.set()
        for thread in threads:
            thread.join()
        if not dead.running:
            dead.start()
    assert not errors, errors[0]
    assert all(calls[what] > marks[1][what] > marks[0][what] > 0 for what in calls)
    there = everything(store)
    assert there.keys() == {*names, *written}
    for item, seed in written.items():
        for modality, vector in point(item, seed).vectors.items():
            np.testing.assert_allclose(there[ItemId(item)].vectors[modality], vector, atol=1e-6)
    store.close()


def wait(done: threading.Event, calls: dict[str, int]) -> None:
    """Until every thread has made five more calls, or one has failed."""
    goals = {what: number + 5 for what, number in calls.items()}
    until = time.monotonic() + 90
    while any(calls[what] < goal for what, goal in goals.items()) and not done.is_set():
        assert time.monotonic() < until, f"no progress: {calls}"
        time.sleep(0.05)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_node_that_falls_silent_leaves_the_call_to_another(nodes: list[ClusterNode], scheme: str) -> None:
    store = open_at(nodes, f"silent-{scheme}", scheme, Layout(replicas=2), timeout=24)
    store.upsert(points(20))
    nodes[0].silence(True)
    try:
        assert store.count() == 20
        assert len(store.candidates([ItemId(f"item {number}") for number in range(20)])) == 20
    finally:
        nodes[0].silence(False)
    store.close()


def test_a_lost_part_is_told_from_a_server_that_does_not_answer(nodes: list[ClusterNode]) -> None:
    for scheme in ("grpc", "http"):
        store = open_at(nodes[:1], f"single-{scheme}", scheme, Layout(shards=3, replicas=1), timeout=3)
        store.upsert(points(30))
        nodes[1].kill()
        try:
            with pytest.raises(StoreError, match=r"answers, but a part of the collection .*store\.replicas"):
                store.count()
            with pytest.raises(StoreError, match="answers, but a part of the collection"):
                store.candidates([ItemId(f"item {number}") for number in range(30)])
        finally:
            nodes[1].start()
        store.close()
