"""Which calls are let in, in which order they are worked on, and which are refused: by time, not by count.

A queue that holds more work than its callers have time for makes every answer late, and then all work is wasted
(congestion collapse). So a call enters only if what waits before it leaves it a chance. As long as no more comes than
can be done, a queue is chance: it goes away by itself, and whoever has time waits for it. Under overload it does not,
and then calls enter only where they wait shortly, and whoever has waited longer than was thought gives way to newer
ones, whose callers still have time: controlled delay (Nichols and Jacobson, "Controlling Queue Delay", ACM Queue
2012) as servers use it (Maurer, "Fail at Scale", ACM Queue 2015). What tells the two apart is the work that comes,
not how long a queue has stood: at 80 % of what can be done, queues stand for seconds by chance.
"""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from engine.core.errors import OverloadedError

_WEIGHT = 0.01
"""Of the newest call in the mean of what a call takes."""
_LONGEST = 4.0
"""Times that mean, as much a call counts at the most: one that hangs says little about the others."""
_WINDOW, _CALLS = 3.0, 200
"""Seconds over which the calls that come are counted; at least as many as so many calls take, as of few chance makes
too much."""
_TURNS = 10
"""Calls that may be before one under overload, though they take longer than it may wait."""
_OVERLOAD = 1.1
"""Of the work that the threads can do: if more comes, there is overload. Chance makes so much of 80 % seldom."""
_SHARE = 0.5
"""Of the time that its caller has, as long a call may wait."""
_LATE, _DROPPED = 2.0, 3.0
"""Times what a call might wait when it entered: once the oldest has waited so long, the newest come first; and who
has waited so long is refused. That happens where the threads became slower than was thought."""
_SOONEST = 0.1
"""Seconds after which a refused call may be tried again, at the least."""
_MEMORY = 1.0
"""Seconds over which refused calls are counted: so long they are taken to come again."""


class Outcome(StrEnum):
    """What becomes of a call that asks to be worked on."""

    ADMITTED = "admitted"
    """A thread works on it."""
    REFUSED = "refused"
    EXPIRED = "expired"
    """Its deadline passed while it waited."""
    CANCELLED = "cancelled"
    """Its caller went away while it waited."""


@dataclass(slots=True, eq=False, kw_only=True)
class Ticket:
    """A call that is let in."""

    until: float = math.inf
    """Its deadline, by the clock."""
    patient: bool = False
    """Whether it is a part of a stream, which is held back rather than refused."""
    entered: float = field(default=0.0, init=False)
    limit: float = field(default=math.inf, init=False)
    """Seconds that it might wait when it entered."""
    began: float = field(default=0.0, init=False)
    """When a thread began to work on it."""
    outcome: Outcome | None = field(default=None, init=False)
    """None while it waits."""


