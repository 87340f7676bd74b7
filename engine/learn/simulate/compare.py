"""Engines serve the same people at the same times: what training changes, for people of the log and for new ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from encoders.spaces.space import SpaceManifest
from encoders.types import Doubles, Rows
from engine.catalog.ingest import INDEXED_AT
from engine.catalog.items import ItemTable
from engine.core.filters import FieldKind
from engine.core.types import Event, UserId
from engine.learn.evaluation.stats import Difference, Interval, bootstrap, paired
from engine.learn.simulate.loop import Diary, Histories, Watch, run, run_loop
from engine.learn.simulate.serving import EngineServe, ExploringServe, OracleServe, Serve, Shown
from engine.learn.simulate.visits import Visits, period
from engine.learn.simulate.world import World
from engine.query.pipeline import Engine
from engine.store.base import Point
from engine.store.memory import MemoryStore

FIGURES = ("click_rate", "precision", "ndcg")
"""Of `Measured.by_user`."""
KNOWN, NEW = "people of the log", "new people"
ORACLE = "best possible"
_NEW = 30


class SimulatedClock:
    """Tells the simulated time."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        """Now."""
        return self.now


class AtItsTime:
    """An engine that serves each list at its time.

    Args:
        world: the world.
        engine: made with the clock.
        clock: is set.
    """

    def __init__(self, world: World, engine: Engine, clock: SimulatedClock) -> None:
        self._serve, self._clock = EngineServe(world, engine), clock

    def __call__(self, user: UserId, time: datetime, history: Sequence[Event], /) -> Shown:
        """See `Serve`."""
        self._clock.now = time
        return self._serve(user, time, history)


def memory_store(manifest: SpaceManifest, items: ItemTable) -> MemoryStore:
    """A catalogue in memory; its items are as old as the table says."""
    made = manifest.encoders
    store = MemoryStore(fingerprint=manifest.fingerprint, dimension=manifest.dimension, modalities=tuple(made))
    points = []
    for row, name in enumerate(items.ids):
        vectors = {m: items.vectors[m][row] for m in items.vectors if items.present[m][row]}
        since = datetime.fromtimestamp(float(items.indexed_at[row]), UTC).isoformat()
        points.append(Point(name, vectors, {**items.payloads[row], INDEXED_AT: since}))
    store.upsert(points)
    store.index_fields({INDEXED_AT: FieldKind.DATETIME})
    return store


def newcomers(world: World, share: float) -> Rows:
    """The numbers of people drawn at random who are to come only after the log, so that no training has seen them."""
    return np.sort(world.random(_NEW).permutation(len(world.users))[: round(share * len(world.users))])


def log_without(
    world: World, serve: Serve, lists: int, absent: Rows, *, explore: float, watch: Watch | None = None
) -> Diary:
    """A log to learn from, of all people but some.

    Args:
        world: the world.
        serve: what is shown, but for exploration.
        lists: how many are served; those of the absent fall away.
        absent: numbers of people who do not come.
        explore: how probably a position shows something else; see `ExploringServe`.
        watch: is told of each list.

    Raises:
        SimulationError: if a number is out of range.
    """
    visits = period(world, lists)
    kept = ~np.isin(visits.user, absent)
    visits = Visits(visits.user[kept], visits.time[kept], visits.room[kept], visits.label)
    return run(world, ExploringServe(world, serve, explore), visits, watch=watch, tag=f"-explore{explore:g}")


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One figure of one group of people, under each server."""

    group: str
    users: int
    figure: str
    """Of `FIGURES`."""
    values: Mapping[str, Interval]
    """By server, with intervals over people."""
    change: Difference
    """The last server less the first, person by person."""


def compare(
    world: World,
    servers: Mapping[str, Serve],
    rounds: int,
    histories: Histories,
    new: Rows,
) -> tuple[list[ComparisonRow], dict[str, Diary]]:
    """Everybody visits every server once a round; chance is the same for all. The oracle serves too.

    Args:
        world: the world.
        servers: by name; the last is held against the first.
        rounds: how often.
        histories: what people did before.
        new: numbers of the people who were not there before.

    Returns:
        The figures, and what happened at each server.
    """
    everybody = {**servers, ORACLE: OracleServe(world)}
    diaries = {
        name: run_loop(world, serve, rounds, histories=histories, tag=f"-{name.replace(' ', '-')}")
        for name, serve in everybody.items()
    }
    found: dict[str, dict[str, Doubles]] = {name: one.measured.by_user() for name, one in diaries.items()}
    first, last = next(iter(servers)), list(servers)[-1]
    is_new = np.isin(found[first]["user"], new)
    lines = []
    for group, mine in ((KNOWN, ~is_new), (NEW, is_new)):
        for figure in FIGURES if mine.any() else ():
            values = {name: columns[figure][mine] for name, columns in found.items()}
            intervals = {name: bootstrap(one) for name, one in values.items()}
            lines.append(
                ComparisonRow(group, int(mine.sum()), figure, intervals, paired(values[last], values[first]))
            )
    return lines, diaries
