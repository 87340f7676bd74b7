"""What belongs to one tenant, opened: its catalogue, events, versions, trainings, backups.

Imports are inside the functions, so that a command loads only what it uses: PyTorch alone takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from importlib.metadata import version
from typing import TYPE_CHECKING

from engine import opening
from engine.compose.engine import batched_search, build_engine, open_serving
from engine.config.digests import settings_digests
from engine.config.settings import Settings
from engine.opening import event_database, event_kinds, media_root, registry

if TYPE_CHECKING:
    from encoders.spaces.space import Space
    from engine.encode.encoding import ContentEncoder
    from engine.learn.jobs.trainings import Trainings
    from engine.models.serving import Serving
    from engine.service.metrics import Metrics
    from engine.service.services import Tenant
    from engine.store.base import VectorStore


def open_trainings(settings: Settings, serving: Serving, store: VectorStore) -> Trainings | None:
    """The trainings of a server; None where the libraries of training are not installed.

    Args:
        settings: the settings.
        serving: promotes what passes the gate.
        store: the catalogue; it is written to a file before each training, whose process cannot open it.
    """
    from functools import partial

    from engine.catalog.items import read_items, save_items
    from engine.core.extras import missing

    if missing("sklearn"):
        return None
    from engine.learn.jobs.job import train_version
    from engine.learn.jobs.trainings import Trainings

    folder = settings.models.path / ".trainings"
    items_file = folder / "items.npz"
    return Trainings(
        folder,
        partial(train_version, settings, items_file),
        serving,
        keep=settings.models.keep,
        prepare=lambda: save_items(read_items(store), items_file),
    )


def backups(settings: Settings, store: VectorStore) -> Callable[[], Iterator[bytes]]:
    """What takes a backup of everything; the event database is opened for each.

    Args:
        settings: the settings.
        store: the catalogue.
    """
    from engine.backup.manifest import Taken
    from engine.backup.take import State, take
    from engine.config.portable import portable_toml
    from engine.core.times import now_utc

    def backup() -> Iterator[bytes]:
        root = media_root(settings)
        taken = Taken(
            triveni=version("triveni"),
            created=now_utc(),
            space=settings.space.name,
            media_root=str(root) if root else None,
            settings=portable_toml(settings),
        )
        with closing(event_database(settings)) as events:
            yield from take(State(store, events, registry(settings)), taken, settings.models.path / ".backup")

    return backup


def open_tenant(
    settings: Settings, space: Space, encoder: ContentEncoder, metrics: Metrics, opened: ExitStack
) -> Tenant:
    """What belongs to a tenant, opened, and its model version loaded.

    Args:
        settings: its own; see `Settings.of_tenant`.
        space: the space of all.
        encoder: that of all.
        metrics: of the server.
        opened: closes it.

    Raises:
        SpaceError: if the collection of another space serves.
        StoreError: if the store cannot be reached, or another process has it open.
        EventStoreError: if the database cannot be reached.
    """
    from engine.service.logs import loading
    from engine.service.services import Tenant

    with loading("catalogue", collection=settings.store.collection) as found:
        store = opening.open_store(settings, space)
        opened.callback(store.close)
        found["items"] = store.count()
        if settings.fuse.words and settings.index.words and found["items"] and not store.words:
            free = "stop the server, and " if settings.store.backend == "edge" else ""
            found["words"] = f"none yet, so items are found by meaning only: {free}`triveni index CATALOG` adds them"
    with loading("events") as found:
        known_items = opening.known_items(store) if settings.events.check_items else None
        events = opening.open_events(settings, known_items)
        opened.callback(events.close)
        if gone := events.recent_kinds() - set(event_kinds(settings).names):
            found["left_out"] = f"those of kinds that events.kinds does not declare: {', '.join(sorted(gone))}"
    search = batched_search(settings, store, metrics)
    opened.callback(search.close)
    with loading("model version") as found:
        serving = open_serving(settings, space, store)
        opened.callback(serving.close)
        serving.start()
        found["version"] = serving.version or "none"
        trainings = open_trainings(settings, serving, store)
        if trainings is not None:
            opened.callback(trainings.close)
    engine = build_engine(settings, space, store, encoder, search, serving)
    return Tenant(
        engine,
        encoder,
        store,
        events,
        serving,
        trainings,
        digests=settings_digests(settings),
        backup=backups(settings, store),
    )