class Admission:
    """The queue before the threads of one class of work. Whoever uses it from several threads holds a lock.

    Patient tickets have a queue of their own, and take turns with the others.

    Args:
        threads: that work on calls.
        target: seconds that a call may wait under overload.
        burst: seconds that a call may wait otherwise, if its caller has twice as long.
        most: calls that may wait, and as many patient ones, whatever the time.
        clock: seconds.
    """

    def __init__(
        self,
        threads: int,
        *,
        target: float = 0.1,
        burst: float = 2.0,
        most: int = 256,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._threads, self._target, self._burst, self._most, self._clock = threads, target, burst, most, clock
        self._calls: OrderedDict[Ticket, None] = OrderedDict()
        self._patient: OrderedDict[Ticket, None] = OrderedDict()
        self._patients_turn = False
        self._seconds, self._measured = 0.0, 0  # that a call takes: a moving mean, and of how many
        self._came, self._refused = _Lately(), _Lately()
        self.running = 0
        """Calls that are worked on."""
        self.outcomes: Counter[Outcome] = Counter()
        """Of all calls so far that do not wait."""

    @property
    def waiting(self) -> int:
        """Calls that wait for a thread."""
        return len(self._calls) + len(self._patient)

    @property
    def delay(self) -> float:
        """Seconds that a call would wait which comes now: as long as those before it take."""
        if self.running + self.waiting < self._threads:
            return 0.0
        turns = 2 if self._patient else 1
        return (len(self._calls) + 1) * self._seconds * turns / self._threads

    def refuse(self, until: float = math.inf, *, patient: bool = False, coming: int = 0) -> float:
        """Refuse a call that comes now if it has no chance.

        Args:
            until: its deadline, by the clock.
            patient: whether it is held back rather than refused.
            coming: calls that are on their way and will enter before it.

        Returns:
            Seconds after which it may be tried again; 0 if it may enter.
        """
        if self.running + self.waiting + coming < self._threads:
            return 0.0
        now, delay = self._clock(), self.delay + coming * self._turn
        if patient:
            enters = len(self._patient) < self._most
        else:
            in_time = delay <= self._limit(now, until) and now + delay + self._seconds <= until
            enters = in_time and self.running + len(self._calls) < self._threads + self._most
        if enters:
            return 0.0
        return self._count_refused(now)

    def enter(self, ticket: Ticket) -> None:
        """Let a call in.

        Raises:
            OverloadedError: if it has no chance.
        """
        retry = self.refuse(ticket.until, patient=ticket.patient)
        if retry:
            raise OverloadedError(
                f"calls wait {self.delay:.2f} seconds already",
                f"try again in {retry:.1f} seconds, or add servers",
                retry_seconds=retry,
            )
        ticket.entered = now = self._clock()
        if not ticket.patient:
            ticket.limit = self._limit(now, ticket.until)
            self._came.add(now, self._window)
        (self._patient if ticket.patient else self._calls)[ticket] = None

    def next(self) -> Ticket | None:
        """Take a call out of the queue: to be worked on, or to be dropped, as its `outcome` says.

        Returns:
            None if none waits.
        """
        if not self.waiting:
            return None
        now = self._clock()
        if self._patient and (self._patients_turn or not self._calls):
            self._patients_turn = False
            ticket, _ = self._patient.popitem(last=False)
        else:
            self._patients_turn = True
            ticket = next(iter(self._calls))
            waited = now - ticket.entered
            if waited > _DROPPED * ticket.limit:
                del self._calls[ticket]
                self._refused.add(now, _MEMORY)
                return self._settle(ticket, Outcome.REFUSED)
            if waited > _LATE * ticket.limit:
                ticket = next(reversed(self._calls))
            del self._calls[ticket]
        if ticket.until <= now:
            return self._settle(ticket, Outcome.EXPIRED)
        self.running += 1
        ticket.began = now
        return self._settle(ticket, Outcome.ADMITTED)

    def leave(self, ticket: Ticket) -> None:
        """Let go of a call that nobody waits for any more; one that is worked on is `done` in its time."""
        if ticket.outcome is None:
            del (self._patient if ticket.patient else self._calls)[ticket]
            late = ticket.until <= self._clock()
            self._settle(ticket, Outcome.EXPIRED if late else Outcome.CANCELLED)

    def done(self, ticket: Ticket) -> None:
        """A thread has ended its work on a call."""
        self.running -= 1
        took = self._clock() - ticket.began
        if self._measured:
            took = min(took, _LONGEST * self._seconds)
        self._measured += 1
        self._seconds += (took - self._seconds) * max(_WEIGHT, 1 / self._measured)

    def retry_seconds(self) -> float:
        """Seconds until the queue would be short again if those came back who were refused lately."""
        return max(self.delay + self._refused.count(self._clock(), _MEMORY) * self._turn, _SOONEST)

    @property
    def _turn(self) -> float:
        """Seconds that a call takes of all threads together."""
        return self._seconds / self._threads

    @property
    def _window(self) -> float:
        return max(_WINDOW, _CALLS * self._turn)

    def _limit(self, now: float, until: float) -> float:
        """Seconds that a call may wait; at least one for each thread may."""
        work = self._came.count(now, self._window) / self._window * self._turn
        longest = min(self._burst, _SHARE * (until - now))
        if work > _OVERLOAD:
            longest = min(longest, max(self._target, _TURNS * self._turn))
        return max(longest, self._seconds)

    def _settle(self, ticket: Ticket, outcome: Outcome) -> Ticket:
        ticket.outcome = outcome
        self.outcomes[outcome] += 1
        return ticket

    def _count_refused(self, now: float) -> float:
        self._came.add(now, self._window)
        self._refused.add(now, _MEMORY)
        self.outcomes[Outcome.REFUSED] += 1
        return self.retry_seconds()


class _Lately:
    """Counts what happened in about so many last seconds: each time weighs less the longer ago it is."""

    def __init__(self) -> None:
        self._weighed, self._as_of = 0.0, 0.0

    def add(self, now: float, seconds: float) -> None:
        self._weighed, self._as_of = self.count(now, seconds) + 1.0, now

    def count(self, now: float, seconds: float) -> float:
        return self._weighed * math.exp((self._as_of - now) / seconds)
