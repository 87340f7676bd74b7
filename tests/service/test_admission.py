"""Admission over a clock that the tests move: what enters, in which order, and that no call is lost."""

import heapq
import math
from collections import deque
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import OverloadedError
from engine.service.admission import Admission, Outcome, Ticket

THREADS, SERVICE = 4, 0.04
CAPACITY = THREADS / SERVICE
"""Calls per second."""


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def admission(threads: int = THREADS, **options: float) -> tuple[Admission, Clock]:
    clock = Clock()
    return Admission(threads, clock=clock, **options), clock  # type: ignore[arg-type]


@dataclass
class Simulation:
    """Threads that take each call for `SERVICE` seconds, and calls that come at a steady rate."""

    rate: float
    deadline: float
    seconds: float = 10.0
    service: float = SERVICE
    chance: Random | None = None
    """If it is there, calls come and take as long as it says: exponentially."""
    answered: list[tuple[float, float]] = field(default_factory=list)
    """(when it came, how long it took), of calls that were answered in time."""
    late: int = 0
    refused_at_once: int = 0
    dropped: int = 0
    retries: list[float] = field(default_factory=list)

    def run(self, made: Admission, clock: Clock) -> "Simulation":
        start, ends, count = clock.now, [], 0
        coming, draw = deque(start + n / self.rate for n in range(int(self.rate * self.seconds))), self.chance
        if draw:
            coming = deque(accumulate((draw.expovariate(self.rate) for _ in coming), initial=start))
        while coming or ends:
            if not ends or (coming and coming[0] <= ends[0][0]):
                clock.now = coming.popleft()
                retry = made.refuse(clock.now + self.deadline)
                if retry:
                    self.refused_at_once += 1
                    self.retries.append(retry)
                else:
                    made.enter(Ticket(until=clock.now + self.deadline))
            else:
                clock.now, _, ticket = heapq.heappop(ends)
                made.done(ticket)
                if clock.now <= ticket.until:
                    self.answered.append((ticket.entered - start, clock.now - ticket.entered))
                else:
                    self.late += 1
            while made.running < THREADS and (taken := made.next()) is not None:
                if taken.outcome is Outcome.ADMITTED:
                    count += 1
                    takes = draw.expovariate(1 / self.service) if draw else self.service
                    heapq.heappush(ends, (clock.now + takes, count, taken))
                else:
                    self.dropped += 1
        return self

    def goodput(self, after: float = 2.0) -> float:
        """Calls per second that were answered in time, after so many seconds and before the last came."""
        return sum(after <= came + took < self.seconds for came, took in self.answered) / (self.seconds - after)


@pytest.mark.parametrize("deadline", [0.5, 2.0, 10.0])
@pytest.mark.parametrize("times", [1.5, 3.0, 6.0])
def test_under_overload_the_threads_do_what_is_in_time(times: float, deadline: float) -> None:
    made, clock = admission()
    Simulation(0.8 * CAPACITY, deadline).run(made, clock)
    seen = Simulation(times * CAPACITY, deadline).run(made, clock)
    assert seen.goodput() >= 0.97 * CAPACITY
    assert seen.late == 0
    settled = [took for came, took in seen.answered if came > 3.0]
    assert max(settled) <= 0.1 + 2 * SERVICE, "whoever is let in is answered soon, whatever their deadline"
    assert seen.dropped == 0, "all refusals are at once"


def test_below_the_capacity_nobody_is_refused() -> None:
    made, clock = admission()
    seen = Simulation(0.95 * CAPACITY, 0.5).run(made, clock)
    assert made.outcomes == {Outcome.ADMITTED: len(seen.answered)}
    assert len(seen.answered) == int(0.95 * CAPACITY * 10)


@pytest.mark.parametrize("seed", range(3))
def test_queues_that_chance_makes_refuse_nobody_who_has_time(seed: int) -> None:
    """At 80 % of the capacity they stand for seconds."""
    made, clock = admission()
    seen = Simulation(0.8 * CAPACITY, 10.0, seconds=300.0, chance=Random(seed)).run(made, clock)
    assert max(took for _, took in seen.answered) > 0.2
    assert made.outcomes == {Outcome.ADMITTED: len(seen.answered)}


def test_a_burst_waits_half_as_long_as_its_callers_have() -> None:
    made, clock = admission()
    Simulation(CAPACITY / 2, 1.0).run(made, clock)
    clock.now += 1
    for _ in range(int(0.9 * CAPACITY)):
        made.enter(Ticket(until=clock.now + 10))
    assert made.refuse(clock.now + 1.5) > 0
    assert made.refuse(clock.now + 2.5) == 0


def test_who_is_refused_is_told_to_wait_longer_the_greater_the_load() -> None:
    waits = []
    for times in (1.5, 3.0, 6.0):
        made, clock = admission()
        waits.append(Simulation(times * CAPACITY, 2.0).run(made, clock).retries[-1])
    assert waits == sorted(waits)
    assert waits[1] > 2 * waits[0]
    assert waits[2] > 2 * waits[1]


