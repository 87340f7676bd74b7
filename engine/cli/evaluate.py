"""`triveni evaluate`: how well rankers foretell what people did next."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.common import console, settings_of, stderr
from engine.errors import NotFoundError, StoreInUseError
from engine.types import EventKind

if TYPE_CHECKING:
    from engine.config import Settings
    from engine.events.types import UserEvent
    from engine.items import ItemTable
    from engine.learn.evaluate import Evaluation
    from engine.learn.ranker import Split
    from engine.learn.splits import Positives
    from engine.learn.stats import Interval

SHOWN = 5
"""Bad lines that are told one by one."""


class SplitKind(StrEnum):
    """How events are split into what is known and what is to be foretold."""

    LEAVE_LAST_OUT = "leave-last-out"
    TIME = "time"
    READY = "ready"
    HIDDEN_ITEMS = "hidden-items"


def evaluate(
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[EVENTS]", help="A .jsonl, .csv or .parquet file of events; the store if not given."),
    ] = None,
    split: Annotated[
        SplitKind,
        typer.Option(
            help="Foretell each person's last event; all from a time on; the --test file; or events on hidden items."
        ),
    ] = SplitKind.LEAVE_LAST_OUT,
    at: Annotated[str, typer.Option(help="With --split time, the time: RFC 3339; UTC without a zone.")] = "",
    share: Annotated[
        float, typer.Option(help="With time, the share of events to foretell; with hidden-items, of items to hide.")
    ] = 0.1,
    valid: Annotated[
        Path | None, typer.Option(help="With --split ready, the validation file; known for the test.", dir_okay=False)
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="With --split ready, the file to foretell; EVENTS is then the training file.")
    ] = None,
    catalog: Annotated[
        bool | None,
        typer.Option(
            "--catalog/--no-catalog",
            help="Whether to rank the catalogue's items, with their texts and vectors, or those that events name; "
            "the catalogue if there is one.",
        ),
    ] = None,
    ranker: Annotated[
        list[str] | None,
        typer.Option("--ranker", help="A baseline; may be given again. All that can run if not given."),
    ] = None,
    scores: Annotated[
        list[Path] | None,
        typer.Option("--scores", help="An .npz of scores made elsewhere: users, items, scores; may be given again."),
    ] = None,
    reference: Annotated[
        str, typer.Option(help="The ranker that all others are compared with; the best simple one if not given.")
    ] = "",
    k: Annotated[list[int] | None, typer.Option("--k", min=1, help="Places that count; may be given again.")] = None,
    kind: Annotated[
        list[EventKind] | None, typer.Option("--kind", help="A kind of event that counts; may be given again.")
    ] = None,
    min_value: Annotated[
        float | None, typer.Option(help="Ratings below this are no interest, such as 4 (stars).")
    ] = None,
    seen: Annotated[
        bool, typer.Option("--seen/--no-seen", help="Whether items that were seen are ranked too.")
    ] = False,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Also fit what uses vectors without each modality's.")
    ] = False,
    l2: Annotated[
        float, typer.Option("--ease-l2", min=0, help="The penalty of EASE; smaller for fewer events.")
    ] = 500.0,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal figures.")] = 0,
    report: Annotated[Path | None, typer.Option(help="An HTML page to write.", dir_okay=False)] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="A JSON file to write; - for the output.")] = None,
) -> None:
    """Fit the baselines on one split, rank all items for each case, and compare them case by case.

    Columns of a file are those of `triveni events import`. Exit codes: 0 done, 1 failed, 2 called wrongly.

    Example: triveni evaluate ratings.parquet --split time --k 10 --k 50 --report evaluation.html
    """
    from engine.learn import report as reports
    from engine.learn.baselines.choose import baselines
    from engine.learn.baselines.combined import Scores
    from engine.learn.evaluate import EvaluateOptions
    from engine.learn.evaluate import evaluate as run
    from engine.learn.splits import POSITIVE_KINDS, Positives

    _check_call(split, file, valid, test, at, share)
    settings = settings_of(ctx)
    least = {} if min_value is None else {EventKind.RATE: min_value}
    positives = Positives(frozenset(kind) if kind else POSITIVE_KINDS, least)
    table = _items(settings, catalog)
    parted, items = _split(settings, split, file, valid, test, at, share, seed, positives, table)
    chosen = baselines(items, ranker, positives=positives, leave_seen_out=not seen, l2=l2, seed=seed)
    rankers = [*chosen.rankers, *(Scores(path) for path in scores or ())]
    names = [one.name for one in rankers]
    against = reference or next(
        (name for name in ("ease + markov", "markov", "popularity") if name in names), names[0]
    )
    with console.status("") as status:
        done = run(
            parted,
            items,
            rankers,
            EvaluateOptions(tuple(sorted(set(k or [10]))), not seen, against, positives, seed=seed),
            ablate=[name for name in names if name == "mean vector"] if ablate else (),
            left_out=chosen.left_out,
            on_step=status.update,
        )
    document = reports.as_document(done)
    shown = {} if file else _shown(settings)
    document["shown"] = {name: {"mean": one.mean, "low": one.low, "high": one.high} for name, one in shown.items()}
    if json_ is not None and str(json_) != "-":
        json_.parent.mkdir(parents=True, exist_ok=True)
        json_.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if report is not None:
        reports.write_html(report, done)
    if str(json_) == "-":
        typer.echo(json.dumps(document, indent=2))
        return
    _print(done, shown)
    for path in (report, json_):
        if path is not None:
            console.print(f"written: {path}", highlight=False, soft_wrap=True)


def _check_call(
    split: SplitKind, file: Path | None, valid: Path | None, test: Path | None, at: str, share: float
) -> None:
    if split is SplitKind.READY and (file is None or test is None):
        raise typer.BadParameter(
            "--split ready needs files: EVENTS to learn from, --test, and --valid if there is one"
        )
    if split is not SplitKind.READY and (valid or test):
        raise typer.BadParameter("--valid and --test go with --split ready")
    if at and split is not SplitKind.TIME:
        raise typer.BadParameter("--at goes with --split time")
    if not 0 < share < 1:
        raise typer.BadParameter(f"--share is {share:g}: give a part between 0 and 1, such as 0.1")


def _split(
    settings: Settings,
    kind: SplitKind,
    file: Path | None,
    valid: Path | None,
    test: Path | None,
    at: str,
    share: float,
    seed: int,
    positives: Positives,
    table: ItemTable | None,
) -> tuple[Split, ItemTable]:
    from engine.learn import splits
    from engine.learn.log import event_log

    if kind is SplitKind.READY:
        train, held, later = (list(_read(path)) if path else [] for path in (file, valid, test))
        if table is not None:
            _check_known(event_log([*train, *held, *later]).items, table)
        _, parted, items = splits.ready_made(train, held, later, positives, table)
        return parted, items
    log = event_log(_read(file) if file else _stored(settings))
    if not len(log):
        raise NotFoundError(f"there are no events in {file or 'the event store'}", "import some, or name a file")
    items = table or splits.items_of(log)
    _check_known(log.items, items)
    if kind is SplitKind.TIME:
        return splits.by_time(log, items, _time(at), share, positives), items
    if kind is SplitKind.HIDDEN_ITEMS:
        return splits.hide_items(log, items, share, seed, positives), items
    return splits.leave_last_out(log, items, positives), items


def _read(file: Path) -> Iterator[UserEvent]:
    """The events of a file; lines that are none are told and left out."""
    from engine.events.files import read_events
    from engine.events.rows import BadLine

    bad = 0
    for line in read_events(file):
        if not isinstance(line, BadLine):
            yield line.event
            continue
        bad += 1
        if bad <= SHOWN:
            stderr.print(f"{file}, line {line.number}: {line.error}", highlight=False, markup=False, soft_wrap=True)
    if bad:
        stderr.print(f"{file}: {bad:,} lines are no events and are left out", highlight=False, soft_wrap=True)


def _stored(settings: Settings) -> Iterator[UserEvent]:
    from engine import compose

    with closing(compose.open_events(settings)) as store:
        yield from store.export()


def _items(settings: Settings, wanted: bool | None) -> ItemTable | None:
    """The items of the catalogue; None where they are not wanted, or there is no catalogue and none was asked for."""
    from engine import compose
    from engine.items import read_items

    if wanted is False:
        return None
    if compose.store_collections(settings).current(settings.store.collection) is None:
        if wanted:
            raise NotFoundError("there is no catalogue to rank", "index it first, or give --no-catalog")
        return None
    try:
        store = compose.open_store(settings, compose.open_space(settings))
    except StoreInUseError as error:
        raise StoreInUseError(error.problem, "stop that process, or give --no-catalog") from None
    with closing(store):
        return read_items(store)


def _check_known(named: tuple[str, ...], items: ItemTable) -> None:
    unknown = sum(name not in items.row_of for name in named)
    if named and unknown == len(named):
        raise NotFoundError(
            f"none of the {len(named):,} items that events name is in the catalogue, such as {named[0]!r}",
            "index them, or give --no-catalog",
        )
    if unknown:
        stderr.print(
            f"{unknown:,} of {len(named):,} items that events name are not in the catalogue: they are not ranked",
            highlight=False,
            soft_wrap=True,
        )


def _shown(settings: Settings) -> dict[str, Interval]:
    """The click-through rate and the conversion of the lists that were served, per place."""
    from engine import compose
    from engine.learn.stats import logged_places, rate

    with closing(compose.open_events(settings)) as store:
        served = list(store.impressions())
    if not served:
        return {}
    clicks = frozenset({EventKind.CLICK, EventKind.LIKE, EventKind.PURCHASE})
    return {
        "click-through rate": rate(logged_places(served, clicks)),
        "conversion": rate(logged_places(served, frozenset({EventKind.PURCHASE}))),
    }


def _print(done: Evaluation, shown: dict[str, Interval]) -> None:
    from engine.learn.report import as_tables

    for table in as_tables(done):
        console.print(table)
    for name, interval in shown.items():
        console.print(f"{name} per place shown: {interval}", highlight=False)


def _time(value: str) -> float | None:
    if not value:
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise typer.BadParameter(f"--at {value!r} is no time: write it such as 2026-05-01T12:00:00Z") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
