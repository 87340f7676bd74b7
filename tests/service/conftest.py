"""One server for the tests that leave it as they find it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from encoders.decoding.limits import DecodeLimits
from engine.service.server import ServerOptions
from tests.service.running import Running, item, open_edge, open_events, running
from tests.tiny import concept_png, concept_space, concept_text, concept_wav

LIMITS = DecodeLimits(max_characters=10_000, max_pixels=1 << 22, max_decoding_seconds=3)
MAX_MESSAGE = 1 << 20


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with a small catalogue: text, picture and sound of birds, pianos and cars."""
    space = concept_space(limits=LIMITS)
    folder = Path(tmp_path_factory.mktemp("store"))
    store = open_edge(folder / "items", space)
    events = open_events(folder, store)
    options = ServerOptions(address="127.0.0.1:0", max_message_bytes=MAX_MESSAGE, drain_seconds=5)
    with running(space, store, events, options) as run:
        items = []
        for price, concept in enumerate(("bird", "piano", "car")):
            shared = {"category": concept, "year": 1999 + price}
            items += [
                item(f"{concept}/text", text=concept_text(concept).text, price=price + 0.5, **shared),
                item(f"{concept}/image", image=concept_png(concept), price=price, tags=["a", {"b": None}], **shared),
                item(f"{concept}/audio", audio=concept_wav(concept), **shared),
            ]
        assert [result.problem.message for result in run.upsert(items)] == [""] * 9
        yield run
    events.close()
    store.close()
