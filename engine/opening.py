"""What the settings name, opened: a space, a store, an event database, the registry of model versions.

Imports are inside the functions, so that a command loads only what it uses: PyTorch alone takes seconds.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from engine.core.kinds import EventKinds
from engine.encode.settings import LimitSettings, SpaceSettings
from engine.events.settings import EventSettings, all_kinds
from engine.models.settings import ModelSettings
from engine.query.settings import FuseSettings, RetrieveSettings
from engine.store.settings import StoreSettings

if TYPE_CHECKING:
    from encoders.decoding.limits import DecodeLimits
    from encoders.spaces.folder import Extractors
    from encoders.spaces.space import Space
    from engine.encode.spaces import SpaceSetup
    from engine.events.check import EventLimits
    from engine.events.database import Database
    from engine.events.history import StoredHistory
    from engine.events.sql import SqlEventStore
    from engine.events.types import KnownItems
    from engine.models.registry import Registry
    from engine.store.base import VectorStore
    from engine.store.collections import Collections


class OpeningSettings(Protocol):
    """The settings of what can be opened; `engine.config.settings.Settings` has them all."""

    @property
    def space(self) -> SpaceSettings:
        """Of the shared space."""

    @property
    def limits(self) -> LimitSettings:
        """Of decoding."""

    @property
    def store(self) -> StoreSettings:
        """Of the vector store."""

    @property
    def events(self) -> EventSettings:
        """Of the event store."""

    @property
    def fuse(self) -> FuseSettings:
        """Of histories."""

    @property
    def retrieve(self) -> RetrieveSettings:
        """Of candidates."""

    @property
    def models(self) -> ModelSettings:
        """Of model versions."""


def decode_limits(settings: OpeningSettings) -> DecodeLimits:
    """The limits of decoding."""
    from encoders.decoding.limits import DecodeLimits

    return DecodeLimits(**settings.limits.model_dump())


def space_setup(settings: OpeningSettings, limits: DecodeLimits | None = None) -> SpaceSetup:
    """Which space, and where and how its networks run.

    Args:
        settings: the settings.
        limits: those of the space's other encoders, so that all share one budget of memory; None makes some.
    """
    from engine.encode.spaces import SpaceSetup

    return SpaceSetup(settings.space, limits or decode_limits(settings))


def open_space(settings: OpeningSettings, limits: DecodeLimits | None = None) -> Space:
    """Load the encoders of the space that the settings name; see `load_space`.

    Args:
        settings: the settings.
        limits: of decoding, for those who decode beside the encoders; None makes some.
    """
    from engine.encode.spaces import load_space

    return load_space(space_setup(settings, limits))


def pivot_extractors(settings: OpeningSettings, limits: DecodeLimits) -> Extractors:
    """The networks of the starter space that other spaces use; see `space_setup` for `limits`."""
    from engine.encode.spaces import pivot_extractors

    return pivot_extractors(space_setup(settings, limits))


def torch_device(settings: OpeningSettings) -> str:
    """The device that PyTorch runs on: "auto" is a GPU where there is one."""
    return space_setup(settings).torch_device


def store_collections(settings: OpeningSettings, *, bulk: bool = False) -> Collections:
    """All collections of the store that the settings name; see `open_store` for `bulk`."""
    from engine.store.collections import BACKGROUND, collections

    return collections(settings.store, optimize_after=0 if bulk else BACKGROUND)


def open_store(settings: OpeningSettings, space: Space, *, beside: bool = False, bulk: bool = False) -> VectorStore:
    """Open the collection of a space.

    Args:
        settings: the settings.
        space: the space of its vectors.
        beside: open it even if the collection of another space serves.
        bulk: leave the search graph to `optimize`, instead of building it in the background between writes.

    Raises:
        SpaceError: if a collection of another space serves, and not `beside`.
        StoreError: if the store cannot be reached, or another process has it open.
    """
    from engine.store.collections import open_store

    return open_store(
        store_collections(settings, bulk=bulk),
        settings.store.collection,
        fingerprint=space.fingerprint,
        dimension=space.dimension,
        modalities=space.modalities,
        beside=beside,
    )


def running_server(settings: OpeningSettings) -> str:
    """The address of the server that has the embedded store open; "" if nobody has it, or the store is not embedded.

    Raises:
        StoreInUseError: if another process has it open, and tells no address.
    """
    if settings.store.backend != "edge":
        return ""
    from engine.store.collections import EdgeCollections

    return EdgeCollections(settings.store.path).server(settings.store.collection)


def build_of_server(settings: OpeningSettings) -> tuple[float, str] | None:
    """How far the search graphs are that the server builds which has the embedded store open; None if it builds none.

    Raises:
        StoreError: if it builds none because it was started with another `store.quantization`.
    """
    from engine.core.errors import StoreError
    from engine.store.collections import EdgeCollections

    held, name = EdgeCollections(settings.store.path), settings.store.collection
    building = held.building(name)
    if building is not None:
        return building.share, building.stage
    about = held.about(name)
    if about and about.graphed and about.quantization != settings.store.quantization:
        raise StoreError(
            f"the search graphs are of vectors with quantization {about.quantization}, and the server that has the "
            "store open does not build others",
            "restart it: `triveni serve` builds them while it serves, if there are 20,000 items or more; "
            "or stop it, and run this again",
        )
    return None


def announce(store: VectorStore, address: str, port: int) -> None:
    """Let `running_server` find the server that has a store open, and catch up on search graphs in the background.

    Args:
        store: the store; only an embedded one has to be asked through the process that has it.
        address: that the server was told to listen on, HOST:PORT or unix:PATH.
        port: that it took.
    """
    from engine.store.edge import EdgeStore

    if isinstance(store, EdgeStore):
        store.optimize_if_due()  # first, so that whoever finds the server sees that it will build
        store.announce(reachable(address, port))


def reachable(address: str, port: int) -> str:
    """Where those on this machine ask a server.

    Args:
        address: that it was told to listen on, HOST:PORT or unix:PATH.
        port: that it took.
    """
    host = address.rpartition(":")[0]
    here = "127.0.0.1" if host in {"", "0.0.0.0", "[::]"} else host  # noqa: S104 (compared, not bound)  # nosec B104
    return address if address.startswith("unix:") else f"{here}:{port}"


def open_catalogue(settings: OpeningSettings) -> VectorStore | None:
    """Open the collection that serves, for those who encode nothing: no encoder is loaded. None if there is none yet.

    Raises:
        StoreError: if the store cannot be reached, or another process has it open.
    """
    return store_collections(settings).open_current(settings.store.collection)


def event_kinds(settings: OpeningSettings) -> EventKinds:
    """The kinds of events that there are."""
    return all_kinds(settings.events.kinds, settings.fuse.weights)


def media_root(settings: OpeningSettings) -> Path | None:
    """The folder that the paths of media begin in, as the last bulk run had it; None if none is noted."""
    collections = store_collections(settings)
    try:
        return collections.media_root(settings.store.collection)
    finally:
        collections.close()


def event_limits(settings: OpeningSettings) -> EventLimits:
    """The largest event, and the longest served list, that are kept, the kinds of events, and what people are called.

    Raises:
        SettingsError: if the key of pseudonyms cannot be read.
    """
    from engine.events.check import EventLimits, as_told
    from engine.events.pseudonyms import Pseudonyms, read_key

    key_file = settings.events.pseudonym_key_file
    return EventLimits(
        text_characters=settings.limits.max_characters,
        positions=settings.retrieve.max_limit,
        kinds=event_kinds(settings),
        users=as_told if key_file is None else Pseudonyms(read_key(key_file)),
    )


def open_events(
    settings: OpeningSettings, known_items: KnownItems | None = None, *, existing: bool = False
) -> SqlEventStore:
    """Open the event store.

    Args:
        settings: the settings.
        known_items: says which items are in the catalogue, so that events on others are refused; None keeps all.
        existing: a file that is not there is an error, for those who only read; else it is made.

    Raises:
        EventStoreError: if the URL is of another kind, or the database cannot be reached.
        EventSchemaError: if it is no database, or its tables are of another version.
    """
    from engine.events.sql import SqlEventStore
    from engine.events.types import Retention

    events = settings.events
    kept = [timedelta(days) if days else None for days in (events.retention_days, events.list_retention_days)]
    return SqlEventStore(
        events.url,
        limits=event_limits(settings),
        known_items=known_items,
        retention=Retention(*kept),
        existing=existing,
    )


def event_database(settings: OpeningSettings) -> Database:
    """Open the database of the event store, for copies of it; see `open_events` for errors."""
    from engine.events.database import Database

    return Database(settings.events.url)


def known_items(store: VectorStore) -> KnownItems:
    """Says which items are in a catalogue."""
    from engine.events.known import CatalogItems

    return CatalogItems(store)


def stored_history(settings: OpeningSettings, events: SqlEventStore) -> StoredHistory:
    """Adds what was recorded of people to their queries."""
    from engine.events.history import StoredHistory

    return StoredHistory(events, settings.fuse.weights, settings.fuse.max_events)


def registry(settings: OpeningSettings) -> Registry:
    """The versions of the trained model."""
    from engine.models.registry import Registry

    return Registry(settings.models.path)
