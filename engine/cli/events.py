"""`triveni events`: files of events into the store and out of it, what it holds, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from engine.cli.common import console, settings_of, stderr
from engine.errors import NotFoundError, StoreInUseError
from engine.types import EventKind

if TYPE_CHECKING:
    from engine.config import Settings
    from engine.events.report import CheckReport
    from engine.events.rows import BadLine, Line
    from engine.events.types import KnownItems

app = typer.Typer(help="What people did: import, export, count, check.", no_args_is_help=True)

SHOWN = 10
"""Bad lines that are told one by one."""

_Event = TypeVar("_Event")

Columns = Annotated[
    list[str] | None, typer.Option("--column", help="ROLE=COLUMN, such as item_id=sku; may be given again.")
]
Kind = Annotated[EventKind | None, typer.Option(help="The kind of all events of a file without a column for it.")]
Ignore = Annotated[list[str] | None, typer.Option(help="A column to leave out; may be given again.")]
CheckItems = Annotated[
    bool | None,
    typer.Option(
        "--check-items/--no-check-items",
        help="Whether to look the items up in the catalogue; events.check_items if not given.",
    ),
]
Since = Annotated[str, typer.Option(help="Only events from this time on: RFC 3339; UTC without a zone.")]
Until = Annotated[str, typer.Option(help="Only events before this time.")]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON.")]


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .jsonl, .csv or .parquet file.")],
    column: Columns = None,
    kind: Kind = None,
    ignore: Ignore = None,
    check_items: CheckItems = None,
    max_errors: Annotated[
        int, typer.Option(min=0, help="Exit with 1 if more lines than this were refused; the others are kept.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Record the events of a file. It may be imported again, as after an interruption: what is there stays as it is.

    Columns: user_id, kind, time, and item_id, text, or vector with modality and fingerprint; value, id, request_id,
    context. A server may run meanwhile, but holds an embedded catalogue: then give --no-check-items. Exit codes: 0
    done, 1 failed or more refused lines than --max-errors, 2 called wrongly.

    Example: triveni events import ratings.csv --kind rate --column value=stars --ignore title
    """
    from engine import compose
    from engine.events.files import import_events

    settings = settings_of(ctx)
    lines = _read(file, column, kind, ignore)
    bad: list[BadLine] = []
    refused = 0

    def on_bad(line: BadLine) -> None:
        nonlocal refused
        refused += 1
        if refused <= SHOWN:
            bad.append(line)

    with _known_items(settings, check_items) as known, closing(compose.open_events(settings, known)) as store:
        done = import_events(store, _counted(lines), on_bad)
    if as_json:
        examples = [{"line": line.number, "field": line.error.field, "reason": str(line.error)} for line in bad]
        counts = {"recorded": done.recorded, "duplicates": done.duplicates, "rejected": done.rejected}
        console.print_json(json.dumps({**counts, "examples": examples}))
    else:
        table = Table(title="Imported", title_justify="left")
        table.add_column("lines")
        table.add_column("", justify="right")
        table.add_row("recorded", f"{done.recorded:,}")
        table.add_row("there already", f"{done.duplicates:,}")
        table.add_row("refused", f"{done.rejected:,}", style="red" if done.rejected else None)
        console.print(table)
        for line in bad:
            stderr.print(f"line {line.number}: {line.error}", highlight=False, markup=False, soft_wrap=True)
        if done.rejected > len(bad):
            stderr.print(f"and {done.rejected - len(bad)} more: triveni events check {file} counts them by cause")
    if done.rejected > max_errors:
        raise typer.Exit(1)


