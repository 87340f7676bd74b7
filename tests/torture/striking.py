"""Work that is killed by kill -9 at random moments, and what is looked at afterwards."""

import multiprocessing
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Protocol

from engine.service.logs import configure_logs

_CONTEXT = multiprocessing.get_context("forkserver")  # a process of its own in milliseconds, whatever it imports
_CONTEXT.set_forkserver_preload(["tests.torture.loops"])
_JITTER = 0.02
"""Seconds from a step of the work to a kill that is aimed at it, at most."""
_PATIENCE = 120.0
"""Seconds that any step may take on a busy machine."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a process says: a step that it has reached, and what it has acknowledged with it."""

    step: str
    names: tuple[str, ...] = ()


class Tell(Protocol):
    """Says that a step is reached."""

    def __call__(self, step: str, *names: str) -> None:
        """Say it, with the names of what is acknowledged by it."""


class Loop(Protocol):
    """Work that is done in each round, and what must hold whenever it was killed. It is pickled on its way there."""

    def prepare(self, chance: random.Random) -> None:
        """Make the work of the next round."""

    def work(self, tell: Tell) -> None:
        """Do it, or what is left of it, in a process of its own."""

    def check(self, told: Sequence[Told]) -> None:
        """Assert what holds after what was told, and finish the work.

        Raises:
            AssertionError: if something is lost, doubled, or needs a hand.
        """


@dataclass(slots=True)
class Result:
    """What became of a loop."""

    rounds: int = 0
    kills: int = 0
    """Processes that were killed; the others had ended before their moment came."""
    acknowledged: int = 0
    where: Counter[str] = field(default_factory=Counter)
    """Kills by the step that was reached last."""
    seconds: float = 0.0
    broken: str = ""
    """What did not hold."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When to kill: so many steps into the work, and so many seconds more."""

    steps: int
    seconds: float


def torture(
    loop: Loop, rounds: int, chance: random.Random, each: Callable[[Result], None] = lambda _: None
) -> Result:
    """Do the work once undisturbed, then kill it in each round, once to three times, and look.

    Args:
        loop: the work.
        rounds: how often.
        chance: chooses the moments.
        each: is told how it goes after each round.

    Raises:
        AssertionError: if something does not hold.
    """
    result, began = Result(), time.monotonic()
    loop.prepare(chance)
    whole = strike(loop, None)
    loop.check(whole.told)
    while result.rounds < rounds:
        loop.prepare(chance)
        told: list[Told] = []
        kills = result.kills
        for _ in range(chance.choice((1, 1, 2, 3))):
            aimed = Moment(chance.randint(0, len(whole.told)), chance.uniform(0, _JITTER))
            struck = strike(loop, chance.choice((aimed, Moment(0, chance.uniform(0, whole.seconds)))))
            told += struck.told
            if struck.killed:
                result.kills += 1
                result.where[struck.told[-1].step if struck.told else "begin"] += 1
        loop.check(told)
        result.rounds += result.kills > kills  # else it had ended before every moment
        result.acknowledged += sum(len(one.names) for one in told)
        result.seconds = time.monotonic() - began
        each(result)
    return result


@dataclass(frozen=True, slots=True)
class Struck:
    """What became of a process."""

    told: list[Told]
    seconds: float
    """From the begin of its work."""
    killed: bool
    """Whether it was; else it had ended."""


def strike(loop: Loop, moment: Moment | None) -> Struck:
    """Run the work in a process of its own and kill it; None lets it end."""
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_run, args=(loop, theirs))
    process.start()
    theirs.close()
    told: list[Told] = []
    try:
        _hear(ours, told, 1, _PATIENCE)
        began = time.monotonic()
        if moment is not None:
            _hear(ours, told, 1 + moment.steps, _PATIENCE)
            _hear(ours, told, -1, moment.seconds)
            process.kill()
        _hear(ours, told, -1, _PATIENCE)
        process.join(_PATIENCE)
        assert process.exitcode in (0, -signal.SIGKILL), f"the work failed: {told[-1].step if told else 'no word'}"
        return Struck(told[1:], time.monotonic() - began, process.exitcode != 0)
    finally:
        process.kill()
        process.join()
        ours.close()


def _hear(pipe: Connection, told: list[Told], most: int, seconds: float) -> None:
    """Take in what is told until so many things are, or the time is up, or the end."""
    until = time.monotonic() + seconds
    while most < 0 or len(told) < most:
        if not pipe.poll(max(0.0, until - time.monotonic())):
            return
        try:
            told.append(pipe.recv())
        except (EOFError, ConnectionError):
            return


def _run(loop: Loop, pipe: Connection) -> None:
    configure_logs("error", json_lines=False)

    def tell(step: str, *names: str) -> None:
        pipe.send(Told(step, names))

    tell("begin")
    try:
        loop.work(tell)
    except BaseException as error:
        tell(f"{type(error).__name__}: {error}")
        raise
