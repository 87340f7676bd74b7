"""What `triveni evaluate` reads: events, the catalogue, and how both are split."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

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
        return "people" if self in {SplitKind.LEAVE_LAST_OUT, SplitKind.HIDDEN_ITEMS} else "time"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which events, and how they are split."""

    kind: SplitKind
    file: Path | None
    valid: Path | None
    test: Path | None
    at: str
    share: float
    seed: int
    since: datetime | None = None
    """What happened before is not read."""

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            typer.BadParameter: if something does not.
        """
        if self.kind is SplitKind.READY and (self.file is None or self.test is None):
            raise typer.BadParameter(
                "--split ready needs files: EVENTS to learn from, --test, and --valid if there is one"
            )
        if self.kind is not SplitKind.READY and (self.valid or self.test):
            raise typer.BadParameter("--valid and --test go with --split ready")
        if self.at and self.kind is not SplitKind.TIME:
            raise typer.BadParameter("--at goes with --split time")
        if not 0 < self.share < 1:
            raise typer.BadParameter(f"--share is {self.share:g}: give a part between 0 and 1, such as 0.1")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The items, and the space of their vectors."""

    items: ItemTable
    space: Space


def split_of(
    settings: Settings, asked: Asked, positives: Positives, catalogue: Catalogue | None
) -> tuple[Split, ItemTable]:
    """The split, and the items that are ranked: the catalogue's, or those that events name.

    Raises:
        NotFoundError: if there are no events, or none is on an item of the catalogue.
        EventFileError: if a file cannot be read.
        TooLittleDataError: if there is nothing to predict.
    """
    from engine.learn import splits
    from engine.learn.log import event_log
    from engine.learn.training_data import told_what_there_is

    table = catalogue.items if catalogue else None
    if asked.kind is SplitKind.READY:
        train, held, later = (
            list(_read(path, asked.since)) if path else [] for path in (asked.file, asked.valid, asked.test)
        )
        if table is not None:
            _check_known(event_log([*train, *held, *later]).items, table)
        _, parted, items = splits.ready_made(train, held, later, positives, table)
        return parted, items
    log = event_log(_read(asked.file, asked.since) if asked.file else stored(settings, asked.since))
    if not len(log):
        from_then = f" from {asked.since:%Y-%m-%d %H:%M} UTC on" if asked.since else ""
        raise NotFoundError(
            f"there are no events in {asked.file or 'the event store'}{from_then}",
            "record some (triveni events import FILE), name a file, or make some up (triveni simulate)",
        )
    items = table or splits.items_of(log)
    _check_known(log.items, items)
    with told_what_there_is(log, items, positives):
        if asked.kind is SplitKind.TIME:
            at = times.moment(asked.at, "--at")
            return splits.by_time(log, items, at.timestamp() if at else None, asked.share, positives), items
        if asked.kind is SplitKind.HIDDEN_ITEMS:
            return splits.hide_items(log, items, asked.share, asked.seed, positives), items
        return splits.leave_last_out(log, items, positives), items


def stored(settings: Settings, since: datetime | None = None) -> Iterator[UserEvent]:
    """All events of the store, or those from a time on."""
    from engine import opening

    with closing(opening.open_events(settings)) as store:
        yield from store.export(since=since)


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


def _read(file: Path, since: datetime | None) -> Iterator[UserEvent]:
    """The events of a file, or those from a time on; lines that are none are told and left out."""
    from engine.events.files import read_events
    from engine.events.rows import BadLine

    bad = 0
    for line in read_events(file):
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