@app.command()
def export(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The .jsonl, .csv or .parquet file to write.")],
    since: Since = "",
    until: Until = "",
    as_json: AsJson = False,
) -> None:
    """Write the events of the store to a file, oldest first; `import` reads it.

    The file is there whole or not at all. Exit codes: 0 done, 1 failed, 2 called wrongly.

    Example: triveni events export events.parquet --since 2026-01-01
    """
    from engine import compose
    from engine.events.files import export_events

    bounds = _time(since, "--since"), _time(until, "--until")
    with closing(compose.open_events(settings_of(ctx), existing=True)) as store:
        count = export_events(file, _counted(store.export(since=bounds[0], until=bounds[1])))
    if as_json:
        console.print_json(json.dumps({"events": count, "file": str(file)}))
    else:
        console.print(f"{file}: {count:,} events", highlight=False, soft_wrap=True)


@app.command()
def stats(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Count what the store holds: events by kind, people, served lists.

    Example: triveni events stats --json
    """
    from engine import compose

    with closing(compose.open_events(settings_of(ctx), existing=True)) as store:
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
    table = Table(title="Event store", title_justify="left")
    table.add_column("")
    table.add_column("", justify="right")
    for kind, count in sorted(found.kinds.items(), key=lambda pair: -pair[1]):
        table.add_row(str(kind), f"{count:,}")
    table.add_section()
    table.add_row("events", f"{found.events:,}")
    table.add_row("people", f"{found.users:,}")
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
    ignore: Ignore = None,
    check_items: CheckItems = None,
    as_json: AsJson = False,
) -> None:
    """Look for what spoils training: wrong clocks, duplicates, machines, unknown items, missing values.

    Changes nothing. Exit codes: 0 nothing found, 1 something found or failed, 2 called wrongly.

    Example: triveni events check clicks.jsonl --no-check-items
    """
    from engine import compose
    from engine.events.report import check_events

    settings = settings_of(ctx)
    with ExitStack() as opened:
        known = opened.enter_context(_known_items(settings, check_items))
        if file is None:
            events: Iterable[Line | BadLine] | Iterable[object] = opened.enter_context(
                closing(compose.open_events(settings, existing=True))
            ).export()
        else:
            events = _read(file, column, kind, ignore)
        report = check_events(
            _counted(events),  # type: ignore[arg-type]
            now=datetime.now(UTC),
            known_items=known,
            limits=compose.event_limits(settings),
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
        f"{report.events:,} events of {report.users:,} people on {report.items:,} items{span}", highlight=False
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


def _read(
    file: Path, column: list[str] | None, kind: EventKind | None, ignore: list[str] | None
) -> Iterator[Line | BadLine]:
    from engine.events.files import read_events

    columns = {}
    for value in column or ():
        role, equals, name = value.partition("=")
        if not (role and equals and name):
            raise typer.BadParameter(f"--column {value!r} is not ROLE=COLUMN: write it such as item_id=sku")
        columns[role] = name
    return read_events(file, columns=columns, kind=kind, ignore=frozenset(ignore or ()))


@contextmanager
def _known_items(settings: Settings, wanted: bool | None) -> Iterator[KnownItems | None]:
    """The items of the catalogue, which is open meanwhile; None where they are not to be asked for."""
    from engine import compose

    if not (settings.events.check_items if wanted is None else wanted):
        yield None
        return
    if compose.store_collections(settings).current(settings.store.collection) is None:
        raise NotFoundError("there is no catalogue to look items up in", "index it first, or give --no-check-items")
    try:
        store = compose.open_store(settings, compose.open_space(settings))
    except StoreInUseError as error:
        raise StoreInUseError(error.problem, "stop that process, or give --no-check-items") from None
    with closing(store):
        yield compose.known_items(store)


def _time(value: str, option: str) -> datetime | None:
    if not value:
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise typer.BadParameter(f"{option} {value!r} is no time: write it such as 2026-05-01T12:00:00Z") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _counted(events: Iterable[_Event]) -> Iterator[_Event]:
    """The events; on a terminal their number is shown while they pass."""
    with Progress(SpinnerColumn(), TextColumn("{task.completed:,.0f} events"), console=stderr, transient=True) as bar:
        task = bar.add_task("", total=None)
        for event in events:
            yield event
            bar.advance(task)
