"""`triveni access`: API keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.common import common_settings, console, tell, tenant_of

if TYPE_CHECKING:
    from engine.service.access.keys import KeyFile

app = typer.Typer(no_args_is_help=True, help="Keys that callers of a server need (docs/security.md).")

_LIFETIME = re.compile(r"(\d{1,5})([dwy])")
_DAYS = {"d": 1, "w": 7, "y": 365}

_File = Annotated[
    Path | None, typer.Option("--file", help="The file of keys, instead of access.keys.", dir_okay=False)
]


@app.command("add-key")
def add_key(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose it is; a key that takes another's place has the same name.")],
    scopes: Annotated[
        str, typer.Option(help="What it may do: read, write, train, admin; several with commas.")
    ] = "read",
    tenant: Annotated[str, typer.Option(help="The tenant that it is of, where there are several.")] = "",
    expires: Annotated[str, typer.Option(help="After how long it is valid no more: 90d, 12w, 1y; or never.")] = "90d",
    file: _File = None,
) -> None:
    """Make a key, and print it: it is nowhere else. Servers know it within a second.

    Two keys of one name may be valid at once: add the new one, let callers change over, then revoke the old one.

    Example: triveni access add-key shop --scopes read,write
    """
    from engine.service.access.caller import Scope

    wanted = [one.strip() for one in scopes.split(",")]
    unknown = [one for one in wanted if one not in set(Scope)]
    if unknown:
        raise typer.BadParameter(f"there is no scope {unknown[0]!r}: choose from {', '.join(Scope)}")
    found = _LIFETIME.fullmatch(expires)
    if found is None and expires != "never":
        raise typer.BadParameter(f"--expires {expires!r} is no time: write it such as 90d, 12w, 1y, or never")
    lifetime = timedelta(days=int(found[1]) * _DAYS[found[2]]) if found else None
    tenant = tenant or tenant_of(ctx)
    if file is None:
        _check_tenant(ctx, tenant)
    text, key = _keys(ctx, file).add(name, frozenset(map(Scope, wanted)), tenant, lifetime, datetime.now(UTC))
    until = key.expires.isoformat() if key.expires else "it is revoked"
    tell("key", "green", f"{key.id} of {name} is valid until {until}; keep what follows, it is not shown again")
    print(text)


@app.command("list")
def list_keys(ctx: typer.Context, file: _File = None) -> None:
    """Show the keys that there are, without what is secret of them."""
    from rich.table import Table

    now, table = datetime.now(UTC), Table("id", "name", "tenant", "scopes", "created", "expires")
    for key in _keys(ctx, file).every():
        until = f"{key.expires:%Y-%m-%d}" if key.expires else "never"
        expired = "" if key.is_valid(now) else " (expired)"
        scopes = " ".join(sorted(key.scopes))
        table.add_row(key.id, key.name, key.tenant, scopes, f"{key.created:%Y-%m-%d}", until + expired)
    console.print(table)


@app.command()
def revoke(
    ctx: typer.Context,
    identity: Annotated[str, typer.Argument(metavar="ID", help="Of the key, as `triveni access list` shows it.")],
    file: _File = None,
) -> None:
    """Take a key away. Servers know it no more within a second."""
    key = _keys(ctx, file).revoke(identity)
    tell("revoked", "green", f"{key.id} of {key.name}")


def _check_tenant(ctx: typer.Context, tenant: str) -> None:
    """Refuse a key that the server of these settings would refuse."""
    from engine.core.errors import SettingsError

    settings = common_settings(ctx)
    if tenant:
        settings.of_tenant(tenant)
    elif settings.tenants:
        there = ", ".join(settings.tenants)
        raise SettingsError(f"there are several tenants: {there}", "say whose key it is: --tenant NAME")


def _keys(ctx: typer.Context, file: Path | None) -> KeyFile:
    from engine.core.errors import SettingsError
    from engine.service.access.keys import KeyFile

    path = file or common_settings(ctx).access.keys
    if path is None:
        raise SettingsError("there is no file of keys", "set access.keys to where it is to be, or give --file")
    return KeyFile(path)
