"""The stores under test, and random data for them."""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from encoders.types import Floats, Modality
from engine.core.filters import FieldKind, Schema
from engine.core.types import ItemId, Payload
from engine.store.base import Hits, Point, VectorStore
from engine.store.words import WordVector, word_number, words

if TYPE_CHECKING:
    from engine.store.server_client import ServerClient

DIMENSION = 8
MODALITIES = tuple(Modality)
FINGERPRINT = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2
SCHEMA: Schema = {
    "colour": FieldKind.KEYWORD,
    "stock": FieldKind.INTEGER,
    "price": FieldKind.FLOAT,
    "sold": FieldKind.BOOL,
    "made": FieldKind.DATETIME,
    "place": FieldKind.GEO,
    "size.width": FieldKind.FLOAT,
}
STORES = ("memory", "edge", "local", "server")
QDRANT_URL = os.environ.get("QDRANT_URL", "")
"""Of a live server; with commas between, of nodes of one cluster."""
QDRANT_API_KEY = os.environ.get("QDRANT_API_KEY", "")
SESSION = f"test-{uuid.uuid4().hex[:8]}-"
"""Begins the names of the collections that this session's tests make on the live server."""
NO_SERVER = "set QDRANT_URL to run the contract on a live Qdrant server"


def words_asked(text: str) -> WordVector:
    """Each word of a text, once."""
    numbers = sorted({*map(word_number, words(text))})
    return WordVector(numbers, [1.0] * len(numbers))


def open_memory(fingerprint: str = FINGERPRINT, dimension: int = DIMENSION) -> VectorStore:
    from engine.store.memory import MemoryStore

    return MemoryStore(fingerprint=fingerprint, dimension=dimension, modalities=MODALITIES)


def open_edge(folder: Path, fingerprint: str = FINGERPRINT, dimension: int = DIMENSION) -> VectorStore:
    from engine.store.edge import EdgeStore

    return EdgeStore(folder, fingerprint=fingerprint, dimension=dimension, modalities=MODALITIES)


def open_server(url: str, name: str, fingerprint: str = FINGERPRINT, dimension: int = DIMENSION) -> VectorStore:
    from engine.store.server import ServerStore
    from engine.store.server_client import connect

    client = connect(url, api_key=QDRANT_API_KEY)
    store = ServerStore(client, name, fingerprint=fingerprint, dimension=dimension, modalities=MODALITIES)
    client.close()
    return store


def open_store(kind: str, folder: Path, fingerprint: str = FINGERPRINT, dimension: int = DIMENSION) -> VectorStore:
    """A new, empty store; the same folder opens the same one again, where it is kept at all."""
    match kind:
        case "memory":
            return open_memory(fingerprint, dimension)
        case "edge":
            return open_edge(folder / "edge", fingerprint, dimension)
        case "local":
            return open_server(f"file://{folder / 'local'}", "items", fingerprint, dimension)
        case _:
            return open_server(QDRANT_URL, _name(folder), fingerprint, dimension)


def _name(folder: Path) -> str:
    return f"{SESSION}{uuid.uuid5(uuid.NAMESPACE_URL, str(folder)).hex}"


def drop(kind: str, folder: Path) -> None:
    """Remove what a test left on a live server, if it left something."""
    if kind == "server":
        remove([_name(folder)])


def remove(names: Sequence[str]) -> None:
    """Remove collections, with their aliases, from the live server."""
    with live() as client:
        for name in names:
            client.call(lambda qdrant, name=name: qdrant.delete_collection(name))


def collections_there() -> set[str]:
    """The collections that are on the live server."""
    with live() as client:
        return {one.name for one in client.call(lambda qdrant: qdrant.get_collections()).collections}


@contextmanager
def live() -> Iterator["ServerClient"]:
    """A connection to the live server."""
    from engine.store.server_client import connect

    client = connect(QDRANT_URL, api_key=QDRANT_API_KEY)
    try:
        yield client
    finally:
        client.close()


def unit_vectors(seed: int, count: int, dimension: int = DIMENSION) -> Floats:
    vectors = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def point(name: str, seed: int, modalities: Sequence[Modality] = MODALITIES, payload: Payload | None = None) -> Point:
    vectors = unit_vectors(seed, len(modalities))
    return Point(ItemId(name), dict(zip(modalities, vectors, strict=True)), payload or {})


def points(count: int, seed: int = 0) -> list[Point]:
    """Points of which some lack a modality, with payloads of every kind."""
    made = []
    for number in range(count):
        have = [m for bit, m in enumerate(MODALITIES) if number % 4 == 0 or (number % 7 + 1) & (1 << bit)]
        payload: Payload = {
            "colour": ["red", "green", "blue"][number % 3],
            "stock": number,
            "price": number / 4,
            "sold": number % 2 == 0,
            "made": f"2024-{number % 12 + 1:02d}-01T00:00:00Z",
            "place": {"lat": float(number % 90), "lon": float(number % 180)},
            "size": {"width": float(number)},
            "tags": ["a", {"b": None}],
        }
        made.append(point(f"item {number}", 1000 * seed + number, have, payload))
    return made


def everything(store: VectorStore, limit: int = 100) -> dict[ItemId, Point]:
    """All points of a store, by scrolling."""
    found: dict[ItemId, Point] = {}
    cursor: str | None = None
    while True:
        page = store.scroll(cursor=cursor, limit=limit, with_vectors=True)
        assert len(page.points) <= limit
        for one in page.points:
            assert one.id not in found
            found[one.id] = one
        cursor = page.next_cursor
        if cursor is None:
            return found


def assert_hits_beside_a_writer(
    kind: str, hits: Hits, untouched: Sequence[ItemId], written: Sequence[ItemId]
) -> None:
    """What a query for all points may give while some are written: see `VectorStore`."""
    assert len(set(hits.ids)) == len(hits.ids)
    assert set(untouched) <= set(hits.ids) <= {*untouched, *written}
    if kind != "server":
        assert len(hits.ids) == len(untouched) + len(written)


def assert_same_points(a: dict[ItemId, Point], b: dict[ItemId, Point]) -> None:
    assert a.keys() == b.keys()
    for item, one in a.items():
        assert_same_point(one, b[item])


def assert_same_point(a: Point | None, b: Point | None) -> None:
    assert (a is None) == (b is None)
    if a is None or b is None:
        return
    assert (a.id, a.payload, a.vectors.keys()) == (b.id, b.payload, b.vectors.keys())
    for modality, vector in a.vectors.items():
        np.testing.assert_allclose(vector, b.vectors[modality], atol=1e-6)
    assert a.more.keys() == b.more.keys()
    for modality, matrix in a.more.items():
        np.testing.assert_allclose(matrix, b.more[modality], atol=1e-6)
