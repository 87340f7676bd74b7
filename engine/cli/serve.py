"""`triveni serve`: the gRPC server."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.common import settings_of

if TYPE_CHECKING:
    from engine.config import Settings
    from engine.service.server import ServerOptions


def serve(
    ctx: typer.Context,
    address: Annotated[
        str, typer.Option(help="host:port to listen on, instead of service.address; port 0 takes a free one.")
    ] = "",
) -> None:
    """Serve the indexed catalogue over gRPC.

    SIGTERM and Ctrl-C let running calls end (service.drain_seconds), a second one exits at once. The standard
    health service says SERVING once an inference of every modality has passed.
    """
    from engine import compose
    from engine.service.logs import configure_logs

    settings = settings_of(ctx)
    configure_logs(settings.log.level, json_lines=settings.log.json_lines)
    options = compose.server_options(settings)
    _serve(settings, replace(options, address=address) if address else options)


def _serve(settings: Settings, options: ServerOptions) -> None:
    from encoders.budget import give_back_memory
    from engine import compose
    from engine.service.lifecycle import serve_until_signal
    from engine.service.server import Server
    from engine.threads import one_blas_thread

    one_blas_thread()
    give_back_memory()
    space = compose.open_space(settings)
    with ExitStack() as opened:
        store = compose.open_store(settings, space)
        opened.callback(store.close)
        events = compose.open_events(settings, compose.known_items(store) if settings.events.check_items else None)
        opened.callback(events.close)
        encoder = compose.micro_batcher(settings, space)
        opened.callback(encoder.close)
        search = compose.batched_search(settings, store)
        opened.callback(search.close)
        serving = compose.open_serving(settings, space, store)
        opened.callback(serving.close)
        serving.start()
        trainings = compose.open_trainings(settings, serving, store)
        opened.callback(trainings.close)
        engine = compose.build_engine(settings, space, store, encoder, search, serving)
        server = Server(engine, encoder, store, events, space, options, serving=serving, trainings=trainings)
        asyncio.run(serve_until_signal(server, lambda: compose.announce(store, options.address, server.port)))
