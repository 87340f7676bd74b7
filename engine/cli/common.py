"""What every command needs: the settings, a console, and errors that end with an exit code."""

from pathlib import Path

import typer
from rich.console import Console

from engine.config import Settings, load_settings

console = Console()
"""For results, on standard output."""
stderr = Console(stderr=True)
"""For progress and errors."""


def settings_of(ctx: typer.Context) -> Settings:
    """The settings, read when first asked for, so that `--help` needs none."""
    root = ctx.find_root()
    if not isinstance(root.obj, Settings):
        path: Path | None = root.params.get("settings")
        root.obj = load_settings(path)
    settings: Settings = root.obj
    return settings
