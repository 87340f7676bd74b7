"""Looks through a whole file or store of events for what spoils training: what is wrong, how often, what to do.

It holds about 40 bytes per event, and each user and item id once; not the events.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from engine.core.types import EventKind, ItemId
from engine.events.check import EventLimits, check_event
from engine.events.errors import EventError
from engine.events.identity import event_id
from engine.events.rows import BadLine, Line
from engine.events.times import from_micros, micros
from engine.events.types import KnownItems, UserEvent

Integers = npt.NDArray[np.int64]

_EXAMPLES = 3
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_ASKED = 1000
"""Items that are looked up at once."""


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """From when on something is suspicious."""

    per_minute: int = 120
    """More events of one person within a minute (impressions aside) are a machine's."""
    per_day: int = 5000
    """More events of one person within 24 hours are a machine's."""
    hole: timedelta = timedelta(days=365)
    """A few events that lie so far from all others have a wrong clock."""
    back: timedelta = timedelta(minutes=1)
    """How far a time may step back in a file that is otherwise in the order of time."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a number of events."""

    code: str
    """invalid, duplicate, clock, bot, unknown_item or missing; a dot and more where there are several."""
    count: int
    """Events."""
    problem: str
    remedy: str
    examples: tuple[str, ...] = ()
    """At most three: lines, users, items or times."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a file or store holds, and what is wrong with it; no findings: nothing is."""

    events: int
    """Lines that are no events included."""
    users: int
    items: int
    first: datetime | None
    """The oldest time of a valid event."""
    last: datetime | None
    findings: tuple[Finding, ...]


def check_events(
    events: Iterable[Line | BadLine | UserEvent],
    *,
    now: datetime,
    known_items: KnownItems | None = None,
    limits: EventLimits | None = None,
    options: CheckOptions | None = None,
) -> CheckReport:
    """Look through events, as `read_events` or `EventStore.export` gives them; nothing is changed.

    Args:
        events: in the order in which they were written.
        now: the time, with a time zone.
        known_items: says which items are in the catalogue; None does not ask.
        limits: the largest event.
        options: from when on something is suspicious.
    """
    options = options or CheckOptions()
    seen = _Seen(limits or EventLimits(), now)
    for number, event in enumerate(events, 1):
        seen.add(number, event)
    times = np.frombuffer(seen.times, np.int64) if seen.times else np.empty(0, np.int64)
    findings = [
        *seen.invalid_findings(),
        *_duplicates(seen),
        *_clock(times, options),
        *_bots(seen, times, options),
        *_unknown(seen.items, known_items),
        *_missing(seen),
    ]
    return CheckReport(
        events=seen.count,
        users=len(seen.users),
        items=len(seen.items),
        first=from_micros(int(times.min())) if len(times) else None,
        last=from_micros(int(times.max())) if len(times) else None,
        findings=tuple(findings),
    )


class _Seen:
    """What is remembered of the events: columns of numbers."""

    def __init__(self, limits: EventLimits, now: datetime) -> None:
        self._limits = limits
        self._now = now
        self.count = 0
        self.invalid: dict[tuple[str, str], tuple[int, list[str]]] = {}
        self.users: dict[str, int] = {}
        self.items: Counter[ItemId] = Counter()
        self.unrated = 0
        self.unasked = 0
        self.times, self.by_user, self.ids, self.contents = array("q"), array("q"), array("q"), array("q")
        self.impressions = array("b")

    def add(self, number: int, line: Line | BadLine | UserEvent) -> None:
        """Look at an event."""
        self.count += 1
        if isinstance(line, BadLine):
            return self._refuse(line.number, line.error)
        if isinstance(line, Line):
            number, line = line.number, line.event
        event = line.event
        try:
            check_event(line, self._limits, self._now)
            if event.time is None:
                raise EventError("event has no time", "write when it happened", field="time")
        except EventError as error:
            return self._refuse(number, error)
        time = micros(event.time)
        target = event.item if event.item is not None else event.content
        self.times.append(time)
        self.by_user.append(self.users.setdefault(line.user, len(self.users)))
        self.ids.append(hash(event_id(line, time)))
        self.contents.append(hash((line.user, event.kind, time, event.value, str(target))))
        self.impressions.append(event.kind == EventKind.IMPRESSION)
        self.unrated += event.kind == EventKind.RATE and event.value is None
        if event.item is not None:
            self.items[event.item] += 1
            self.unasked += not event.request_id  # a search or an upload answers no list
        return None

    def _refuse(self, number: int, error: EventError) -> None:
        count, examples = self.invalid.get((error.field, error.remedy), (0, []))
        if len(examples) < _EXAMPLES:
            examples.append(f"line {number}: {error.problem}")
        self.invalid[error.field, error.remedy] = count + 1, examples

    def invalid_findings(self) -> Iterator[Finding]:
        """What would be rejected, by field and remedy."""
        for (field, remedy), (count, examples) in self.invalid.items():
            problem = f"events with a wrong {field}" if field else "lines that are no events"
            yield Finding(f"invalid.{field}" if field else "invalid", count, problem, remedy, tuple(examples))


