"""What is shown: at random, by popularity with exploration, or by the engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np

from encoders.types import Rows
from engine.core.types import Event, EventKind, ItemId, PolicyOptions, Query, UserId
from engine.events.types import Impression
from engine.learn.simulate.errors import SimulationError
from engine.learn.simulate.measure import acted_on
from engine.learn.simulate.world import World
from engine.query.pipeline import Engine
from engine.query.policy.explore import explore

_RANDOM, _POPULAR, _EXPLORE = 20, 21, 22
_LIKED = frozenset({EventKind.CLICK, EventKind.LIKE, EventKind.PURCHASE})


@dataclass(frozen=True, slots=True)
class Shown:
    """A list of up to k positions."""

    items: tuple[ItemId, ...]
    propensities: tuple[float, ...]
    """Of each position: the probability with which it shows this item."""
    model: str
    tier: str = "simulation"


class Serve(Protocol):
    """Chooses a list for a person at a moment. It is asked in the order of time."""

    def __call__(self, user: UserId, time: datetime, history: Sequence[Event], /) -> Shown:
        """The list; no item twice, and only items that are in the catalogue at that time.

        Args:
            user: who asks.
            time: when, with a time zone.
            history: all that they did before, oldest first.
        """


class RandomServe:
    """Any item that can be shown, in any order, all alike probable.

    Args:
        world: the world.
    """

    def __init__(self, world: World) -> None:
        self._world, self._random = world, world.random(_RANDOM)

    def __call__(self, user: UserId, time: datetime, history: Sequence[Event], /) -> Shown:
        """See `Serve`."""
        rows = _can_be_shown(self._world, time, history)
        chosen = self._random.choice(rows, min(self._world.config.positions, len(rows)), replace=False)
        return Shown(_names(self._world, chosen), (1 / max(1, len(rows)),) * len(chosen), "random")


class ExploringServe:
    """The list of another server, and at each position with a small probability another item.

    Beside the list of k items, k of the others are drawn, all alike probable; each position by itself shows the one
    that was drawn for it with probability ε. So the propensities are exact where the other server does not explore:
    1 - ε of its item at its position, ε / (others) of each other item at each position.

    Args:
        world: the world.
        serve: the other server.
        explore: ε, above 0 to 1: with 0, nothing could ever be learned about items that it does not choose.

    Raises:
        SimulationError: if ε is out of range.
    """

    def __init__(self, world: World, serve: Serve, explore: float = 0.2) -> None:
        if not 0 < explore <= 1:
            raise SimulationError(f"share of exploration is {explore}", "set it above 0, to 1", field="explore")
        self._world, self._serve, self._explore, self._random = world, serve, explore, world.random(_EXPLORE)

    def __call__(self, user: UserId, time: datetime, history: Sequence[Event], /) -> Shown:
        """See `Serve`."""
        shown = self._serve(user, time, history)
        usual, allowed = self._world.items.rows(shown.items), _can_be_shown(self._world, time, history)
        rows, chances = explore(usual, allowed, self._explore, self._random)
        names, model = _names(self._world, rows), f"{shown.model}-explore{self._explore:g}"
        return Shown(names, tuple(chances.tolist()), model, shown.tier)


class PopularServe:
    """The items that were clicked, liked and bought most, and now and then others; see `ExploringServe`.

    Args:
        world: the world.
        explore: how probably a position shows something else, above 0 to 1.

    Raises:
        SimulationError: if `explore` is out of range.
    """

    def __init__(self, world: World, explore: float = 0.2) -> None:
        self._world = world
        self._count = world.random(_POPULAR).random(len(world.items))  # less than one click: the order of the unknown
        self._exploring = ExploringServe(world, self._most, explore)

    def learn(self, shown: Impression, followed: Sequence[Event]) -> None:
        """Count what people liked."""
        for event in followed:
            if event.item is not None and event.kind in _LIKED:
                self._count[self._world.items.row_of[event.item]] += 1

    def __call__(self, user: UserId, time: datetime, history: Sequence[Event], /) -> Shown:
        """See `Serve`."""
        return self._exploring(user, time, history)

    def _most(self, user: UserId, time: datetime, history: Sequence[Event], /) -> Shown:
        rows = _can_be_shown(self._world, time, history)
        positions = min(self._world.config.positions, len(rows))
        most = rows[np.argpartition(-self._count[rows], positions - 1)[:positions]] if positions else rows
        return Shown(_names(self._world, most[np.argsort(-self._count[most])]), (1.0,) * positions, "popularity")


class EngineServe:
    """What an engine recommends. Its store holds the catalogue of the world.

    Args:
        world: the world.
        engine: asked in process.
        newest: only so many events of a history are sent; what was acted on before is left out all the same.
    """

    def __init__(self, world: World, engine: Engine, newest: int = 200) -> None:
        self._world, self._engine, self._newest = world, engine, newest

    def __call__(self, user: UserId, time: datetime, history: Sequence[Event], /) -> Shown:
        """See `Serve`."""
        world = self._world
        barred = ~world.there(time.timestamp())
        barred[acted_on(world, history)] = True
        query = Query(
            history=tuple(history[-self._newest :]),
            limit=world.config.positions,
            user=user,
            policy=PolicyOptions(exclude=_names(world, np.flatnonzero(barred))),
        )
        answer = self._engine.recommend(query)
        items = tuple(result.item for result in answer.results)
        return Shown(items, tuple(result.propensity for result in answer.results), answer.model, answer.tier)


class OracleServe:
    """The best possible list: the items with the highest true probability of a click.

    Args:
        world: the world.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self, user: UserId, time: datetime, history: Sequence[Event], /) -> Shown:
        """See `Serve`."""
        rows = _can_be_shown(self._world, time, history)
        best = rows[np.argsort(-self._world.oracle(user, time)[rows], kind="stable")[: self._world.config.positions]]
        return Shown(_names(self._world, best), (1.0,) * len(best), "oracle")


def _can_be_shown(world: World, time: datetime, history: Sequence[Event]) -> Rows:
    """The rows of the items that are in the catalogue and that the person has not acted on."""
    free = world.there(time.timestamp())
    free[acted_on(world, history)] = False
    return np.flatnonzero(free)


def _names(world: World, rows: Rows) -> tuple[ItemId, ...]:
    return tuple(world.items.ids[row] for row in rows.tolist())
