"""`triveni events import`: a file of events into the store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from engine.cli.common import console, settings_of, stderr, terminable
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
    from engine.events.files import Imported
    from engine.events.rows import BadLine

SHOWN = 10
"""Bad lines that are told one by one."""


def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .jsonl, .csv or .parquet file.")],
    column: Columns = None,
    kind: Kind = None,
    kind_map: KindMap = None,
    timezone: Timezone = "",
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
    done, 1 failed or more refused lines than --max-errors, 2 called wrongly, 130 interrupted.

    Examples: triveni events import ratings.csv --kind rate --column value=stars --ignore title,
    triveni events import hearts.csv --kind-map hearted=like --timezone Europe/Berlin
    """
    from engine import opening
    from engine.events.files import import_events

    settings = settings_of(ctx)
    options = FileOptions(column, kind, kind_map, timezone, ignore)
    lines = options.read(file, opening.event_kinds(settings))
    bad: list[BadLine] = []

    def on_bad(line: BadLine) -> None:
        if len(bad) < SHOWN:
            bad.append(line)

    with (
        _told_how_far() as on_batch,
        known_items(settings, check_items) as known,
        closing(opening.open_events(settings, known)) as store,
    ):
        done = import_events(store, counted(lines), on_bad, on_batch)
    if as_json:
        examples = [{"line": line.number, "field": line.error.field, "reason": str(line.error)} for line in bad]
        counts = {"recorded": done.recorded, "duplicates": done.duplicates, "rejected": done.rejected}
        console.print_json(json.dumps({**counts, "examples": examples}))
    else:
        _show(done, bad, options.command(ctx, "events", "check", str(file), check_items=check_items))
    if done.rejected > max_errors:
        raise typer.Exit(1)


def _show(done: Imported, bad: list[BadLine], check: str) -> None:
    """The counts, and the first bad lines; `check` is the command that counts all of them."""
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
        more = f"and {done.rejected - len(bad):,} more, which this counts by cause: {check}"
        stderr.print(more, highlight=False, soft_wrap=True)


@contextmanager
def _told_how_far() -> Iterator[Callable[[int, Imported], None]]:
    """If an import is interrupted or fails on its way, say how far it got. It is given what is to be called then."""
    last, done = 0, None

    def on_batch(number: int, so_far: Imported) -> None:
        nonlocal last, done
        last, done = number, so_far

    try:
        with terminable():
            yield on_batch
    except BaseException as error:
        if done is not None:
            counts = f"{done.recorded:,} recorded, {done.duplicates:,} there already, {done.rejected:,} refused"
            stderr.print(f"stopped after line {last:,}: {counts}", highlight=False, soft_wrap=True)
        if done is not None or isinstance(error, KeyboardInterrupt):
            before = "nothing was recorded: " if done is None else ""
            stderr.print(f"{before}import the file again, what is there stays as it is", soft_wrap=True)
        if isinstance(error, KeyboardInterrupt):
            raise typer.Exit(130) from None
        raise
