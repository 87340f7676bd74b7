"""`triveni serve`: the gRPC server, and HTTP beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.common import settings_of_all

if TYPE_CHECKING:
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
    import faulthandler

    from engine.service.logs import configure_logs, loading

    faulthandler.enable()  # a file of the store that is cut off under a server ends it; not without a word
    configure_logs(settings.log.level, json_lines=settings.log.json_lines)
    with loading("program"):
        from engine.cli.serving import open_server
        from engine.core.threads import prompt_event_loop, short_collections
        from engine.service.lifecycle import serve_until_signal

    with ExitStack() as opened:
        http = http or settings.http.address or (STUDIO_ADDRESS if studio else "")
        whole = open_server(settings, opened, address=address, http=http, studio=studio)

        def started() -> None:
            short_collections()
            ready(whole.announce())

        with asyncio.Runner(loop_factory=prompt_event_loop) as runner:
            runner.run(serve_until_signal(whole.server, started))
