"""The loops by name."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.events.stores import no_postgres, store_url
from tests.torture.events import Events
from tests.torture.indexing import Indexing
from tests.torture.promotion import Promotion
from tests.torture.snapshot import Snapshot
from tests.torture.striking import Loop
from tests.torture.training import Training


def loops(folder: Path, opened: ExitStack) -> Iterator[tuple[str, Callable[[], Loop]]]:
    """The loops by name, each in a folder of its own."""

    def made(name: str) -> Path:
        (folder / name).mkdir()
        return folder / name

    yield "indexing", lambda: Indexing(made("indexing"))
    yield "events", lambda: Events(f"sqlite:///{made('events')}/events.db")
    if not no_postgres():
        yield "events-postgresql", lambda: Events(opened.enter_context(store_url("postgresql", folder)))
    yield "promotion", lambda: Promotion(made("promotion"))
    yield "training", lambda: Training(made("training"))
    yield "snapshot", lambda: Snapshot(made("snapshot"))
