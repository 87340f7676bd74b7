"""A program: a server over the tiny space and an embedded store, until a signal.

`python -m … FOLDER DRAIN_SECONDS [ADDRESS]`. Its first line on standard output is the port. The text "hold" is
encoded only once the file FOLDER/go exists, and "holding" is printed meanwhile, so that a test can stop the server
while a call runs.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from encoders.types import Content, Text
from engine.core.deadline import Deadline
from engine.encode.batching import MicroBatcher
from engine.encode.encoding import ContentEncoder, Encoded
from engine.query.pipeline import Engine
from engine.service.lifecycle import serve_until_signal
from engine.service.logs import configure_logs
from engine.service.server import Server, ServerOptions
from engine.service.services import Tenant
from tests.service.running import open_edge, open_events
from tests.tiny import concept_space


class Holding:
    """The real encoder, which waits when it is told to."""

    def __init__(self, encoder: ContentEncoder, go: Path) -> None:
        self._encoder, self._go = encoder, go

    def encode(self, contents: Sequence[Content], deadline: Deadline) -> list[Encoded]:
        if Text("hold") in contents:
            print("holding", flush=True)
            while not self._go.exists():
                deadline.check("holding")
                time.sleep(0.01)
        return self._encoder.encode(contents, deadline)


class Announcing(Server):
    """Prints its port once it is ready."""

    async def start(self) -> None:
        await super().start()
        print(self.port, flush=True)


def main(folder: Path, drain_seconds: float, address: str = "127.0.0.1:0") -> None:
    configure_logs("debug", json_lines=True)
    space = concept_space()
    store = open_edge(folder / "store", space)
    events = open_events(folder, store)
    encoder = Holding(MicroBatcher(space), folder / "go")
    options = ServerOptions(address=address, drain_seconds=drain_seconds)
    try:
        tenant = Tenant(Engine(encoder, space.manifest, store), encoder, store, events)
        server = Announcing({"": tenant}, space, options)
        asyncio.run(serve_until_signal(server))
    finally:
        events.close()
        store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:])
