"""What `triveni evaluate` reads: events, the catalogue, and how both are split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli import times
from engine.cli.common import stderr
from engine.core.errors import NotFoundError, StoreInUseError

if TYPE_CHECKING:
    from encoders.spaces.space import Space
    from engine.catalog.items import ItemTable
    from engine.config.settings import Settings
    from engine.events.types import UserEvent
    from engine.learn.ranker import Split
    from engine.learn.rows.dataset import CrossFit
    from engine.learn.splits import Positives

SHOWN = 5
"""Bad lines that are told one by one."""


class SplitKind(StrEnum):
    """How events are split into what is known and what is to be predicted."""

    LEAVE_LAST_OUT = "leave-last-out"
    TIME = "time"
    READY = "ready"
    HIDDEN_ITEMS = "hidden-items"

    @property
    def cross_fit(self) -> CrossFit:
        """How those that learn from others' scores are to: whether other people's later events are known."""
        return "users" if self in {SplitKind.LEAVE_LAST_OUT, SplitKind.HIDDEN_ITEMS} else "time"


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """Which events, and how they are split."""

    file: Annotated[
        Path | None,
        typer.Argument(metavar="[EVENTS]", help="A .jsonl, .csv or .parquet file of events; the store if not given."),
    ] = None
    split: Annotated[
        SplitKind,
        typer.Option(
            help="Predict each person's last event; all from a time on; the --test file; or events on hidden items."
        ),
    ] = SplitKind.LEAVE_LAST_OUT
    since: Annotated[
        str,
        typer.Option(
            help="Only use events and served lists from then on, to learn from and to judge, as if nothing had "
            "happened before: a time (RFC 3339; UTC without a zone) or how long ago, such as 30d, 12h."
        ),
    ] = ""
    at: Annotated[str, typer.Option(help="With --split time, the time: RFC 3339; UTC without a zone.")] = ""
    share: Annotated[
        float, typer.Option(help="With time, the share of events to predict; with hidden-items, of items to hide.")
    ] = 0.1
    valid: Annotated[
        Path | None, typer.Option(help="With --split ready, the validation file; known for the test.", dir_okay=False)
    ] = None
    test: Annotated[
        Path | None, typer.Option(help="With --split ready, the file to predict; EVENTS is then the training file.")
    ] = None

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            typer.BadParameter: if something does not.
        """
        if self.split is SplitKind.READY and (self.file is None or self.test is None):
            raise typer.BadParameter(
                "--split ready needs files: EVENTS to learn from, --test, and --valid if there is one"
            )
        if self.split is not SplitKind.READY and (self.valid or self.test):
            raise typer.BadParameter("--valid and --test go with --split ready")
        if self.at and self.split is not SplitKind.TIME:
            raise typer.BadParameter("--at goes with --split time")
        if not 0 < self.share < 1:
            raise typer.BadParameter(f"--share is {self.share:g}: give a part between 0 and 1, such as 0.1")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The items, and the space of their vectors."""

    items: ItemTable
    space: Space


def split_of(
    settings: Settings,
    asked: SplitOptions,
    begin: datetime | None,
    seed: int,
    positives: Positives,
    catalogue: Catalogue | None,
) -> tuple[Split, ItemTable]:
    """The split, and the items that are ranked: the catalogue's, or those that events name.

    Args:
        settings: the settings.
        asked: how.
        begin: what happened before is not read; None reads all.
        seed: draws the items that are hidden.
        positives: the events that count.
        catalogue: None where what events name is ranked.

    Raises:
        NotFoundError: if there are no events, or none is on an item of the catalogue.
        EventFileError: if a file cannot be read.
        TooLittleDataError: if there is nothing to predict.
    """
    from engine.learn import splits
    from engine.learn.log import event_log
    from engine.learn.training_data import told_what_there_is

    table = catalogue.items if catalogue else None
    if asked.split is SplitKind.READY:
        train, held, later = (
            list(_read(settings, path, begin)) if path else [] for path in (asked.file, asked.valid, asked.test)
        )
        if table is not None:
            _check_known(event_log([*train, *held, *later]).items, table)
        _, parted, items = splits.ready_made(train, held, later, positives, table)
        return parted, items
    log = event_log(_read(settings, asked.file, begin) if asked.file else stored(settings, begin))
    if not len(log):
        from_then = f" from {begin:%Y-%m-%d %H:%M} UTC on" if begin else ""
        raise NotFoundError(
            f"there are no events in {asked.file or 'the event store'}{from_then}",
            "record some (triveni events import FILE), name a file, or make some up (triveni simulate)",
        )
    items = table or splits.items_of(log)
    _check_known(log.items, items)
    with told_what_there_is(log, items, positives):
        if asked.split is SplitKind.TIME:
            at = times.moment(asked.at, "--at")
            return splits.by_time(log, items, at.timestamp() if at else None, asked.share, positives), items
        if asked.split is SplitKind.HIDDEN_ITEMS:
            return splits.hide_items(log, items, asked.share, seed, positives), items
        return splits.leave_last_out(log, items, positives), items


def stored(settings: Settings, since: datetime | None = None) -> Iterator[UserEvent]:
    """All events of the store, or those from a time on. Those of undeclared kinds are told and left out."""
    from engine import opening
    from engine.learn.training_data import declared, undeclared

    left = Counter[str]()
    with closing(opening.open_events(settings)) as store:
        yield from declared(store.export(since=since), opening.event_kinds(settings), left)
    if left:
        stderr.print(f"{undeclared(left)}: left out", highlight=False, soft_wrap=True)


def catalogue_of(settings: Settings, wanted: bool | None) -> Catalogue | None:
    """The catalogue; None where it is not wanted, or there is none and none was asked for.

    Raises:
        NotFoundError: if it was asked for and is not there.
        StoreInUseError: if another process has it open.
    """
    from engine import opening
    from engine.catalog.items import read_items

    if wanted is False:
        return None
    if opening.store_collections(settings).current(settings.store.collection) is None:
        if wanted:
            raise NotFoundError("there is no catalogue to rank", "index it first, or give --no-catalog")
        return None
    space = opening.open_space(settings)
    try:
        store = opening.open_store(settings, space)
    except StoreInUseError as error:
        raise StoreInUseError(error.problem, "stop that process, or give --no-catalog") from None
    with closing(store):
        return Catalogue(read_items(store), space)


def _read(settings: Settings, file: Path, since: datetime | None) -> Iterator[UserEvent]:
    """The events of a file, or those from a time on; lines that are none are told and left out."""
    from engine import opening
    from engine.events.files import RowReader, read_events
    from engine.events.rows import BadLine

    bad = 0
    for line in read_events(file, RowReader(declared=opening.event_kinds(settings))):
        if not isinstance(line, BadLine):
            time = line.event.event.time
            if since is None or time is None or time >= since:
                yield line.event
            continue
        bad += 1
        if bad <= SHOWN:
            stderr.print(f"{file}, line {line.number}: {line.error}", highlight=False, markup=False, soft_wrap=True)
    if bad:
        stderr.print(f"{file}: {bad:,} lines are no events and are left out", highlight=False, soft_wrap=True)


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
