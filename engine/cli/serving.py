"""A whole server, put together from the settings: its tenants, its doors, the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from encoders.decoding.budget import give_back_memory
from engine import opening
from engine.compose.doors import (
    http_doors,
    metrics_doors,
    open_access,
    open_quotas,
    server_options,
    tls_files,
    tracing,
)
from engine.compose.engine import micro_batcher
from engine.compose.page import open_studios
from engine.compose.tenant import open_tenant
from engine.core.errors import SettingsError
from engine.core.threads import one_blas_thread
from engine.service.access.listening import check_listening
from engine.service.logs import UserNames, loading
from engine.service.metrics import Metrics
from engine.service.server import Server

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from engine.config.settings import Settings
    from engine.http.server import HttpServer
    from engine.service.access.access import Access
    from engine.service.access.tls import TlsFiles
    from engine.service.services import Tenant


@dataclass(frozen=True, slots=True)
class WholeServer:
    """A server that is not started yet."""

    server: Server
    tenants: Mapping[str, Tenant]
    address: str
    """That gRPC listens on, as it was told."""
    http: str
    """That HTTP listens on, as it was told; "" if on none."""
    door: HttpServer | None

    @property
    def reached_at(self) -> str:
        """Where gRPC is asked from this machine, HOST:PORT; it is not known before that listens."""
        return opening.reachable(self.address, self.server.port)

    def announce(self) -> str:
        """Let commands on this machine find it once it has started; tells where HTTP is asked, "" if nowhere."""
        for tenant in self.tenants.values():
            opening.announce(tenant.store, self.address, self.server.port)
        return opening.reachable(self.http, self.door.port) if self.door else ""


def open_server(
    settings: Settings, opened: ExitStack, *, address: str = "", http: str = "", studio: bool = False
) -> WholeServer:
    """Open all that a server needs.

    Args:
        settings: the settings of all.
        opened: closes it, once the server has stopped.
        address: HOST:PORT of gRPC; "" takes the settings'.
        http: HOST:PORT of HTTP; "" takes the settings'.
        studio: whether the page is served, too.

    Raises:
        SettingsError: if there are tenants and nobody is asked for credentials, an address should not be as it is,
            or a file cannot be read.
        TriveniError: if something cannot be opened.
    """
    access, tls = open_access(settings), tls_files(settings)
    if settings.tenants and not access.asks:
        raise SettingsError(
            "there are tenants and no credentials, which tell whose a call is", "set access.keys or access.jwks"
        )
    options = server_options(settings)
    listening = options.model_copy(update={"address": address}) if address else options
    http = http or settings.http.address
    _check_doors(settings, listening.address, http, access, tls)
    one_blas_thread()
    give_back_memory()
    with loading("encoders", space=settings.space.name):
        limits = opening.decode_limits(settings)
        space = opening.open_space(settings, limits)
    metrics = Metrics()
    encoder = micro_batcher(settings, space, metrics)
    opened.callback(encoder.close)
    owned = settings.by_tenant()
    quotas = open_quotas(owned)
    tenants = {}
    for name, own in owned.items():
        if name:
            structlog.get_logger("triveni.service").info("tenant", name=name)
        tenants[name] = open_tenant(own, space, encoder, metrics, opened)
    routes: Sequence[BaseRoute] = ()
    if studio:
        from engine.studio.routes import routes_of

        studios = open_studios(owned, tenants, space, limits, lambda: whole.reached_at, metrics, opened)
        routes = routes_of(studios, access, quotas)
    doors = http_doors(settings, http, routes, access=access, tls=tls)
    server = Server(
        tenants,
        space,
        listening,
        doors=(*doors, *metrics_doors(settings, metrics)),
        metrics=metrics,
        tracing=tracing(settings),
        names=UserNames(settings.log.user_key.get_secret_value()),
        access=access,
        quotas=quotas,
        tls=tls,
    )
    whole = WholeServer(server, tenants, listening.address, http, next(iter(doors), None))
    return whole


def _check_doors(settings: Settings, address: str, http: str, access: Access, tls: TlsFiles | None) -> None:
    """Refuse, or warn of, what other machines would reach; before anything is loaded, which takes seconds."""
    asks = access.asks or (tls is not None and tls.asks_clients)
    for section, where, insecure in (
        ("service", address, settings.service.insecure),
        ("http", http, settings.http.insecure),
    ):
        if where:
            check_listening(section, where, encrypted=tls is not None, asks=asks, insecure=insecure)
    if settings.metrics.address:
        insecure = settings.metrics.insecure
        check_listening("metrics", settings.metrics.address, encrypted=False, asks=False, insecure=insecure)
