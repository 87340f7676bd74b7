"""Where the parts are put together from the settings.

Imports are inside the functions, so that a command loads only what it uses: PyTorch alone takes seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from engine.config import Settings
from engine.errors import SettingsError

if TYPE_CHECKING:
    from encoders.decode import DecodeLimits
    from encoders.folder import Extractors
    from encoders.space import Space
    from engine.batching import MicroBatcher
    from engine.encoding import ContentEncoder
    from engine.events.check import EventLimits
    from engine.events.sql import SqlEventStore
    from engine.events.types import KnownItems
    from engine.history import StoredHistory
    from engine.learn.versions.registry import Registry
    from engine.learn.versions.trainings import Trainings
    from engine.models import Models
    from engine.pipeline import Engine
    from engine.searching import BatchedSearch, Search
    from engine.service.server import ServerOptions
    from engine.serving import Loader, Serving
    from engine.store.base import VectorStore
    from engine.store.collections import Collections


def decode_limits(settings: Settings) -> DecodeLimits:
    """The limits of decoding."""
    from encoders.decode import DecodeLimits

    return DecodeLimits(**settings.limits.model_dump())


def open_space(settings: Settings) -> Space:
    """Load the encoders of the space that the settings name.

    Raises:
        WeightsError: if weights are missing, or not the ones that the space was built with.
        SpaceError: if a folder holds no readable space.
        SettingsError: if the name is neither of a known kind nor a folder.
    """
    name, limits = settings.space.name, decode_limits(settings)
    if name == "starter":
        from encoders.starter import load_starter

        space = settings.space
        return load_starter(space.cache, limits, space.device, space.threads or None, sources=space.sources)
    if name.startswith("openclip:"):
        from encoders.build import plain_openclip_space

        return plain_openclip_space(name.removeprefix("openclip:"), device=torch_device(settings), limits=limits)
    if Path(name).is_dir():
        from encoders.folder import load_space_folder

        extractors = pivot_extractors(settings, limits)
        return load_space_folder(Path(name), extractors, device=torch_device(settings), limits=limits)
    raise SettingsError(
        f"there is no space {name!r}", "set space.name to starter, openclip:<model>/<pretrained> or a folder"
    )


def pivot_extractors(settings: Settings, limits: DecodeLimits) -> Extractors:
    """The networks that bring long texts and sounds into an OpenCLIP space: those of the starter space.

    Args:
        settings: the settings.
        limits: those of the space's other encoders, so that all share one budget of memory.
    """
    from encoders.audio import SoundEncoder
    from encoders.folder import AUDIO, LONG_TEXT
    from encoders.text import SentenceEncoder
    from encoders.types import Modality

    space = settings.space
    text, audio = space.sources.get(Modality.TEXT), space.sources.get(Modality.AUDIO)
    return {
        LONG_TEXT: lambda: SentenceEncoder(space.cache, limits, space.device, space.threads or None, text),
        AUDIO: lambda: SoundEncoder(space.cache, limits, space.threads or None, audio),
    }


def torch_device(settings: Settings) -> str:
    """The device that PyTorch runs on: "auto" is a GPU where there is one."""
    if settings.space.device != "auto":
        return settings.space.device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def store_collections(settings: Settings, *, bulk: bool = False) -> Collections:
    """All collections of the store that the settings name; see `open_store` for `bulk`."""
    from engine.store.collections import BACKGROUND, collections
    from engine.store.layout import Layout

    store = settings.store
    return collections(
        store.backend,
        path=store.path,
        url=store.url,
        api_key=store.api_key,
        timeout_seconds=store.timeout_seconds,
        optimize_after=0 if bulk else BACKGROUND,
        reserve=store.reserve_mb << 20,
        layout=Layout(store.shards, store.replicas, store.write_consistency),
        cache_bytes=store.cache_mb << 20,
    )


def open_store(settings: Settings, space: Space, *, beside: bool = False, bulk: bool = False) -> VectorStore:
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


def running_server(settings: Settings) -> str:
    """The address of the server that has the embedded store open; "" if nobody has it, or the store is not embedded.

    Raises:
        StoreInUseError: if another process has it open, and tells no address.
    """
    if settings.store.backend != "edge":
        return ""
    from engine.store.collections import EdgeCollections

    return EdgeCollections(settings.store.path).server(settings.store.collection)


def announce(store: VectorStore, address: str, port: int) -> None:
    """Let `running_server` find the server that has a store open.

    Args:
        store: the store; only an embedded one has to be asked through the process that has it.
        address: that the server was told to listen on, HOST:PORT or unix:PATH.
        port: that it took.
    """
    from engine.store.edge import EdgeStore

    if isinstance(store, EdgeStore):
        host = address.rpartition(":")[0]
        here = "127.0.0.1" if host in {"", "0.0.0.0", "[::]"} else host  # noqa: S104 (compared, not bound)
        store.announce(address if address.startswith("unix:") else f"{here}:{port}")


def open_catalogue(settings: Settings) -> VectorStore | None:
    """Open the collection that serves, for those who encode nothing: no encoder is loaded. None if there is none yet.

    Raises:
        StoreError: if the store cannot be reached, or another process has it open.
    """
    return store_collections(settings).open_current(settings.store.collection)


def event_limits(settings: Settings) -> EventLimits:
    """The largest event, and the longest served list, that are kept."""
    from engine.events.check import EventLimits

    return EventLimits(text_characters=settings.limits.max_characters, places=settings.retrieve.max_limit)


def open_events(
    settings: Settings, known_items: KnownItems | None = None, *, existing: bool = False
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

    return SqlEventStore(
        settings.events.url, limits=event_limits(settings), known_items=known_items, existing=existing
    )


def known_items(store: VectorStore) -> KnownItems:
    """Says which items are in a catalogue."""
    from engine.events.known import CatalogItems

    return CatalogItems(store)


def stored_history(settings: Settings, events: SqlEventStore) -> StoredHistory:
    """Adds what was recorded of people to their queries."""
    from engine.history import StoredHistory

    return StoredHistory(events, settings.fuse)


def micro_batcher(settings: Settings, space: Space) -> MicroBatcher:
    """An encoder that takes the contents of calls that wait at the same time together."""
    from engine.batching import MicroBatcher

    return MicroBatcher(space, max_batch=settings.service.max_batch, max_queue=settings.service.max_queue)


def batched_search(settings: Settings, store: VectorStore) -> BatchedSearch:
    """A search that takes the calls that wait at the same time together.

    The embedded store holds Python's lock while it searches, so one thread is all that it can use; a server answers
    as many as ask.
    """
    from engine.searching import BatchedSearch

    service = settings.service
    workers = 1 if settings.store.backend == "edge" else service.threads
    return BatchedSearch(store, max_batch=service.max_batch, max_queue=service.max_queue, workers=workers)


def build_engine(
    settings: Settings,
    space: Space,
    store: VectorStore,
    encoder: ContentEncoder | None = None,
    search: Search | None = None,
    models: Models | None = None,
    clock: Callable[[], datetime] | None = None,
) -> Engine:
    """The engine over an open store.

    Args:
        settings: the settings.
        space: the space of the store.
        store: the catalogue.
        encoder: encodes the contents of queries; None encodes each call by itself.
        search: searches the store; None searches for each call by itself.
        models: which model answers whom; None ranks without.
        clock: tells the time, with a time zone; None is the computer's.

    Raises:
        SpaceError: if the store is of another space.
    """
    from engine.encoding import DirectEncoder
    from engine.events.times import now_utc
    from engine.pipeline import Engine
    from engine.remember import RememberedTexts

    return Engine(
        RememberedTexts(encoder or DirectEncoder(space)),
        space.manifest,
        store,
        fuse_settings=settings.fuse,
        retrieve_settings=settings.retrieve,
        policy_settings=settings.policy,
        search=search,
        models=models,
        deadline_share=settings.models.deadline_share,
        clock=clock or now_utc,
    )


def registry(settings: Settings) -> Registry:
    """The versions of the trained model."""
    from engine.learn.versions.registry import Registry

    return Registry(settings.models.path)


def model_loaders(store: VectorStore) -> Mapping[str, Loader]:
    """By the kind of model that a card says, what loads its files."""
    from engine.rerank.served import load_model
    from engine.rerank.version import KIND

    return {KIND: lambda folder, card: load_model(folder, card, store)}


def open_serving(settings: Settings, space: Space, store: VectorStore) -> Serving:
    """What serves. It loads and follows once it is started."""
    from functools import partial

    from engine.rerank.taste_index import drop_others
    from engine.serving import Serving

    return Serving(
        registry(settings),
        model_loaders(store),
        space.fingerprint,
        standby=settings.models.standby,
        kept=partial(drop_others, store),
    )


def open_trainings(settings: Settings, serving: Serving, store: VectorStore) -> Trainings:
    """The trainings of a server.

    Args:
        settings: the settings.
        serving: promotes what passes the gate.
        store: the catalogue; it is written to a file before each training, whose process cannot open it.
    """
    from functools import partial

    from engine.items import read_items, save_items
    from engine.learn.job import train_version
    from engine.learn.versions.trainings import Trainings

    folder = settings.models.path / ".trainings"
    items_file = folder / "items.npz"
    return Trainings(
        folder,
        partial(train_version, settings, items_file),
        serving,
        keep=settings.models.keep,
        prepare=lambda: save_items(read_items(store), items_file),
    )


SHAPING = (
    "space.name",
    "store.backend",
    "store.path",
    "store.url",
    "store.collection",
    "fuse",
    "retrieve",
    "policy",
    "models.path",
)
"""Sections and keys of the settings that shape the answer to a search."""


def settings_digests(settings: Settings) -> dict[str, str]:
    """Per setting that shapes answers a digest of its value, so that two processes can compare theirs.

    Returns:
        By `section.key` 8 hex digits.
    """
    from hashlib import blake2b

    values = {
        f"{section}.{key}": value
        for section, keys in settings.model_dump(mode="json").items()
        for key, value in keys.items()
        if section in SHAPING or f"{section}.{key}" in SHAPING
    }
    return {
        name: blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=4).hexdigest()
        for name, value in values.items()
    }


def server_options(settings: Settings) -> ServerOptions:
    """How the server listens and how much it takes on."""
    from engine.service.server import ServerOptions

    service = settings.service
    return ServerOptions(
        address=service.address,
        threads=service.threads,
        max_queue=service.max_queue,
        max_message_bytes=service.max_message_bytes,
        max_batch=service.max_batch,
        strict=settings.index.strict,
        drain_seconds=service.drain_seconds,
        reflection=service.reflection,
        event_limits=event_limits(settings),
        fields=dict(settings.index.fields),
        settings=settings_digests(settings),
    )
