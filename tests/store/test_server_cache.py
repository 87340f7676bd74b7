"""Vectors that a process has read from a server: fetched once, and never old."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qdrant_client import QdrantClient, models

from encoders.types import Floats, Modality
from engine.core.types import ItemId
from engine.store.base import point_id
from engine.store.server import ServerStore
from engine.store.server_cache import Columns, VectorCache, address_of
from engine.store.server_client import Node, ServerClient
from engine.store.server_points import ClientPoints, FetchedPoints
from tests.store.implementations import (
    DIMENSION,
    FINGERPRINT,
    MODALITIES,
    assert_same_points,
    point,
    points,
    unit_vectors,
)

pytestmark = pytest.mark.filterwarnings("ignore:Local mode", "ignore:Payload indexes have no effect")

WIDTH = 2


class CountedPoints(ClientPoints):
    """Counts the points whose vectors are fetched."""

    fetched = 0

    def get(
        self, collection: str, keys: Sequence[str], *, payload: bool | Sequence[str], vectors: Sequence[str]
    ) -> FetchedPoints:
        self.fetched += len(keys) if vectors else 0
        return super().get(collection, keys, payload=payload, vectors=vectors)


def open_two(cache_bytes: int = 1 << 20) -> tuple[ServerStore, ServerStore, CountedPoints]:
    """Two stores over one collection, as two processes have them, and what the first one fetches."""
    qdrant = QdrantClient(":memory:")
    counted = CountedPoints(qdrant)

    def opened(reads: ClientPoints) -> ServerStore:
        client = ServerClient([Node(":memory:", qdrant, reads)])
        return ServerStore(
            client,
            "items",
            fingerprint=FINGERPRINT,
            dimension=DIMENSION,
            modalities=MODALITIES,
            cache_bytes=cache_bytes,
        )

    return opened(counted), opened(ClientPoints(qdrant)), counted


def test_vectors_come_once_and_what_another_process_changed_is_seen() -> None:
    ours, theirs, counted = open_two()
    first = points(9)
    ids = [one.id for one in first]
    theirs.upsert(first)
    for with_payload in (False, True, False):
        found = ours.candidates(ids, with_payload=with_payload)
        assert_same_points(dict(zip(ids, first, strict=True)), {one.id: one for one in ours.retrieve(ids) if one})
        assert found.payloads[3] == (first[3].payload if with_payload else {})
    assert counted.fetched == 9
    assert ours.caches() == {"vectors": (45, 9)}

    changed = point("item 3", 99, [Modality.AUDIO], {"colour": "black"})
    theirs.upsert([changed, point("new", 98)])
    theirs.delete([ids[5]])
    found = ours.candidates([*ids, ItemId("new")])
    assert counted.fetched == 11
    assert found.ids == (*ids[:5], *ids[6:], "new")
    assert found.payloads[3] == {"colour": "black"}
    assert [bool(found.present[modality][3]) for modality in MODALITIES] == [False, False, True]
    np.testing.assert_allclose(found.vectors[Modality.AUDIO][3], changed.vectors[Modality.AUDIO], atol=1e-6)
    assert not found.vectors[Modality.TEXT][3].any()

    theirs.upsert([point("item 3", 99, [Modality.AUDIO], {"colour": "white"})])  # the same vectors
    assert ours.candidates(ids).payloads[3] == {"colour": "white"}
    assert counted.fetched == 11


def test_what_is_read_once_or_does_not_fit_is_not_kept() -> None:
    ours, theirs, counted = open_two()
    theirs.upsert(points(9))
    ids = [one.id for one in points(9)]
    for _ in range(2):
        assert None not in ours.retrieve(ids, once=True)
    assert counted.fetched == 18
    small, theirs, counted = open_two(cache_bytes=0)
    theirs.upsert(points(9))
    for _ in range(2):
        assert len(small.candidates(ids)) == 9
    assert counted.fetched == 18


def test_points_without_an_address_are_read_each_time() -> None:
    ours, _, counted = open_two()
    named: Any = {"text": unit_vectors(1, 1)[0].tolist()}
    record = models.PointStruct(id=point_id(ItemId("old")), vector=named, payload={"_id": "old", "n": 1})
    ours._collection.call(lambda qdrant: qdrant.upsert("items", [record]))
    for _ in range(2):
        found = ours.candidates([ItemId("old")])
        assert (found.payloads, bool(found.present[Modality.TEXT][0])) == (({"n": 1},), True)
    assert counted.fetched == 2


def test_addresses_tell_vectors_and_modalities_apart() -> None:
    one, other = unit_vectors(1, 2)
    addresses = [
        address_of(vectors)
        for vectors in ({"text": one}, {"text": other}, {"image": one}, {"text": one, "image": other})
    ]
    assert len(set(addresses)) == 4
    assert address_of({"image": other, "text": one}) == addresses[3]


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=5), max_size=12), st.integers(0, 5))
def test_the_cache_gives_what_was_kept_and_holds_no_more_than_fits(turns: list[list[int]], capacity: int) -> None:
    cache = VectorCache((Modality.TEXT,), WIDTH, capacity * 4 * WIDTH)
    kept: list[int] = []
    for turn in turns:
        into = columns(np.zeros((len(turn), WIDTH), np.float32), np.zeros(len(turn), np.bool_))
        missing = cache.read([str(number) for number in turn], into, {})
        held = kept[-capacity:] if capacity else []
        assert missing == [row for row, number in enumerate(turn) if number not in held]
        for row, number in enumerate(turn):
            if row not in missing:
                assert into[Modality.TEXT][0][row].tolist() == [number, number]
                assert into[Modality.TEXT][1][row] == (number % 2 == 0)
        values = np.repeat(np.array(turn, np.float32)[:, None], WIDTH, 1)
        cache.keep([str(turn[row]) for row in missing], missing, columns(values, np.array(turn) % 2 == 0), {})
        for row in missing:
            held = kept[-capacity:] if capacity else []
            if turn[row] not in held:
                kept.append(turn[row])


def columns(matrix: Floats, present: Any) -> Columns:
    return {Modality.TEXT: (matrix, present)}
