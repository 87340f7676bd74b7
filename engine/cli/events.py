"""`triveni events`: files of events into the store and out of it, what it holds, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from engine.cli import times
from engine.cli.common import console, settings_of
from engine.cli.event_follow import follow
from engine.cli.event_import import import_
from engine.cli.event_inputs import (
    AsJson,
    CheckItems,
    Columns,
    FileOptions,
    Ignore,
    Kind,
    KindMap,
    Timezone,
    counted,
    known_items,
)

if TYPE_CHECKING:
    from engine.events.report import CheckReport
    from engine.events.rows import BadLine, Line

app = typer.Typer(help="What people did: import, export, count, check, purge.", no_args_is_help=True)
app.command("import")(import_)
app.command()(follow)

Since = Annotated[str, typer.Option(help="Only events from this time on: RFC 3339; UTC without a zone.")]
Until = Annotated[str, typer.Option(help="Only events before this time.")]


@app.command()
def export(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The .jsonl, .csv or .parquet file to write.")],
    since: Since = "",
    until: Until = "",
    user: Annotated[str, typer.Option(help="Only what is kept of this person: their lists too, newest first.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write the events of the store to a file, oldest first; `import` reads it.

    With --user it is all that is kept of one person, to be handed over: the lists that they were served are a second
    file beside it, NAME-lists.jsonl. A file is there whole or not at all. Exit codes: 0 done, 1 failed, 2 called
    wrongly.

    Examples: triveni events export events.parquet --since 2026-01-01,
    triveni events export ann.jsonl --user ann
    """
    from engine import opening
    from engine.core.types import UserId
    from engine.events import files, whole

    if user and (since or until):
        raise typer.BadParameter("--user exports all of a person: leave out --since and --until")
    bounds = times.moment(since, "--since"), times.moment(until, "--until")
    lists, served = file.with_name(f"{file.stem}-lists.jsonl"), 0
    with closing(opening.open_events(settings_of(ctx), existing=True)) as store:
        if user:
            person = UserId(user)
            served = files.export_lists(lists, whole.lists(store, person))
        events = whole.events(store, person) if user else store.export(since=bounds[0], until=bounds[1])
        count = files.export_events(file, counted(events))
    if as_json:
        more = {"lists": served, "lists_file": str(lists)} if user else {}
        console.print_json(json.dumps({"events": count, "file": str(file), **more}))
        return
    console.print(f"{file}: {count:,} events", highlight=False, soft_wrap=True)
    if user:
        console.print(f"{lists}: {served:,} served lists", highlight=False, soft_wrap=True)


@app.command()
def purge(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Delete what is older than events.retention_days and events.list_retention_days, as a server does each day.

    Then the database's files are rid of all that was deleted, also by DeleteUser: SQLite's is written anew, and other
    writers wait meanwhile.
    """
    from engine import opening

    gone = 0
    with closing(opening.open_events(settings_of(ctx), existing=True)) as store:
        while some := store.purge():
            gone += some
        store.scrub()
    if as_json:
        console.print_json(json.dumps({"deleted": gone}))
    else:
        console.print(f"{gone:,} events and served lists deleted", highlight=False)


@app.command()
def stats(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Count what the store holds: events by kind, people, served lists.

    Example: triveni events stats --json
    """
    from engine import opening

    settings = settings_of(ctx)
    with closing(opening.open_events(settings, existing=True)) as store:
        found = store.stats()
    if as_json:
        document = {
            "events": found.events,
            "users": found.users,
            "impressions": found.impressions,
            "kinds": {str(kind): count for kind, count in found.kinds.items()},
            "first": found.first and found.first.isoformat(),
            "last": found.last and found.last.isoformat(),
        }
        console.print_json(json.dumps(document))
        return
    kinds, table = opening.event_kinds(settings), Table(title="Event store", title_justify="left")
    table.add_column("")
    table.add_column("", justify="right")
    for kind, count in sorted(found.kinds.items(), key=lambda pair: -pair[1]):
        table.add_row(kind if kind in kinds else f"{kind} (not declared)", f"{count:,}")
    table.add_section()
    table.add_row("events", f"{found.events:,}")
    table.add_row("users", f"{found.users:,}")
    table.add_row("served lists", f"{found.impressions:,}")
    for name, time in (("first", found.first), ("last", found.last)):
        table.add_row(name, f"{time:%Y-%m-%d %H:%M:%S}Z" if time else "-")
    console.print(table)


@app.command()
def check(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A file of events; the store if not given.")
    ] = None,
    column: Columns = None,
    kind: Kind = None,
    kind_map: KindMap = None,
    timezone: Timezone = "",
    ignore: Ignore = None,
    check_items: CheckItems = None,
    as_json: AsJson = False,
) -> None:
    """Look for what spoils training: wrong clocks, duplicates, machines, unknown items, missing values.

    Changes nothing. Exit codes: 0 nothing found, 1 something found or failed, 2 called wrongly.

    Example: triveni events check clicks.jsonl --no-check-items
    """
    from engine import opening
    from engine.events.report import check_events

    settings = settings_of(ctx)
    with ExitStack() as opened:
        known = opened.enter_context(known_items(settings, check_items))
        if file is None:
            events: Iterable[Line | BadLine] | Iterable[object] = opened.enter_context(
                closing(opening.open_events(settings, existing=True))
            ).export()
        else:
            events = FileOptions(column, kind, kind_map, timezone, ignore).read(file, opening.event_kinds(settings))
        report = check_events(
            counted(events),  # type: ignore[arg-type]
            now=datetime.now(UTC),
            known_items=known,
            limits=opening.event_limits(settings),
        )
    _show(report, as_json)
    if report.findings:
        raise typer.Exit(1)


def _show(report: CheckReport, as_json: bool) -> None:
    if as_json:
        document = {
            "events": report.events,
            "users": report.users,
            "items": report.items,
            "first": report.first and report.first.isoformat(),
            "last": report.last and report.last.isoformat(),
            "findings": [
                {
                    "code": finding.code,
                    "count": finding.count,
                    "problem": finding.problem,
                    "remedy": finding.remedy,
                    "examples": finding.examples,
                }
                for finding in report.findings
            ],
        }
        console.print_json(json.dumps(document))
        return
    span = f", {report.first:%Y-%m-%d} to {report.last:%Y-%m-%d}" if report.first and report.last else ""
    console.print(
        f"{report.events:,} events of {report.users:,} users on {report.items:,} items{span}", highlight=False
    )
    if not report.findings:
        console.print("nothing is wrong with them")
        return
    table = Table(title="Found", title_justify="left")
    table.add_column("events", justify="right")
    for heading in ("what", "remedy"):
        table.add_column(heading, overflow="fold")
    table.add_column("first of them", style="dim", overflow="fold")
    for finding in report.findings:
        table.add_row(f"{finding.count:,}", finding.problem, finding.remedy, "\n".join(finding.examples))
    console.print(table)
