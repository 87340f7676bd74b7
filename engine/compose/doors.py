"""How a server listens, whom it lets in, how much they may ask for, and what it tells of itself.

Imports are inside the functions, so that a command loads only what it uses: PyTorch alone takes seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from engine.compose.engine import request_threads
from engine.config.settings import Settings
from engine.opening import event_limits

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from engine.http.server import HttpServer
    from engine.service.access.access import Access
    from engine.service.access.tls import TlsFiles
    from engine.service.metrics import Metrics
    from engine.service.metrics_door import MetricsDoor
    from engine.service.quotas.quotas import Quotas
    from engine.service.server import ServerOptions
    from engine.service.tracing import Tracing


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
