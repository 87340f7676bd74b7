"""Where the parts are put together from the settings.

Imports are inside the functions, so that a command loads only what it uses: PyTorch alone takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from engine import opening
from engine.config.digests import settings_digests
from engine.config.settings import Settings
from engine.opening import event_database, event_kinds, event_limits, media_root, registry

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from encoders.decoding.limits import DecodeLimits
    from encoders.spaces.space import Space
    from engine.encode.batching import MicroBatcher
    from engine.encode.encoding import ContentEncoder
    from engine.events.base import EventStore
    from engine.http.server import HttpServer
    from engine.learn.jobs.trainings import Trainings
    from engine.models.loaded import Loader
    from engine.models.serving import Serving
    from engine.query.models import Models
    from engine.query.pipeline import Engine
    from engine.query.search import BatchedSearch, Search
    from engine.service.access.access import Access
    from engine.service.access.tls import TlsFiles
    from engine.service.metrics import Metrics
    from engine.service.metrics_door import MetricsDoor
    from engine.service.quotas.quotas import Quotas
    from engine.service.server import ServerOptions
    from engine.service.services import Tenant
    from engine.service.tracing import Tracing
    from engine.store.base import VectorStore
    from engine.studio.live import Live
    from engine.studio.studio import Studio


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


def open_studio(
    settings: Settings,
    space: Space,
    store: VectorStore,
    limits: DecodeLimits,
    address: Callable[[], str],
    *,
    events: EventStore,
    live: Live,
    tenant: str = "",
) -> Studio:
    """What Triveni Studio shows a tenant.

    Args:
        settings: its own.
        space: the space of the store.
        store: its catalogue.
        limits: of decoding; those of the space, so that thumbnails and encoders share one budget of memory.
        address: says where the gRPC server answers, HOST:PORT.
        events: what its people did, and what they were shown.
        live: what happened lately.
        tenant: its name.

    Raises:
        DiskError: if there can be no folder for thumbnails.
    """
    from engine.studio.duplicates import DuplicateSearch
    from engine.studio.facets import Facets
    from engine.studio.indexing import IndexFiles
    from engine.studio.learning import Learning
    from engine.studio.maps.maps import Maps
    from engine.studio.maps.names import Naming
    from engine.studio.media import MediaFolder
    from engine.studio.present import Present
    from engine.studio.studio import Studio
    from engine.studio.thumbnails import Thumbnails

    wanted = settings.studio
    return Studio(
        tenant=tenant,
        store=store,
        manifest=space.manifest,
        media=MediaFolder(store, wanted.media or media_root(settings)),
        thumbnails=Thumbnails(wanted.cache, wanted.cache_mb << 20, limits),
        facets=Facets(store),
        present=Present(store),
        learning=Learning(
            registry(settings), events, event_kinds(settings), settings.models.candidate_share, wanted.reports
        ),
        kinds=event_kinds(settings),
        live=live,
        maps=Maps(store, _map_file(settings, space.fingerprint)),
        naming=Naming(store),
        duplicates=DuplicateSearch(store, space.manifest),
        index=IndexFiles(settings.store.path.parent),
        address=address,
        max_bytes=settings.service.max_message_bytes,
    )


def open_studios(
    owned: Mapping[str, Settings],
    tenants: Mapping[str, Tenant],
    space: Space,
    limits: DecodeLimits,
    address: Callable[[], str],
    metrics: Metrics,
    opened: ExitStack,
) -> dict[str, Studio]:
    """What Triveni Studio shows each tenant.

    Args:
        owned: their settings, by name.
        tenants: they, opened.
        space: the space of all.
        limits: of decoding.
        address: says where the gRPC server answers, HOST:PORT.
        metrics: of the server.
        opened: closes what has to be closed.

    Raises:
        DiskError: if there can be no folder for thumbnails.
    """
    from engine.studio.live import Live

    live = Live(metrics.registry, tenants=tenants)
    opened.callback(live.close)
    return {
        name: open_studio(owned[name], space, one.store, limits, address, events=one.events, live=live, tenant=name)
        for name, one in tenants.items()
    }


def _map_file(settings: Settings, fingerprint: str) -> Path:
    """Where the map of a collection is kept: beside an embedded one, else where thumbnails are."""
    folder = settings.store.path if settings.store.backend == "edge" else settings.studio.cache
    return folder / f"{settings.store.collection}-{fingerprint[:12]}.map.npz"


def request_threads(settings: Settings) -> int:
    """How many recommendations and searches are worked on at once.

    Over an embedded store all the work is this process's, and Python works on one call at a time: more threads would
    only take its lock from each other, and from the event loop. A server of Qdrant is waited for meanwhile.
    """
    return settings.service.threads or (8 if settings.store.backend == "server" else 2)


def server_options(settings: Settings) -> ServerOptions:
    """How the server listens and how much it takes on."""
    from engine.service.server import ServerOptions

    return ServerOptions(
        **settings.service.model_dump() | {"threads": request_threads(settings)},
        index=settings.index,
        event_limits=event_limits(settings),
    )


def open_quotas(settings: Mapping[str, Settings]) -> Quotas:
    """How much each tenant may ask for.

    Args:
        settings: by tenant.

    Raises:
        MissingExtraError: if servers are to count together, and the client of Redis is not installed.
    """
    from engine.core.extras import named_extras
    from engine.service.quotas.quotas import Quota, Quotas

    quotas = {
        name: Quota(said.calls_per_second, said.encoded_bytes_per_second, said.burst_seconds)
        for name, said in ((name, own.quotas) for name, own in settings.items())
    }
    where = next(iter(settings.values())).quotas
    if not where.url:
        return Quotas(quotas)
    with named_extras():
        from engine.service.quotas.shared import SharedBuckets
    return Quotas(quotas, SharedBuckets(where.url, where.timeout_seconds))


def open_access(settings: Settings) -> Access:
    """Decides who may do what, at every door of a server.

    Raises:
        SettingsError: if a file cannot be read, or the audit log not be written.
    """
    from engine.service.access.access import Access, Checker
    from engine.service.access.audit import AuditLog
    from engine.service.access.keys import KeyChecker
    from engine.service.access.tokens import Claims, TokenChecker

    said = settings.access
    checkers: list[Checker] = []
    if said.keys is not None:
        checkers.append(KeyChecker(said.keys))
    if said.jwks is not None:
        claims = Claims(
            said.issuer,
            said.audience,
            said.leeway_seconds,
            said.subject_claim,
            said.scopes_claim,
            said.scope_prefix,
            said.tenant_claim,
        )
        checkers.append(TokenChecker(said.jwks, claims))
    return Access(checkers, AuditLog(settings.log.audit))


def tls_files(settings: Settings) -> TlsFiles | None:
    """What encrypts, if the settings have it.

    Raises:
        SettingsError: if the files cannot be read, or do not belong together.
    """
    from engine.service.access.tls import TlsFiles

    service = settings.service
    if service.tls_cert is None or service.tls_key is None:
        return None
    return TlsFiles(service.tls_cert, service.tls_key, service.tls_client_ca)


def http_doors(
    settings: Settings,
    address: str = "",
    routes: Sequence[BaseRoute] = (),
    *,
    access: Access | None = None,
    tls: TlsFiles | None = None,
) -> tuple[HttpServer, ...]:
    """The HTTP door, if the settings or an address open one.

    Args:
        settings: the settings.
        address: HOST:PORT, instead of that of the settings.
        routes: more routes than those of the calls.
        access: decides who may do what, as it does for the server.
        tls: encrypts, as it does the server.
    """
    if not (address or settings.http.address):
        return ()
    from engine.http.server import HttpServer

    http = settings.http.model_copy(update={"address": address}) if address else settings.http
    return (
        HttpServer(
            http,
            max_message_bytes=settings.service.max_message_bytes,
            extra_routes=routes,
            access=access,
            tls=tls,
        ),
    )


def tracing(settings: Settings) -> Tracing | None:
    """What makes spans of calls, if the settings want it."""
    if not settings.tracing.endpoint:
        return None
    from engine.service.tracing import OtlpTracing

    return OtlpTracing(settings.tracing.endpoint, settings.tracing.share)


def metrics_doors(settings: Settings, metrics: Metrics) -> tuple[MetricsDoor, ...]:
    """What shows the metrics to Prometheus, if the settings want it."""
    if not settings.metrics.address:
        return ()
    from engine.service.metrics_door import MetricsDoor

    return (MetricsDoor(settings.metrics.address, metrics, allowed_hosts=settings.metrics.allowed_hosts),)
