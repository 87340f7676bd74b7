"""One server with a small catalogue, and both clients of it."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.service.server import ServerOptions
from tests.service.running import Running, open_edge, open_events, running
from tests.tiny import concept_png, concept_space, concept_text, concept_wav
from triveni.client import AsyncClient, Client

MAX_MESSAGE = 1 << 20


def catalogue() -> list[dict[str, Any]]:
    """Text, picture and sound of birds, pianos and cars."""
    rows: list[dict[str, Any]] = []
    for price, concept in enumerate(("bird", "piano", "car")):
        shared = {"category": concept, "year": 1999 + price}
        rows += [
            {"id": f"{concept}/text", "text": concept_text(concept).text, "price": price + 0.5, **shared},
            {"id": f"{concept}/image", "image": concept_png(concept), "price": price, "tags": ["a", {"b": None}]},
            {"id": f"{concept}/audio", "audio": concept_wav(concept), **shared},
        ]
    return rows


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    space, folder = concept_space(), Path(tmp_path_factory.mktemp("client"))
    store = open_edge(folder / "items", space)
    events = open_events(folder, store)
    options = ServerOptions(address="127.0.0.1:0", max_message_bytes=MAX_MESSAGE, drain_seconds=5)
    with running(space, store, events, options) as run:
        with Client(run.address) as client:
            assert client.upsert(catalogue()).stored == 9
        yield run
    events.close()
    store.close()


class Waited:
    """An AsyncClient whose methods are waited for: tests of one kind of client are tests of both."""

    def __init__(self, make: Callable[[], AsyncClient]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._client = make()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if not callable(method):
            return method

        def waited(*args: Any, **kwargs: Any) -> Any:
            made = method(*args, **kwargs)
            if not inspect.isasyncgen(made):
                return self._wait(made)
            return self._each(made)

        return waited

    def _each(self, rows: Any) -> Iterator[Any]:
        end = object()
        try:
            while (row := self._wait(anext(rows, end))) is not end:
                yield row
        finally:
            self._wait(rows.aclose())

    def _wait(self, awaitable: Any) -> Any:
        async def wait() -> Any:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(wait(), self._loop).result(60)

    def end(self) -> None:
        self._wait(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


Connect = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients of one kind, closed in the end."""
    made: list[Any] = []

    def make(address: str, **options: Any) -> Any:
        if request.param == "sync":
            made.append(Client(address, **options))
        else:
            made.append(Waited(lambda: AsyncClient(address, **options)))
        return made[-1]

    yield make
    for client in made:
        client.close() if isinstance(client, Client) else client.end()


@pytest.fixture
def client(connect: Connect, server: Running) -> Any:
    return connect(server.address, max_message_bytes=MAX_MESSAGE)
