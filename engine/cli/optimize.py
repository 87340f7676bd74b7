"""`triveni optimize`: the search graphs of the store, built now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from engine.cli.common import console, settings_of, terminable
from engine.cli.progress import told

if TYPE_CHECKING:
    from engine.config.settings import Settings
    from engine.learn.pace import Tell

LOOK_SECONDS = 0.5
"""Between two looks at how far a server is."""


def optimize(ctx: typer.Context) -> None:
    """Build the search graphs over what was written, of vectors quantised as store.quantization says.

    Run it after that setting has changed. A Qdrant server converts while all others read and write. `triveni serve`
    converts its embedded store by itself, after a restart, while it serves; this command then shows how far it is.

    Example: triveni optimize
    """
    from engine import opening

    settings = settings_of(ctx)
    with told(settings, "building search graphs") as tell, terminable():
        if opening.running_server(settings):
            _follow(settings, tell)
        else:
            store = opening.open_catalogue(settings)
            if store is None:
                raise typer.BadParameter("there is no catalogue yet: index one, `triveni index CATALOG`")
            try:
                store.optimize(tell)
            finally:
                store.close()
    console.print(f"the search graphs are up to date, quantization {settings.store.quantization}")


def _follow(settings: Settings, tell: Tell) -> None:
    """Show what the server that has the store open builds, until it is done."""
    from engine import opening

    while (building := opening.build_of_server(settings)) is not None:
        tell(*building)
        time.sleep(LOOK_SECONDS)
