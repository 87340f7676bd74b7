"""One store of each kind, opened once: a new embedded store with its payload indexes takes a second."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.store.base import VectorStore
from tests.store.implementations import (
    NO_SERVER,
    QDRANT_URL,
    SCHEMA,
    SESSION,
    STORES,
    collections_there,
    drop,
    everything,
    open_server,
    open_store,
    remove,
)


@pytest.fixture(params=STORES)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A kind of store. What a test makes of it in its `tmp_path` goes with the test, whether it passes or not."""
    if request.param == "server" and not QDRANT_URL:
        pytest.skip(NO_SERVER)
    yield str(request.param)
    drop(request.param, tmp_path)


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """The tests leave the live server as they found it. Others' collections are not touched, nor looked at."""
    if not QDRANT_URL:
        yield
        return
    from engine.store.server_collection import ServerCollection

    made: set[str] = set()
    make = ServerCollection.make

    def noted(self: ServerCollection, *args: Any) -> None:
        if not self.where.startswith((":memory:", "file:")):
            made.add(self.name)
        make(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ServerCollection, "make", noted)
        yield
    left = sorted(made & collections_there())
    remove([name for name in left if name.startswith(SESSION)])
    assert not left, f"tests left collections on the server: {', '.join(left)}"


class Pool:
    """The stores that are open, one of a kind."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._open: dict[str, tuple[VectorStore, Path]] = {}

    def take(self, kind: str) -> VectorStore:
        """An empty store with the fields of `SCHEMA` indexed."""
        if kind in self._open and self._open[kind][0].schema != SCHEMA:
            self.drop(kind)
        if kind not in self._open:
            folder = self._factory.mktemp(kind)
            store = open_server(":memory:", "items") if kind == "local" else open_store(kind, folder)
            store.index_fields(SCHEMA)
            self._open[kind] = store, folder
        store = self._open[kind][0]
        store.delete(list(everything(store)))
        for name in store.vectors:
            store.drop_vector(name)
        return store

    def drop(self, kind: str) -> None:
        store, folder = self._open.pop(kind)
        store.close()
        drop(kind, folder)

    def close(self) -> None:
        for kind in list(self._open):
            self.drop(kind)


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory, nothing_is_left_behind: None) -> Iterator[Pool]:
    stores = Pool(tmp_path_factory)
    yield stores
    stores.close()


@pytest.fixture
def store(kind: str, pool: Pool) -> VectorStore:
    return pool.take(kind)
