"""`triveni serve`: the gRPC server, and HTTP beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.common import settings_of_all

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from engine.config.settings import Settings


STUDIO_ADDRESS = "127.0.0.1:8080"
"""Where the page is served if nothing else is said: to this machine only."""


def serve(
    ctx: typer.Context,
    address: Annotated[
        str, typer.Option(help="host:port to listen on, instead of service.address; port 0 takes a free one.")
    ] = "",
    http: Annotated[
        str,
        typer.Option(help="host:port for HTTP/JSON beside gRPC, instead of http.address; port 0: a free one."),
    ] = "",
    studio: Annotated[
        bool, typer.Option("--studio", help=f"Serve Triveni Studio, too: over HTTP, on {STUDIO_ADDRESS} if not said.")
    ] = False,
) -> None:
    """Serve the indexed catalogue over gRPC, and over HTTP/JSON where an address for it is set.

    What is loaded, and how long it took, is logged from the first second on; `ready` follows.
    SIGTERM and Ctrl-C let running calls end (service.drain_seconds), a second one exits at once. The standard
    health service says SERVING once an inference of every modality has passed.
    """
    settings = settings_of_all(ctx)
    run(settings, address, http, studio=studio or settings.studio.serve)


def run(
    settings: Settings, address: str, http: str, *, studio: bool, ready: Callable[[str], None] = lambda _: None
) -> None:
    """Serve until a signal.

    Args:
        settings: the settings.
        address: HOST:PORT of gRPC; "" takes the settings'.
        http: HOST:PORT of HTTP; "" takes the settings'.
        studio: whether the page is served, too.
        ready: is called with HOST:PORT of HTTP, or "", once everything answers.
    """
    from engine.service.logs import UserNames, configure_logs, loading

    configure_logs(settings.log.level, json_lines=settings.log.json_lines)
    with loading("program"):
        import structlog

        from encoders.decoding.budget import give_back_memory
        from engine import compose, opening
        from engine.core.threads import one_blas_thread, prompt_event_loop
        from engine.service.lifecycle import serve_until_signal
        from engine.service.metrics import Metrics
        from engine.service.server import Server

        log = structlog.get_logger("triveni.service")
        options = compose.server_options(settings)
        http = http or settings.http.address or (STUDIO_ADDRESS if studio else "")

    access, tls = compose.open_access(settings), compose.tls_files(settings)
    one_blas_thread()
    prompt_event_loop()
    give_back_memory()
    with loading("encoders", space=settings.space.name):
        limits = opening.decode_limits(settings)
        space = opening.open_space(settings, limits)
    with ExitStack() as opened:
        metrics = Metrics()
        encoder = compose.micro_batcher(settings, space, metrics)
        opened.callback(encoder.close)
        owned = settings.by_tenant()
        quotas = compose.open_quotas(owned)
        tenants = {}
        for name, own in owned.items():
            if name:
                log.info("tenant", name=name)
            tenants[name] = compose.open_tenant(own, space, encoder, metrics, opened)
        listening = options.model_copy(update={"address": address}) if address else options

        def here() -> str:
            return opening.reachable(listening.address, server.port)

        routes: Sequence[BaseRoute] = ()
        if studio:
            from engine.studio.live import Live
            from engine.studio.routes import routes_of

            live = Live(metrics.registry, tenants=tenants)
            opened.callback(live.close)
            routes = routes_of(
                {
                    name: compose.open_studio(
                        owned[name], space, one.store, limits, here, events=one.events, live=live, tenant=name
                    )
                    for name, one in tenants.items()
                },
                access,
                quotas,
            )
        doors = compose.http_doors(settings, http, routes, access=access, tls=tls)
        server = Server(
            tenants,
            space,
            listening,
            doors=(*doors, *compose.metrics_doors(settings, metrics)),
            metrics=metrics,
            tracing=compose.tracing(settings),
            names=UserNames(settings.log.user_key.get_secret_value()),
            access=access,
            quotas=quotas,
            tls=tls,
        )

        def tell() -> None:
            for tenant in tenants.values():
                opening.announce(tenant.store, listening.address, server.port)
            ready(opening.reachable(http, doors[0].port) if doors else "")

        asyncio.run(serve_until_signal(server, tell))
