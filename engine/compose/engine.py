"""What answers queries, over an open store.

Imports are inside the functions, so that a command loads only what it uses: PyTorch alone takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from engine.config.settings import Settings
from engine.opening import registry

if TYPE_CHECKING:
    from encoders.spaces.space import Space
    from engine.encode.batching import MicroBatcher
    from engine.encode.encoding import ContentEncoder
    from engine.models.loaded import Loader
    from engine.models.serving import Serving
    from engine.query.models import Models
    from engine.query.pipeline import Engine
    from engine.query.search import BatchedSearch, Search
    from engine.service.metrics import Metrics
    from engine.store.base import VectorStore


def request_threads(settings: Settings) -> int:
    """How many recommendations and searches are worked on at once.

    Over an embedded store all the work is this process's, and Python works on one call at a time: more threads would
    only take its lock from each other, and from the event loop. A server of Qdrant is waited for meanwhile.
    """
    return settings.service.threads or (8 if settings.store.backend == "server" else 2)


def micro_batcher(settings: Settings, space: Space, metrics: Metrics) -> MicroBatcher:
    """An encoder that takes the contents of calls that wait at the same time together, and is measured."""
    from engine.encode.batching import MicroBatcher

    service = settings.service
    made = MicroBatcher(space, max_batch=service.max_batch, batched=metrics.batched)
    metrics.queue("contents", lambda: made.waiting)
    return made


def batched_search(settings: Settings, store: VectorStore, metrics: Metrics) -> BatchedSearch:
    """A search that takes the calls that wait at the same time together.

    The embedded store holds Python's lock while it searches, so one thread is all that it can use; a server answers
    as many as ask.
    """
    from functools import partial

    from engine.query.search import BatchedSearch

    made = BatchedSearch(
        store,
        max_batch=settings.service.max_batch,
        workers=1 if settings.store.backend == "edge" else request_threads(settings),
        batched=partial(metrics.batched, "search"),
    )
    metrics.queue("search", lambda: made.waiting)
    return made


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
        SettingsError: if the settings name a source or rule that is not there, or one of its settings is wrong.
        PluginError: if the distribution that adds one is broken.
    """
    from engine.core.times import now_utc
    from engine.encode.encoding import DirectEncoder
    from engine.encode.text_cache import TextEmbeddingCache
    from engine.query.pipeline import Engine
    from engine.query.policy.rules import RULES
    from engine.query.sources import SOURCES

    return Engine(
        TextEmbeddingCache(encoder or DirectEncoder(space)),
        space.manifest,
        store,
        fuse_settings=settings.fuse,
        retrieve_settings=settings.retrieve,
        policy_settings=settings.policy,
        search=search,
        models=models,
        deadline_share=settings.models.deadline_share,
        clock=clock or now_utc,
        sources=SOURCES.make_all(settings.retrieve.sources, "retrieve.sources"),
        rules=RULES.make_all(settings.policy.rules, "policy.rules"),
    )


def model_loaders(store: VectorStore) -> Mapping[str, Loader]:
    """By the kind of model that a card says, what loads its files."""
    from functools import partial

    from engine.rerank.loaders import MODELS, load

    return {kind: partial(load, kind, store) for kind in MODELS.names()}


def open_serving(settings: Settings, space: Space, store: VectorStore) -> Serving:
    """What serves. It loads and follows once it is started."""
    from functools import partial

    from engine.models.serving import Serving
    from engine.rerank.tower_index import drop_others

    return Serving(
        registry(settings),
        model_loaders(store),
        space.fingerprint,
        standby=settings.models.standby,
        on_request=settings.models.on_request,
        kept=partial(drop_others, store),
    )
