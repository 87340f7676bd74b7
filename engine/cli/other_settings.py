"""Whether the settings here say something else than those of the server that answers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.common import settings_of, tell
from engine.config.variables import PREFIX

if TYPE_CHECKING:
    import typer

_OF_CLIENTS = ("TRIVENI_SERVER", "TRIVENI_TOKEN", "TRIVENI_API_KEY", "TRIVENI_TLS", "TRIVENI_TLS_CA")
"""Variables that say how a server is asked; they are no settings."""


def digests_here(ctx: typer.Context) -> Mapping[str, str]:
    """Per setting that shapes answers a digest of it; empty where nothing is set here.

    A mistyped setting is an error, though a server has its own. Where there is neither a file nor a variable there is
    nothing to read, and the model of the settings, which takes longer to load than a server to answer, is spared.

    Raises:
        SettingsError: if the file cannot be read, or a key is unknown or out of range.
    """
    if _place(ctx) is None:
        return {}
    from engine.config.digests import settings_digests

    return settings_digests(settings_of(ctx))


def asking(here: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The metadata of a call that asks the server for digests of its settings, where there are any here."""
    if not here:
        return ()
    from engine.service.calls import SETTINGS

    return ((SETTINGS, "digests"),)


def warn(ctx: typer.Context, here: Mapping[str, str], told: Iterable[tuple[str, str | bytes]], address: str) -> None:
    """Name the settings here that are not the server's.

    Args:
        ctx: of the command.
        here: the digests of the settings here.
        told: the metadata that came with the answer; a server of an earlier version tells nothing.
        address: of the server.
    """
    asked = {key for key, _ in asking(here)}
    there = next((json.loads(value) for key, value in told if key in asked), here)
    other = [name for name in here if name in there and here[name] != there[name]]
    if other:
        tell(
            "warning",
            "yellow",
            f"{_place(ctx)} says otherwise than the server at {address} about {', '.join(other)}: the server's holds",
        )


def _place(ctx: typer.Context) -> str | None:
    """Where something is set; None if nowhere."""
    named: Path | None = ctx.find_root().params.get("settings")
    if named is not None or Path("triveni.toml").is_file():
        return str(named or "triveni.toml")
    set_here = (name for name in os.environ if name.upper().startswith(PREFIX) and name not in _OF_CLIENTS)
    return "the environment" if any(set_here) else None
