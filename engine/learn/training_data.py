"""What was recorded, as a training reads it, and what to say where it is too little."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from encoders.spaces.space import Space
from engine.catalog.items import ItemTable
from engine.core.kinds import EventKinds
from engine.core.times import now_utc
from engine.events.types import Impression, UserEvent
from engine.learn.log import EventLog, encode_texts, event_log
from engine.learn.pace import Tell
from engine.learn.splits import Positives, table_rows
from engine.learn.window import TimeWindow
from engine.models.errors import TooLittleDataError
from engine.opening import OpeningSettings, event_kinds, open_events

_One = TypeVar("_One")
_TOLD_EVERY = 1000

MAX_PER_USER = 2000
"""The newest so many events of each person are read. A machine that did a million things would else be what all
counts and splits are about."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Events, served lists, and the catalogue that they are about."""

    log: EventLog
    """Its searched texts are vectors."""
    impressions: tuple[Impression, ...]
    items: ItemTable
    window: TimeWindow
    read_at: datetime
    """When it began to be read."""
    undeclared: int = 0
    """Events that were left out, because their kind is not declared."""

    def before(self, until: float) -> list[Impression]:
        """The lists that were served before a time, in seconds since 1970."""
        return [one for one in self.impressions if one.time.timestamp() < until]

    def since(self, until: float) -> list[Impression]:
        """The lists that were served then or later."""
        return [one for one in self.impressions if one.time.timestamp() >= until]

    def told(self, positives: Positives) -> AbstractContextManager[None]:
        """See `told_what_there_is`."""
        start, end = self.window.start, self.window.end
        since = f" from {start:%Y-%m-%d %H:%M} UTC" if start else ""
        more = f", and {len(self.impressions):,} served lists,{since} until {end:%Y-%m-%d %H:%M} UTC"
        return told_what_there_is(self.log, self.items, positives, more)


@contextmanager
def told_what_there_is(log: EventLog, items: ItemTable, positives: Positives, more: str = "") -> Iterator[None]:
    """Let an error of too little data say what there is, and what to do.

    Args:
        log: the events.
        items: the catalogue.
        positives: which events speak for an item.
        more: what else there is.

    Raises:
        TooLittleDataError: if what is done within raises it.
    """
    try:
        yield
    except TooLittleDataError as error:
        speaking = int((positives.of(log) & (table_rows(log, items) >= 0)).sum())
        there = (
            f"there are {len(log):,} events of {len(log.users):,} users, {speaking:,} of them in favour of one of "
            f"the {len(items):,} items{more}"
        )
        remedy = "record more (triveni events import FILE), or try it on made-up people (triveni simulate)"
        raise TooLittleDataError(f"{error.problem}; {there}", remedy) from None


def read_training_data(
    settings: OpeningSettings,
    space: Space,
    items: ItemTable,
    window: TimeWindow,
    tell: Tell = lambda share, stage: None,
) -> TrainingData:
    """Read the settings' event store; lists that answered an explicit query, or were made by a version that
    the request named, are left out.

    Args:
        settings: all settings.
        space: encodes searched texts.
        items: the catalogue.
        window: the events to read.
        tell: is told how far it is.

    Raises:
        EventStoreError: if the database fails.
    """
    read_at = now_utc()
    with closing(open_events(settings)) as events:
        there = events.stats()
        left = Counter[str]()
        exported = declared(events.export(since=window.start, until=window.end), event_kinds(settings), left)
        counted = _told(exported, there.events, lambda share: tell(0.4 * share, "reading events"))
        log = event_log(counted).newest(MAX_PER_USER)
        lists = events.impressions(since=window.start, until=window.end)
        counted_lists = _told(lists, there.impressions, lambda share: tell(0.4 + 0.3 * share, "reading served lists"))
        served = [one.impression for one in counted_lists if one.impression.to_learn_from]
    if left:
        tell(0.7, f"leaving out {undeclared(left)}")
    encoded = encode_texts(log, space, lambda share: tell(0.7 + 0.3 * share, "encoding searched texts"))
    return TrainingData(encoded, tuple(served), items, window, read_at, left.total())


def declared(events: Iterable[UserEvent], kinds: EventKinds, left: Counter[str]) -> Iterator[UserEvent]:
    """The events whose kinds are declared.

    Args:
        events: as a store gives them.
        kinds: that there are.
        left: counts those that are left out, by kind.
    """
    for one in events:
        if one.event.kind in kinds:
            yield one
        else:
            left[one.event.kind] += 1


def undeclared(left: Counter[str]) -> str:
    """Says which events are left out."""
    return f"{left.total():,} events of kinds that are not declared in events.kinds: {', '.join(sorted(left))}"


def _told(rows: Iterable[_One], most: int, tell: Callable[[float], None]) -> Iterator[_One]:
    """The rows, of which there are at most so many; the share that has passed is told."""
    for number, row in enumerate(rows):
        if number % _TOLD_EVERY == 0:
            tell(min(number / max(most, 1), 1.0))
        yield row
