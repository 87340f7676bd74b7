"""What may be learned from, and what is to be predicted: ways to split a log, and groups of cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from encoders.types import Rows
from engine.catalog.items import ItemTable
from engine.core.kinds import STANDARD_KINDS
from engine.core.types import EventKind
from engine.events.types import UserEvent
from engine.learn.log import KIND_OF, EventLog, event_log
from engine.learn.ranker import Cases, Split
from engine.models.errors import TooLittleDataError

Mask = npt.NDArray[np.bool_]

SHORT = 10
"""A history of fewer events is short."""


@dataclass(frozen=True, slots=True)
class Positives:
    """Which events count as interest in an item."""

    kinds: frozenset[str] = STANDARD_KINDS.positive
    least: Mapping[str, float] = field(default_factory=dict)
    """Per kind the smallest value that counts, such as 4 stars; an event without a value then does not count."""

    def of(self, log: EventLog) -> Mask:
        """(n,): which events of a log count."""
        good = log.is_of(self.kinds) & (log.item >= 0)
        for kind, least in self.least.items():
            good &= ~log.is_of({kind}) | (log.value >= least)
        return np.asarray(good)


ALL_POSITIVES = Positives()


def items_of(log: EventLog) -> ItemTable:
    """The items that a log names as a table without vectors and payloads, for where there is no catalogue."""
    return ItemTable(log.items, {}, {}, ({},) * len(log.items), np.full(len(log.items), np.nan))


def table_rows(log: EventLog, items: ItemTable) -> Rows:
    """(n,): the row of the item table of each event, -1 where it has none."""
    row_of = np.append(items.rows(log.items), -1)
    return np.asarray(row_of[log.item], np.intp)


def leave_last_out(
    log: EventLog, items: ItemTable, positives: Positives = ALL_POSITIVES, min_history: int = 1
) -> Split:
    """Each person's last positive event is to be predicted, all that they did before it is known.

    Events that came after it are left out, so that nothing of a person's future is learned from. Other people's is:
    for a test without that, split by time.

    Args:
        log: all events; of events at one time, the earlier in the log came first.
        items: the catalogue; events on other items are not to be predicted.
        positives: which events are.
        min_history: people with fewer positive events before the last are learned from, but make no case.

    Raises:
        TooLittleDataError: if nobody has enough events.
    """
    good = positives.of(log)
    return _last(log, items, good, good & (table_rows(log, items) >= 0), min_history, "leave-last-out")


def hide_items(
    log: EventLog,
    items: ItemTable,
    share: float,
    seed: int = 0,
    positives: Positives = ALL_POSITIVES,
    min_history: int = 1,
) -> Split:
    """Items drawn at random are hidden from training; each person's last event on one of them is to be predicted.

    Args:
        log: all events.
        items: the catalogue.
        share: the part of the items that is hidden, in (0, 1).
        seed: of what is drawn.
        positives: which events are to be predicted.
        min_history: the positive events on other items that a person must have before it.

    Raises:
        ValueError: if the share is not in (0, 1).
        TooLittleDataError: if nobody has enough events.
    """
    if not 0 < share < 1:
        raise ValueError(f"share of hidden items is {share}: give one in (0, 1), such as 0.1")
    drawn = np.random.default_rng(seed).permutation(len(items))[: max(1, round(share * len(items)))]
    rows = table_rows(log, items)
    hidden, good = np.isin(rows, drawn), positives.of(log)
    return _last(log, items, good & ~hidden, good & hidden, min_history, "hidden items", drop=hidden)


def by_time(
    log: EventLog,
    items: ItemTable,
    time: float | None = None,
    share: float = 0.1,
    positives: Positives = ALL_POSITIVES,
) -> Split:
    """What happened before a moment is known; all positive items of a person from then on are to be predicted.

    Args:
        log: all events.
        items: the catalogue; events on other items are not to be predicted.
        time: the moment, seconds since 1970; None takes the one that leaves about `share` of the events behind it.
        share: see `time`; in (0, 1).
        positives: which events are to be predicted.

    Raises:
        ValueError: if the share is not in (0, 1).
        TooLittleDataError: if nothing lies on one side of the moment.
    """
    if time is None:
        if not 0 < share < 1:
            raise ValueError(f"share of the test is {share}: give one in (0, 1), such as 0.1")
        if not len(log):
            raise TooLittleDataError("there is nothing to learn from", "give a file or a store that has some")
        time = float(log.time[min(int(len(log) * (1 - share)), len(log) - 1)])
    known = log.time < time
    if not known.any():
        raise TooLittleDataError(f"no event happened before {time:.0f}", "split at a later time")
    return _parted(log, items, known, ~known, positives, "time", time)


def ready_made(
    train: Sequence[UserEvent],
    valid: Sequence[UserEvent],
    test: Sequence[UserEvent],
    positives: Positives = ALL_POSITIVES,
    items: ItemTable | None = None,
) -> tuple[Split | None, Split, ItemTable]:
    """A split as somebody published it. For the test, the validation part is known too.

    Args:
        train: the events to learn from.
        valid: the events to choose settings by; may be empty.
        test: the events to predict.
        positives: which of them are to be predicted.
        items: the catalogue; None takes the items that the events name.

    Returns:
        The validation (None without one), the test, and the items.

    Raises:
        TooLittleDataError: if a part has nothing to predict, or there is nothing to learn from.
    """
    events = [*train, *valid, *test]
    log = event_log(events)
    times = np.array([one.event.time.timestamp() for one in events if one.event.time is not None], np.float64)
    part = np.repeat([0, 1, 2], [len(train), len(valid), len(test)])[np.argsort(times, kind="stable")]
    table = items_of(log) if items is None else items
    if not len(train):
        raise TooLittleDataError("the training file has no events", "name one that has some")
    checked = _parted(log, table, part == 0, part == 1, positives, "ready-made, validation") if len(valid) else None
    return checked, _parted(log, table, part <= 1, part == 2, positives, "ready-made"), table


def slices(split: Split, items: ItemTable) -> dict[str, Mask]:
    """Groups of cases, by name (b,): `all`, `new people` (nothing known of them), `new items` (no target occurs in
    training), `short history` (fewer than `SHORT` events) and `long history`."""
    log = split.cases.log or split.train
    shown = log.kind == KIND_OF[EventKind.IMPRESSION]
    length = np.array([int((~shown[rows]).sum()) for rows in split.cases.history], np.int64)
    rows = table_rows(split.train, items)
    known = np.zeros(len(items) + 1, np.bool_)
    known[rows[split.train.kind != KIND_OF[EventKind.IMPRESSION]]] = True
    known[-1] = False
    new = np.array([not known[targets].any() for targets in split.cases.targets], np.bool_)
    return {
        "all": np.ones(len(length), np.bool_),
        "new users": length == 0,
        "new items": new,
        "short history": (length > 0) & (length < SHORT),
        "long history": length >= SHORT,
    }


def _last(
    log: EventLog,
    items: ItemTable,
    history: Mask,
    wanted: Mask,
    min_history: int,
    name: str,
    drop: Mask | None = None,
) -> Split:
    """The last wanted event of each person who has enough history before it; `drop` never gets into training."""
    keep = np.ones(len(log), np.bool_) if drop is None else ~drop
    rows = table_rows(log, items)
    chosen: list[tuple[int, int, Rows]] = []
    for user, mine in enumerate(log.of_user()):
        ends = np.flatnonzero(wanted[mine])
        if not len(ends):
            continue
        end = int(ends[-1])
        before = mine[:end]
        if int(history[before].sum()) < min_history:
            continue
        keep[mine[end:]] = False
        chosen.append((user, int(mine[end]), before))
    if not chosen:
        raise TooLittleDataError(
            f"nobody has a positive event with {min_history} before it", "give more events, or fewer conditions"
        )
    kept = np.flatnonzero(keep)
    cases = Cases(
        np.array([user for user, _, _ in chosen], np.int64),
        log.time[[target for _, target, _ in chosen]],
        tuple(_renumber(before[keep[before]], kept) for _, _, before in chosen),
        tuple(rows[[target]] for _, target, _ in chosen),
    )
    return Split(name, log.take(kept), cases)


def _parted(
    log: EventLog,
    items: ItemTable,
    known: Mask,
    later: Mask,
    positives: Positives,
    name: str,
    time: float | None = None,
) -> Split:
    """Each person's positive items of the later part are to be predicted from what is known of them."""
    rows = table_rows(log, items)
    wanted = later & positives.of(log) & (rows >= 0)
    if not wanted.any():
        raise TooLittleDataError(f"the test part of the split ({name}) has no positive event", "give it more events")
    kept = np.flatnonzero(known)
    chosen = [
        (user, targets, mine[known[mine]])
        for user, mine in enumerate(log.of_user())
        if len(targets := mine[wanted[mine]])
    ]
    first = np.array([log.time[targets[0]] if time is None else time for _, targets, _ in chosen], np.float64)
    cases = Cases(
        np.array([user for user, _, _ in chosen], np.int64),
        first,
        tuple(_renumber(before, kept) for _, _, before in chosen),
        tuple(np.unique(rows[targets]) for _, targets, _ in chosen),
    )
    return Split(name, log.take(kept), cases)


def _renumber(rows: Rows, kept: Rows) -> Rows:
    return np.asarray(np.searchsorted(kept, rows), np.intp)
