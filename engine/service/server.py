"""The gRPC server: its services, its health, and how it starts and stops."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from pydantic import Field

from encoders.spaces.space import Space
from engine.catalog.settings import IndexSettings
from engine.core.errors import SettingsError
from engine.events.check import EventLimits
from engine.service.access.access import Access
from engine.service.access.tls import TlsFiles
from engine.service.interceptors import CallInterceptor
from engine.service.logs import UserNames, loading
from engine.service.metrics import Metrics
from engine.service.quotas.quotas import Quotas
from engine.service.services import ADD_TO_SERVER, OfCaller, Services, Tenant
from engine.service.settings import ServiceSettings
from engine.service.tracing import Tracing, Untraced
from engine.service.work import WorkerPools

READY = ("", *ADD_TO_SERVER)
"""Services that serve once an inference passed; "" stands for the server as a whole."""

_LINGER = 0.05
"""Seconds in which the last answers leave. The port is closed after them, not before: gRPC answers calls that it
has taken in but not handed out by then with CANCELLED (github.com/grpc/grpc/issues/41785)."""

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class ServerOptions(ServiceSettings):
    """How the server listens and how much it takes on: its settings, and what it is told besides."""

    threads: int = Field(default=4, gt=0)
    """Recommendations and searches that are worked on at once."""
    index: IndexSettings = IndexSettings()
    """How strict it is with items, and the payload fields that can be filtered on whether or not a bulk run has
    indexed the catalogue."""
    event_limits: EventLimits = EventLimits()
    """The largest event, as the event store has them."""


LetIn = Callable[[str], AbstractContextManager[None]]


class Door(Protocol):
    """Another way to the same calls: it makes gRPC calls of what it is asked."""

    async def open(self, target: str, let_in: LetIn) -> None:
        """Begin to take requests.

        Args:
            target: where to ask, as gRPC names it.
            let_in: lets a call of a method in; as long as it is made, it is in that context. Raises `OverloadedError`
                if the call has no chance.

        Raises:
            SettingsError: if it cannot.
        """

    async def close(self, seconds: float) -> None:
        """Take no more, and let answers that are being sent end within so many seconds. Again is the same."""


class Server:
    """Serves one or more tenants over gRPC. All its methods are called in one event loop.

    It does not own stores and models: whoever opened them closes them after `stop`.

    Args:
        tenants: by name; "" is the one that there is where no others are.
        space: the encoders' space.
        options: how it listens.
        doors: other ways to its calls, which it opens and closes.
        metrics: of the server; None makes some that nobody else sees.
        tracing: makes spans of calls; None makes none.
        names: names people in log lines.
        access: decides who calls; None lets everybody do everything.
        quotas: decide how much a tenant may ask for; None lets all ask for everything.
        tls: encrypts; None is in the clear.
    """

    def __init__(
        self,
        tenants: Mapping[str, Tenant],
        space: Space,
        options: ServerOptions,
        *,
        doors: Sequence[Door] = (),
        metrics: Metrics | None = None,
        tracing: Tracing | None = None,
        names: UserNames | None = None,
        access: Access | None = None,
        quotas: Quotas | None = None,
        tls: TlsFiles | None = None,
    ) -> None:
        self._space, self._options = space, options
        self._log = structlog.get_logger("triveni.service")
        self._metrics, self._tracing, self._names = metrics or Metrics(), tracing or Untraced(), names
        self._pools = WorkerPools(options, self._metrics)
        self.services: Mapping[str, Services] = {
            name: Services(
                tenant,
                space,
                self._pools,
                self._metrics.of(name),
                index=options.index,
                limits=options.event_limits,
                max_batch=options.max_batch,
                max_bytes=options.max_message_bytes,
            )
            for name, tenant in tenants.items()
        }
        self._doors, self._inside = doors, ExitStack()
        self._access, self._quotas, self._tls = access or Access(), quotas or Quotas({}), tls
        self._watch(self._metrics)
        self._watch_doors(self._metrics)
        self._stopping: asyncio.Task[None] | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen, then make sure that everything works; only then the health service says SERVING.

        Raises:
            SettingsError: if the address cannot be bound.
            TriveniError: if the first inference fails.
        """
        digests = {name: one.tenant.digests for name, one in self.services.items()}
        self._calls = CallInterceptor(
            digests, self._metrics, self._access, self._pools, self._quotas, self._tracing, self._names
        )
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
        self.port = self._listen()
        if self._doors:  # a way in that is theirs alone, whatever the address above asks of its callers
            inside = f"unix:{self._inside.enter_context(tempfile.TemporaryDirectory(prefix='triveni-'))}/grpc"
            self._server.add_insecure_port(inside)
        await self._server.start()
        with loading("first answers"):
            await asyncio.to_thread(self._warm_up)
        for service in READY:
            await self._health.set(service, _SERVING)
        for door in self._doors:
            await door.open(inside, self._calls.send_on)
        items = sum(one.tenant.store.count() for one in self.services.values())
        self._log.info("ready", port=self.port, items=items, space=self._space.manifest.name)

    def _listen(self) -> int:
        address, tls = self._options.address, self._tls
        try:
            if tls is not None:
                port = self._server.add_secure_port(address, tls.grpc_credentials())
            else:
                port = self._server.add_insecure_port(address)
        except RuntimeError:
            raise SettingsError(
                f"cannot listen on {address}", "choose another service.address, or stop what uses it"
            ) from None
        return port

    def _warm_up(self) -> None:
        for services in self.services.values():
            services.warm_up()

    def _add_services(self) -> None:
        for name, add in ADD_TO_SERVER.items():
            add(OfCaller({tenant: one.servicers[name] for tenant, one in self.services.items()}), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if self._options.reflection:
            names = (*ADD_TO_SERVER, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self._server)

    def _watch(self, metrics: Metrics) -> None:
        services = self.services
        metrics.queue("impressions", lambda: sum(one.impressions.waiting for one in services.values()))
        metrics.watch(
            "triveni_items",
            "Items of the catalogue.",
            lambda: {(name,): one.tenant.store.count() for name, one in services.items()},
            labels=["tenant"],
        )
        metrics.watch(
            "triveni_impressions_dropped_total",
            "Served lists that were not written: learning will not know of them.",
            lambda: {(name,): one.impressions.dropped for name, one in services.items()},
            labels=["tenant"],
            counter=True,
        )
        metrics.watch(
            "triveni_model_info",
            "The versions of the model in use.",
            lambda: {
                (version, role, name): 1.0
                for name, one in services.items()
                for role, version in one.versions().items()
            },
            labels=["version", "role", "tenant"],
        )
        metrics.watch(
            "triveni_cache_total",
            "What was asked of caches, and whether it was there.",
            lambda: {
                (cache, outcome, name): count
                for name, one in services.items()
                for cache, uses in one.caches().items()
                for outcome, count in zip(("hit", "miss"), uses, strict=True)
            },
            labels=["cache", "outcome", "tenant"],
            counter=True,
        )
        metrics.watch(
            "triveni_drift",
            "How far what is asked is from what the version that serves was trained on: above 0.25 much has changed.",
            lambda: {
                (figure, name): value
                for name, one in services.items()
                if one.tenant.serving
                for figure, value in one.tenant.serving.drift().items()
            },
            labels=["figure", "tenant"],
        )

    def _watch_doors(self, metrics: Metrics) -> None:
        metrics.watch(
            "triveni_quota_refused_total",
            "Calls that were refused as their tenant had asked for too much.",
            lambda: {(name,): self._quotas.refused[name] for name in self.services},
            labels=["tenant"],
            counter=True,
        )
        metrics.watch(
            "triveni_quota_alone_total",
            "Calls and messages that this server counted alone, as Redis was away.",
            lambda: {(): self._quotas.alone},
            counter=True,
        )
        metrics.watch(
            "triveni_refused_total",
            "Calls and requests that came without a credential, or without the scope.",
            lambda: {(code,): count for code, count in self._access.refusals.items()},
            labels=["code"],
            counter=True,
        )
        metrics.watch(
            "triveni_audit_lost_total",
            "Lines of the audit log that could not be written.",
            lambda: {(): self._access.audit.lost},
            counter=True,
        )

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
            await self._calls.cut_off()
        for door in self._doors:
            await door.close(max(until - time.monotonic(), _LINGER))
        await asyncio.sleep(_LINGER)
        await self._server.stop(None)  # ends health watches and reflection streams too
        self._inside.close()
        await self._quotas.close()
        await asyncio.to_thread(self._pools.close)
        for services in self.services.values():
            await asyncio.to_thread(services.close)
        await asyncio.to_thread(self._tracing.close)
        self._log.info("stopped")
