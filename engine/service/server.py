"""The gRPC server: its services, its health, and how it starts and stops."""

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Protocol

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from encoders.spaces.space import Space
from engine.catalog.ingest import INDEXED_AT
from engine.catalog.settings import IndexSettings
from engine.core.errors import SettingsError
from engine.core.filters import FieldKind
from engine.core.types import UNTRAINED
from engine.encode.encoding import ContentEncoder
from engine.events.base import EventStore
from engine.events.check import EventLimits
from engine.events.history import StoredHistory
from engine.learn.jobs.trainings import Trainings
from engine.models.serving import Serving
from engine.query.pipeline import Engine
from engine.service.access.access import Access
from engine.service.catalog import CatalogServicer
from engine.service.encoder import EncoderServicer
from engine.service.events import EventServicer
from engine.service.impressions import ImpressionLog
from engine.service.interceptors import CallInterceptor
from engine.service.logs import loading
from engine.service.metrics import Metrics
from engine.service.models import ModelServicer
from engine.service.recommendation import RecommendationServicer
from engine.service.settings import ServiceSettings
from engine.service.warmup import warm_up
from engine.service.work import Workers
from engine.store.base import VectorStore
from triveni.v1 import catalog_pb2_grpc, encoder_pb2_grpc, event_pb2_grpc, model_pb2_grpc, recommendation_pb2_grpc

READY = (
    "",
    "triveni.v1.RecommendationService",
    "triveni.v1.CatalogService",
    "triveni.v1.EncoderService",
    "triveni.v1.EventService",
    "triveni.v1.ModelService",
)
"""Services that serve once an inference passed; "" stands for the server as a whole."""

_EVENT_THREADS = 4
"""Threads that record and read events. They are apart, so that a slow database holds up no recommendations."""

_MODEL_THREADS = 2
"""Threads that read cards and load models: a promotion holds up nobody."""

_LINGER = 0.05
"""Seconds in which the last answers leave. The port is closed after them, not before: gRPC answers calls that it
has taken in but not handed out by then with CANCELLED (github.com/grpc/grpc/issues/41785)."""

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class ServerOptions(ServiceSettings):
    """How the server listens and how much it takes on: its settings, and what it is told besides."""

    index: IndexSettings = IndexSettings()
    """How strict it is with items, and the payload fields that can be filtered on whether or not a bulk run has
    indexed the catalogue."""
    event_limits: EventLimits = EventLimits()
    """The largest event, as the event store has them."""
    digests: Mapping[str, str] = {}
    """Digests of the settings, for callers who ask whether theirs are the same."""


class Door(Protocol):
    """Another way to the same calls: it makes gRPC calls of what it is asked."""

    async def open(self, target: str) -> None:
        """Begin to take requests.

        Args:
            target: where to ask, as gRPC names it.

        Raises:
            SettingsError: if it cannot.
        """

    async def close(self, seconds: float) -> None:
        """Take no more, and let answers that are being sent end within so many seconds. Again is the same."""