def _duplicates(seen: _Seen) -> Iterator[Finding]:
    ids, contents = (
        np.frombuffer(column, np.int64) if column else np.empty(0) for column in (seen.ids, seen.contents)
    )
    again = len(ids) - len(np.unique(ids))
    if again:
        remedy = "nothing to do: they are recorded once; mend the sender if there are many"
        yield Finding("duplicate.id", again, "events whose id came before", remedy)
    twice = len(contents) - len(np.unique(contents)) - again
    if twice > 0:
        problem = "events that say the same at the same time under another id"
        yield Finding("duplicate.contents", twice, problem, "let the sender make one id per event and keep it")


def _clock(times: Integers, options: CheckOptions) -> Iterator[Finding]:
    if len(times) < 2:
        return
    highest = np.maximum.accumulate(times)
    back = highest - times > options.back // timedelta(microseconds=1)
    if 0 < back.sum() <= len(times) // 100:
        problem = "events that step back in time in a file that is in the order of time"
        where = tuple(f"{from_micros(int(time)):%Y-%m-%dT%H:%M:%SZ}" for time in times[back][:_EXAMPLES])
        yield Finding("clock.back", int(back.sum()), problem, "see whether the sender's clock was set back", where)
    ordered = np.sort(times)
    holes = np.flatnonzero(np.diff(ordered) > options.hole // timedelta(microseconds=1)) + 1
    few = max(len(times) // 100, 1)
    early = holes[holes <= few].max(initial=0)
    late = holes[holes >= len(times) - few].min(initial=len(times))
    lonely = np.concatenate([ordered[:early], ordered[late:]])
    if 0 < len(lonely) < len(times):
        problem = f"events more than {options.hole.days} days away from all others"
        where = tuple(f"{from_micros(int(time)):%Y-%m-%dT%H:%M:%SZ}" for time in lonely[:_EXAMPLES])
        yield Finding("clock.jump", len(lonely), problem, "correct or leave out events with a wrong clock", where)


def _bots(seen: _Seen, times: Integers, options: CheckOptions) -> Iterator[Finding]:
    if not len(times):
        return
    acted = np.frombuffer(seen.impressions, np.int8) == 0
    by_user, times = np.frombuffer(seen.by_user, np.int64)[acted], times[acted]
    order = np.lexsort((times, by_user))
    by_user, times = by_user[order], times[order]
    names = list(seen.users)
    for most, span, code in ((options.per_minute, 60 * _SECOND, "minute"), (options.per_day, _DAY, "day")):
        fast = (by_user[most:] == by_user[:-most]) & (times[most:] - times[:-most] <= span)
        found = np.unique(by_user[most:][fast])
        if len(found):
            count = int(np.isin(by_user, found).sum())
            problem = f"events of {len(found)} users with more than {most} within one {code}"
            where = tuple(_shown(names[user]) for user in found[:_EXAMPLES])
            yield Finding(f"bot.{code}", count, problem, "leave these users out if they are machines", where)


def _unknown(items: Counter[ItemId], known_items: KnownItems | None) -> Iterator[Finding]:
    if known_items is None:
        return
    names = list(items)
    missing: list[ItemId] = []
    for start in range(0, len(names), _ASKED):
        asked = names[start : start + _ASKED]
        known = set(known_items(asked))
        missing += [name for name in asked if name not in known]
    if missing:
        count = sum(items[name] for name in missing)
        problem = f"events on {len(missing)} items that are not in the catalogue"
        yield Finding(
            "unknown_item", count, problem, "index these items first", tuple(map(_shown, missing[:_EXAMPLES]))
        )


def _missing(seen: _Seen) -> Iterator[Finding]:
    if seen.unrated:
        yield Finding("missing.value", seen.unrated, "ratings without stars", "write 1 to 5 into value")
    answers = sum(seen.items.values())
    if 0 < seen.unasked < answers:
        problem = "events that name no request, where others do"
        yield Finding("missing.request_id", seen.unasked, problem, "pass on the request id of the list acted on")


def _shown(name: str) -> str:
    """The beginning of an id that anybody may have chosen, without what would command a terminal."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in name[:80])