def test_a_server_that_was_slow_for_a_while_lets_calls_in_again() -> None:
    made, clock = admission()
    for _ in range(THREADS):
        made.enter(Ticket())
    slow = [made.next() for _ in range(THREADS)]
    clock.now += 60
    for ticket in slow:
        made.done(ticket)  # type: ignore[arg-type]
    seen = Simulation(CAPACITY / 4, 0.5).run(made, clock)
    assert seen.refused_at_once == 0
    assert len(seen.answered) == int(CAPACITY / 4 * 10)


def test_a_call_without_a_chance_does_not_enter() -> None:
    made, clock = admission()
    Simulation(CAPACITY / 2, 1.0).run(made, clock)
    for _ in range(THREADS + 2):
        made.enter(Ticket())
    while made.running < THREADS:
        made.next()
    wait = made.delay
    assert wait == pytest.approx(3 * SERVICE / THREADS)
    assert made.refuse(clock.now + wait + 0.9 * SERVICE) > 0
    assert made.refuse(clock.now + wait + 1.1 * SERVICE) == 0
    with pytest.raises(OverloadedError, match="try again in") as refused:
        made.enter(Ticket(until=clock.now + 0.9 * wait))
    assert refused.value.retry_seconds > 0


def test_calls_on_their_way_are_ahead_of_one_that_comes() -> None:
    made, clock = admission()
    Simulation(CAPACITY / 2, 1.0).run(made, clock)
    assert made.refuse(clock.now + 0.5, coming=THREADS - 1) == 0
    assert made.refuse(clock.now + 0.5, coming=int(0.2 * CAPACITY)) == 0
    assert made.refuse(clock.now + 0.5, coming=int(0.3 * CAPACITY)) > 0


def test_when_the_threads_become_slower_than_was_thought_the_newest_come_first() -> None:
    made, clock = admission(threads=1, target=0.1, burst=0.5)
    made.enter(running := Ticket())
    made.next()
    clock.now += 0.05
    made.done(running)
    made.enter(running := Ticket())
    made.next()
    tickets = [Ticket() for _ in range(9)]
    for ticket in tickets:
        made.enter(ticket)
        clock.now += 0.05
    clock.now += 1.06  # the thread still works on its call; the first has waited for 1.51 seconds, the last for 1.11
    taken = [made.next() for _ in range(9)]
    assert taken == [tickets[0], *reversed(tickets[1:])]
    assert [ticket.outcome for ticket in tickets] == [Outcome.REFUSED] + [Outcome.ADMITTED] * 8


def test_parts_of_streams_are_never_refused_and_take_turns() -> None:
    made, _ = admission(threads=1, most=3)
    made.enter(Ticket())
    made.next()
    calls, parts = [Ticket() for _ in range(3)], [Ticket(patient=True) for _ in range(3)]
    for ticket in (*calls, *parts):
        made.enter(ticket)
    with pytest.raises(OverloadedError):
        made.enter(Ticket(patient=True))
    taken = [made.next() for _ in range(6)]
    assert taken[0::2] in (calls, parts)
    assert taken[1::2] in (calls, parts)
    assert made.outcomes == {Outcome.ADMITTED: 7, Outcome.REFUSED: 1}


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.sampled_from([0.0, 0.05, 0.5, math.inf]), st.booleans()),
        st.tuples(st.just("take")),
        st.tuples(st.just("end"), st.integers(0, 9)),
        st.tuples(st.just("leave"), st.integers(0, 99)),
        st.tuples(st.just("pass"), st.sampled_from([0.001, 0.03, 0.2, 1.0])),
    ),
    max_size=150,
)


@given(ACTS)
def test_each_call_has_exactly_one_end(acts: list[tuple]) -> None:  # type: ignore[type-arg]
    made, clock = admission(threads=2, most=5)
    waiting: list[Ticket] = []
    running: list[Ticket] = []
    ended: list[Outcome] = []
    for act, *values in acts:
        if act == "come":
            before = made.delay
            ticket = Ticket(until=clock.now + values[0], patient=values[1])
            try:
                made.enter(ticket)
                waiting.append(ticket)
                assert made.delay >= before, "another call makes the queue no shorter"
            except OverloadedError as error:
                assert error.retry_seconds > 0
                assert len(running) + len(waiting) >= 2, "a free thread refuses nobody"
                ended.append(Outcome.REFUSED)
        elif act == "take" and made.running < 2:
            taken = made.next()
            assert (taken is None) == (not waiting)
            if taken is not None:
                waiting.remove(taken)
                assert taken.outcome is not None
                if taken.outcome is Outcome.ADMITTED:
                    assert taken.until > clock.now
                    running.append(taken)
                ended.append(taken.outcome)
        elif act == "end" and running:
            made.done(running.pop(values[0] % len(running)))
        elif act == "leave" and (there := waiting + running):
            left = there[values[0] % len(there)]
            made.leave(left)
            if left in waiting:
                waiting.remove(left)
                assert left.outcome is (Outcome.EXPIRED if left.until <= clock.now else Outcome.CANCELLED)
                ended.append(left.outcome)
        elif act == "pass":
            clock.now += values[0]
        assert (made.waiting, made.running) == (len(waiting), len(running))
    assert made.outcomes.total() == len(ended)
    assert all(made.outcomes[outcome] == ended.count(outcome) for outcome in Outcome)
