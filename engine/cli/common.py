"""What every command needs: the settings, a console, and errors that end with an exit code."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

from engine.core.errors import SettingsError, StoreError

if TYPE_CHECKING:
    import grpc

    from engine.config.settings import Settings
    from indexers.progress import Watcher

# Titles, paths and messages may hold [square brackets] and :colons:, which are to be printed as they are.
console = Console(markup=False, emoji=False)
"""For results, on standard output."""
stderr = Console(stderr=True, markup=False, emoji=False)
"""For progress and errors."""


def tell(label: str, style: str, message: object) -> None:
    """Print a message after a coloured label on standard error, whatever characters it holds."""
    stderr.print(Text.assemble((f"{label}:", style), " ", str(message)), soft_wrap=True)


def can_print_unicode() -> bool:
    """Whether standard output takes every character."""
    return (sys.stdout.encoding or "ascii").lower().replace("-", "").startswith("utf")


def server_error(address: str, error: grpc.RpcError) -> StoreError:
    """What a server answered instead of what was asked for."""
    import grpc

    from triveni.client.errors import why_none

    # Our servers say more in their statuses than gRPC does where nobody answers.
    told = any(one.key == "grpc-status-details-bin" for one in error.trailing_metadata() or ())
    if error.code() is grpc.StatusCode.UNAVAILABLE and not told:
        why, about_tls = why_none(error.details() or "")
        if about_tls:
            return StoreError(f"no server answers at {address}, {why}", about_tls)
        remedy = "name one as HOST:PORT, or start one with `triveni serve`"
        return StoreError(f"no server answers at {address}", remedy)
    return StoreError(f"the server at {address} answered {error.code().name}: {error.details()}")


def watcher_of(settings: Settings, doing: str) -> Watcher:
    """Says how far a run is: a bar on a terminal, log lines elsewhere; both on standard error."""
    from engine.service.logs import configure_logs
    from indexers.progress import Bar, Lines

    if stderr.is_terminal:
        return Bar(stderr, doing)
    configure_logs(settings.log.level, json_lines=settings.log.json_lines)
    return Lines(doing=doing)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does: with a summary, and what is written stays."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def settings_of(ctx: typer.Context) -> Settings:
    """The settings of the catalogue that a command works on: those of the tenant of `--tenant`, where there are any.

    Raises:
        SettingsError: if there are tenants and none is named, or one is named that there is not.
    """
    settings, tenant = common_settings(ctx), tenant_of(ctx)
    if settings.tenants and not tenant:
        there = ", ".join(settings.tenants)
        raise SettingsError(f"there are several tenants: {there}", "name one: triveni --tenant NAME COMMAND")
    return settings.of_tenant(tenant) if tenant else settings


def tenant_of(ctx: typer.Context) -> str:
    """The tenant that the command line names; "" if it names none."""
    return ctx.find_root().params.get("tenant") or ""


def settings_of_all(ctx: typer.Context) -> Settings:
    """The settings as they stand, for a command that works on all tenants, or none.

    Raises:
        SettingsError: if a tenant is named.
    """
    tenant = tenant_of(ctx)
    if tenant:
        raise SettingsError(f"`triveni {ctx.info_name}` is not of one tenant, {tenant!r}", "leave --tenant out")
    return common_settings(ctx)


def common_settings(ctx: typer.Context) -> Settings:
    """The settings as they stand, whichever tenant is named.

    They are read when first asked for: `--help` does not need their model, which takes a while to load.
    """
    root = ctx.find_root()
    if root.obj is None:
        from engine.config.settings import load_settings

        path: Path | None = root.params.get("settings")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", FutureWarning)
            root.obj = load_settings(path)
        for warning in said:
            tell("warning", "yellow", warning.message)
    settings: Settings = root.obj
    return settings
