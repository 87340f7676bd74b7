"""`triveni studio`: the server, with a page to see and try it."""

import os
import sys
from typing import Annotated

import typer

from engine.cli import serve
from engine.cli.common import console, settings_of_all


def studio(
    ctx: typer.Context,
    http: Annotated[
        str,
        typer.Option(
            help=f"host:port of the page, instead of http.address or {serve.STUDIO_ADDRESS}; port 0: a free one."
        ),
    ] = "",
    address: Annotated[
        str, typer.Option(help="host:port of gRPC, instead of service.address; port 0 takes a free one.")
    ] = "",
    browser: Annotated[bool, typer.Option(help="Open the page in a browser, where there is a desktop.")] = True,
) -> None:
    """Serve the indexed catalogue, with a page to see and try the engine: Triveni Studio.

    The page is served to this machine only, unless --http or http.address says otherwise; it asks no other host.
    """

    def ready(where: str) -> None:
        url = f"http://{where}/"
        console.print(f"Triveni Studio: {url}", highlight=False)
        if browser and _desktop():
            typer.launch(url)

    serve.run(settings_of_all(ctx), address, http, studio=True, ready=ready)


def _desktop() -> bool:
    """Whether somebody sits before a terminal of a desktop."""
    shown = sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return shown and sys.stdout.isatty()
