"""Who comes when, and what chance decides there: before anything is served, so it is the same for all servers."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from encoders.types import Doubles, Rows
from engine.learn.simulate.errors import SimulationError
from engine.learn.simulate.world import World

_WHO, _WHEN, _CHANCE = range(10, 13)
_GAP = 120.0
"""Seconds between two visits of a person, where there is room."""


@dataclass(frozen=True, slots=True)
class Visits:
    """n visits, in the order of time. A person sees one list at each."""

    user: Rows
    """(n,)."""
    time: Doubles
    """(n,): when the list is asked for, seconds since 1970."""
    room: Doubles
    """(n,): the seconds until the same person's next visit, or fewer: all that follows happens in half of them, and a
    search or upload at most a quarter before the visit."""
    label: str
    """Tells the visits of different plans of one world apart: a part of all ids, and chance goes by it."""

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True, slots=True)
class Chance:
    """What is drawn for b visits with k positions, uniform in [0, 1)."""

    look: Doubles
    """(b, k)."""
    click: Doubles
    """(b, k)."""
    after: Doubles
    """(b, k): what follows a click, or its absence."""
    search: Doubles
    """(b, 2): whether there is one, and of what."""
    upload: Doubles
    """(b, 2)."""


def period(world: World, count: int) -> Visits:
    """Visits in the world's period: active people come more often, and nobody before they first come.

    Args:
        world: the world.
        count: how many.

    Raises:
        SimulationError: if it is not 1 or more.
    """
    if count < 1:
        raise SimulationError(f"number of served lists is {count}", "ask for 1 or more", field="impressions")
    config = world.config
    length = config.end - world.user_from  # (P,)
    weight = world.activity * length
    counts = world.random(_WHO).multinomial(count, weight / weight.sum())
    user = np.repeat(np.arange(config.users), counts)
    first = np.cumsum(counts) - counts
    nth = np.arange(count) - first[user]
    gap = np.minimum(_GAP, length / (2 * (counts + 1)))  # (P,)
    free = length - (counts + 1) * gap
    uniform = world.random(_WHEN).random(count)
    uniform = uniform[np.lexsort((uniform, user))]  # rising within each person
    time = world.user_from[user] + uniform * free[user] + (nth + 1) * gap[user]
    order = np.argsort(time, kind="stable")
    return Visits(user[order], time[order], gap[user][order], f"log{count}")


def rounds(
    world: World, count: int, *, since: float | None = None, hours: float = 24.0, label: str = "loop"
) -> Visits:
    """Visits of everybody, once a round, at a random time in it.

    Args:
        world: the world.
        count: rounds.
        since: when the first begins, seconds since 1970; None is the end of the period.
        hours: the length of a round.
        label: see `Visits`.

    Raises:
        SimulationError: if `count` is not 1 or more, `hours` not above 0, or the first round begins before somebody
            has come.
    """
    if count < 1:
        raise SimulationError(f"number of rounds is {count}", "ask for 1 or more", field="rounds")
    if not 0 < hours < float("inf"):
        raise SimulationError(f"a round is {hours} hours long", "set it above 0", field="hours")
    begin = world.config.end if since is None else since
    if begin < world.user_from.max():
        raise SimulationError(
            "the first round begins before everybody has come", "begin at the end of the period", field="since"
        )
    users, seconds = world.config.users, hours * 3600
    user = np.tile(np.arange(users), count)
    offset = world.random(_WHEN, _stream(label)).uniform(0.3, 0.7, users * count)
    time = begin + (np.repeat(np.arange(count), users) + offset) * seconds
    order = np.argsort(time, kind="stable")
    room = np.full(len(order), min(_GAP, seconds / 2))
    return Visits(user[order], time[order], room, label)


def chances(world: World, visits: Visits, parts: list[slice]) -> Iterator[Chance]:
    """What is drawn for parts of visits; for the n-th visit always the same, however the parts are cut."""
    positions = world.config.positions
    streams = [world.random(_CHANCE, _stream(visits.label), number) for number in range(5)]
    for part in parts:
        count = part.stop - part.start
        shapes = [(count, positions)] * 3 + [(count, 2)] * 2
        yield Chance(*(stream.random(shape) for stream, shape in zip(streams, shapes, strict=True)))


def _stream(label: str) -> int:
    return zlib.crc32(label.encode())