class Server:
    """Serves an engine over gRPC. All its methods are called in one event loop.

    It does not own stores and models: whoever opened them closes them after `stop`.

    Args:
        engine: answers queries.
        encoder: encodes contents.
        store: the catalogue.
        events: what people did, and what they were shown.
        space: the encoders' space.
        options: how it listens.
        serving: which model serves; ModelService changes it.
        trainings: runs trainings; ModelService asks for them.
        doors: other ways to its calls, which it opens and closes.
        metrics: of the server; None makes some that nobody else sees.
        access: decides who calls; None lets everybody do everything.
    """

    def __init__(
        self,
        engine: Engine,
        encoder: ContentEncoder,
        store: VectorStore,
        events: EventStore,
        space: Space,
        options: ServerOptions,
        *,
        serving: Serving | None = None,
        trainings: Trainings | None = None,
        doors: Sequence[Door] = (),
        metrics: Metrics | None = None,
        access: Access | None = None,
    ) -> None:
        self._engine, self._encoder, self._store, self._space = engine, encoder, store, space
        self._options = options
        self._log = structlog.get_logger("triveni.service")
        self._workers = Workers(options.threads, options.max_queue)
        self._event_workers = Workers(_EVENT_THREADS, options.max_queue)
        self._model_workers = Workers(_MODEL_THREADS, options.max_queue)
        self._serving, self._trainings = serving, trainings
        self._events, self._impressions = events, ImpressionLog(events)
        self._doors, self._inside = doors, ExitStack()
        self._metrics = metrics or Metrics()
        self._watch(self._metrics)
        self._access = access or Access()
        self._stopping: asyncio.Task[None] | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen, then make sure that everything works; only then the health service says SERVING.

        Raises:
            SettingsError: if the address cannot be bound.
            TriveniError: if the first inference fails.
        """
        self._calls = CallInterceptor(self._options.digests, self._metrics, self._access)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self._server = grpc.aio.server(
            interceptors=(self._calls,),
            options=(
                ("grpc.max_receive_message_length", self._options.max_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
                ("grpc.http2.min_ping_interval_without_data_ms", 30_000),  # keepalive of clients, each minute
            ),
        )
        for service in READY:
            await self._health.set(service, _NOT_SERVING)
        self._add_services()
        try:
            self.port = self._server.add_insecure_port(self._options.address)
        except RuntimeError:
            raise SettingsError(
                f"cannot listen on {self._options.address}", "choose another service.address, or stop what uses it"
            ) from None
        if self._doors:  # a way in that is theirs alone, whatever the address above asks of its callers
            inside = f"unix:{self._inside.enter_context(tempfile.TemporaryDirectory(prefix='triveni-'))}/grpc"
            self._server.add_insecure_port(inside)
        await self._server.start()
        with loading("first answers"):
            await asyncio.to_thread(self._warm_up)
        for service in READY:
            await self._health.set(service, _SERVING)
        for door in self._doors:
            await door.open(inside)
        self._log.info("ready", port=self.port, items=self._store.count(), space=self._space.manifest.name)

    def _warm_up(self) -> None:
        # A store that no bulk run made lacks them.
        self._store.index_fields({INDEXED_AT: FieldKind.DATETIME, **self._options.index.fields})
        warm_up(self._engine, self._encoder, self._space)

    def _add_services(self) -> None:
        options, workers, server = self._options, self._workers, self._server
        catalog = CatalogServicer(
            self._encoder,
            self._store,
            workers,
            max_batch=options.max_batch,
            max_bytes=options.max_message_bytes,
            strict=options.index.strict,
            changed=self._serving.changed if self._serving else lambda _: None,
        )
        history = StoredHistory(
            self._events, self._engine.fuse_settings.weights, self._engine.fuse_settings.max_events
        )
        events = EventServicer(
            self._encoder,
            self._space.fingerprint,
            self._events,
            options.event_limits,
            self._impressions,
            self._event_workers,
            self._metrics,
            max_bytes=options.max_message_bytes,
        )
        for add, servicer in (
            (
                recommendation_pb2_grpc.add_RecommendationServiceServicer_to_server,
                RecommendationServicer(
                    self._engine, history, self._impressions, options.event_limits, workers, self._metrics
                ),
            ),
            (catalog_pb2_grpc.add_CatalogServiceServicer_to_server, catalog),
            (
                encoder_pb2_grpc.add_EncoderServiceServicer_to_server,
                EncoderServicer(self._encoder, self._space, workers),
            ),
            (event_pb2_grpc.add_EventServiceServicer_to_server, events),
            (
                model_pb2_grpc.add_ModelServiceServicer_to_server,
                ModelServicer(self._serving, self._trainings, self._model_workers),
            ),
            (health_pb2_grpc.add_HealthServicer_to_server, self._health),
        ):
            add(servicer, server)
        if options.reflection:
            names = (*READY[1:], health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, server)

    def _watch(self, metrics: Metrics) -> None:
        metrics.queues |= {
            "requests": lambda: self._workers.pending,
            "events": lambda: self._event_workers.pending,
            "models": lambda: self._model_workers.pending,
            "impressions": lambda: self._impressions.waiting,
        }
        metrics.watch("triveni_items", "Items of the catalogue.", lambda: {(): self._store.count()})
        metrics.watch(
            "triveni_impressions_dropped_total",
            "Served lists that were not written: learning will not know of them.",
            lambda: {(): self._impressions.dropped},
            counter=True,
        )
        metrics.watch(
            "triveni_model_info", "The versions of the model in use.", self._versions, labels=["version", "role"]
        )

    def _versions(self) -> Mapping[tuple[str, ...], float]:
        serving = self._serving.version if self._serving else ""
        candidate = self._serving.candidate if self._serving else ""
        return {(serving or UNTRAINED, "serving"): 1.0, **({(candidate, "candidate"): 1.0} if candidate else {})}

    async def wait(self) -> None:
        """Wait until the server has stopped."""
        await self._server.wait_for_termination()

    async def stop(self) -> None:
        """Refuse new calls, let running ones end for `drain_seconds`, then cancel them. Again is the same."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._drain())
        await self._stopping

    async def _drain(self) -> None:
        seconds = self._options.drain_seconds
        until = time.monotonic() + seconds
        self._log.info("draining", running=self._calls.running, seconds=seconds)
        self._calls.refuse()
        await self._health.enter_graceful_shutdown()
        try:
            await asyncio.wait_for(self._calls.idle(), seconds)
        except TimeoutError:
            self._log.warning("cancelled calls", running=self._calls.running)
        for door in self._doors:
            await door.close(max(until - time.monotonic(), _LINGER))
        await asyncio.sleep(_LINGER)
        await self._server.stop(None)  # ends health watches and reflection streams too
        self._inside.close()
        for workers in (self._workers, self._event_workers, self._model_workers):
            await asyncio.to_thread(workers.close)
        await asyncio.to_thread(self._impressions.close)
        self._log.info("stopped")
