"""A real server on loopback with its HTTP door, over a real store and a tiny but real space."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.routing import BaseRoute

from engine.encode.encoding import ContentEncoder
from engine.http.server import HttpServer
from engine.http.settings import HttpSettings
from engine.models.registry import Registry
from engine.models.serving import Serving
from engine.service.server import ServerOptions
from tests.service.conftest import LIMITS, MAX_MESSAGE
from tests.service.running import Running, item, open_edge, open_events, running
from tests.tiny import concept_png, concept_space, concept_text, concept_wav


@dataclass
class Opened:
    """A server and its door."""

    run: Running
    door: HttpServer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.door.port}"


@contextmanager
def opened(
    folder: Path,
    settings: HttpSettings = HttpSettings(address="127.0.0.1:0"),  # noqa: B008 (frozen)
    wrap: Callable[[ContentEncoder], ContentEncoder] = lambda encoder: encoder,
    drain_seconds: float = 5,
    extra_routes: Sequence[BaseRoute] = (),
) -> Iterator[Opened]:
    """Start both over a catalogue of birds, pianos and cars, and stop them at the end."""
    space = concept_space(limits=LIMITS)
    store = open_edge(folder / "items", space)
    events = open_events(folder, store)
    serving = Serving(Registry(folder / "models"), {}, space.fingerprint)
    door = HttpServer(settings, max_message_bytes=MAX_MESSAGE, extra_routes=extra_routes)
    options = ServerOptions(address="127.0.0.1:0", max_message_bytes=MAX_MESSAGE, drain_seconds=drain_seconds)
    with running(space, store, events, options, wrap=wrap, serving=serving, doors=[door]) as run:
        items = []
        for price, concept in enumerate(("bird", "piano", "car")):
            shared = {"category": concept, "year": 1999 + price}
            items += [
                item(f"{concept}/text", text=concept_text(concept).text, price=price + 0.5, **shared),
                item(f"{concept}/image", image=concept_png(concept), price=price, **shared),
                item(f"{concept}/audio", audio=concept_wav(concept), **shared),
            ]
        assert [result.problem.message for result in run.upsert(items)] == [""] * 9
        yield Opened(run, door)
    events.close()
    store.close()
