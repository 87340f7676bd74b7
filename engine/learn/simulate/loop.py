"""Visits are served, people react, the result is measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from encoders.types import Doubles, Rows
from engine.core.types import Event, UserId
from engine.events.types import Impression, UserEvent
from engine.learn.simulate.errors import SimulationError
from engine.learn.simulate.measure import Measured, acted_on, ndcg_of
from engine.learn.simulate.react import Users, moment
from engine.learn.simulate.serving import Serve, Shown
from engine.learn.simulate.visits import Visits, chances, period, rounds
from engine.learn.simulate.world import World

RELEVANT = 50
"""The items that appeal most to a person, which precision counts."""

Watch = Callable[[Impression, Sequence[Event]], None]
"""Is told of each list and what followed it, as it happens."""

Histories = Mapping[UserId, Sequence[Event]]


@dataclass(frozen=True, slots=True)
class Diary:
    """What happened."""

    impressions: tuple[Impression, ...]
    """The served lists, oldest first."""
    events: tuple[UserEvent, ...]
    """What people did, oldest first."""
    measured: Measured
    """Row for row with `impressions`."""
    histories: Histories
    """Per person all that they did, oldest first, with what they had done before."""


@dataclass(slots=True)
class _Past:
    """What the people of a world did so far."""

    events: dict[UserId, list[Event]]
    used: npt.NDArray[np.bool_] = field(repr=False)
    """(P, m): what each has acted on."""

    @classmethod
    def of(cls, world: World, histories: Histories) -> "_Past":
        used = np.zeros((len(world.users), len(world.items)), np.bool_)
        for number, user in enumerate(world.users):
            used[number, acted_on(world, histories.get(user, ()))] = True
        return cls({user: list(histories.get(user, ())) for user in world.users}, used)


def simulate(world: World, serve: Serve, impressions: int, *, watch: Watch | None = None, tag: str = "") -> Diary:
    """People visit during the world's period; this makes a log to learn from.

    Args:
        world: the world.
        serve: the logging policy.
        impressions: how many lists are served.
        watch: is told of each list, such as `PopularServe.learn`.
        tag: see `run`.

    Raises:
        SimulationError: if `impressions` is not 1 or more, or a list cannot be shown.
    """
    return run(world, serve, period(world, impressions), watch=watch, tag=tag)


def run_loop(
    world: World,
    serve: Serve,
    count: int,
    *,
    histories: Histories | None = None,
    since: float | None = None,
    hours: float = 24.0,
    relevant: int = RELEVANT,
    watch: Watch | None = None,
    tag: str = "",
) -> Diary:
    """Everybody visits once a round, and what they did is their history in the next one.

    Two servers are compared by letting the same people, with the same histories, visit both at the same times: chance
    draws the same numbers for both, so that differences are the servers'.

    Args:
        world: the world.
        serve: the server to be measured.
        count: rounds.
        histories: what people did before.
        since: when the first round begins, seconds since 1970; None is the end of the period.
        hours: the length of a round.
        relevant: how many of the items that appeal most count for precision.
        watch: is told of each list.
        tag: see `run`.

    Raises:
        SimulationError: if a number is out of range, or a list cannot be shown.
    """
    visits = rounds(world, count, since=since, hours=hours)
    return run(world, serve, visits, histories=histories, relevant=relevant, watch=watch, tag=tag)


def run(
    world: World,
    serve: Serve,
    visits: Visits,
    *,
    histories: Histories | None = None,
    relevant: int = RELEVANT,
    watch: Watch | None = None,
    tag: str = "",
) -> Diary:
    """Serve visits one after the other.

    Nobody acts on an item twice: what a person clicked, bought, liked, disliked or skipped has no gain for them any
    more, and the oracle does not show it again either.

    Args:
        world: the world.
        serve: what is shown.
        visits: who comes when.
        histories: what people did before.
        relevant: see `run_loop`.
        watch: is told of each list.
        tag: a part of the ids of requests and events, so that one event store can keep the diaries of two servers.

    Raises:
        SimulationError: if a list shows an item twice, or one that is not in the catalogue at that time.
    """
    users, past = Users(world), _Past.of(world, histories or {})
    measured = Measured.empty(visits.user, visits.time, world.config.positions)
    impressions: list[Impression] = []
    events: list[UserEvent] = []
    parts = list(world.parts(len(visits)))
    for part, chance in zip(parts, chances(world, visits, parts), strict=True):
        truth = world.truth(visits.user[part], visits.time[part])
        for one, at in enumerate(range(part.start, part.stop)):
            number, seconds, room = int(visits.user[at]), float(visits.time[at]), float(visits.room[at])
            user, name = world.users[number], f"{world.name}-{visits.label}{tag}-{at:06d}"
            history = past.events[user]
            focus = world.tastes.focus[number].astype(np.float64)
            before = users.before(name, seconds, room, truth.affinity[one], chance, one, focus)
            history.extend(before)
            time = moment(seconds)
            shown = serve(user, time, tuple(history))
            rows = _rows(world, shown, seconds)
            gain = np.where(past.used[number] | ~world.there(seconds), 0.0, truth.click[one])
            reaction = users.after(name, seconds, room, rows, gain, truth, chance, one)
            impression = _impression(name, user, shown, time)
            _fill(measured, at, gain, rows, reaction.looked, reaction.clicked, relevant)
            history.extend(reaction.events)
            past.used[number, acted_on(world, reaction.events)] = True
            impressions.append(impression)
            events += [UserEvent(user, event) for event in (*before, *reaction.events)]
            if watch is not None:
                watch(impression, reaction.events)
    events.sort(key=lambda event: event.event.time or moment(0))
    return Diary(tuple(impressions), tuple(events), measured, past.events)


def _fill(
    measured: Measured,
    at: int,
    gain: Doubles,
    rows: Rows,
    looked: npt.NDArray[np.bool_],
    clicked: npt.NDArray[np.bool_],
    relevant: int,
) -> None:
    """The figures of one list."""
    count, positions = len(rows), measured.shown.shape[1]
    measured.shown[at, :count] = True
    measured.looked[at, :count], measured.clicked[at, :count] = looked, clicked
    measured.ndcg[at] = ndcg_of(gain, rows, positions)
    free = np.flatnonzero(gain > 0)
    if len(free):
        most = min(relevant, len(free))
        least = np.partition(gain[free], len(free) - most)[len(free) - most]
        measured.precision[at] = float((gain[rows] >= least).sum()) / positions


def _rows(world: World, shown: Shown, seconds: float) -> Rows:
    """The rows of a list's items.

    Raises:
        SimulationError: if there are more than positions, one twice, or one that is not in the catalogue.
    """
    count = len(shown.items)
    if count > world.config.positions or count != len(shown.propensities):
        problem = f"list has {count} items and {len(shown.propensities)} propensities"
        raise SimulationError(problem, f"serve up to {world.config.positions} items, each with a propensity")
    if len(set(shown.items)) != count:
        raise SimulationError(f"list of model {shown.model} shows an item twice", "serve each once")
    rows = world.items.rows(shown.items)
    wrong = (rows < 0) | ~world.there(seconds)[rows]
    if wrong.any():
        item = shown.items[int(np.argmax(wrong))]
        raise SimulationError(
            f"item {item!r} is served before it is in the catalogue, or never is", "serve what World.there says"
        )
    return rows


def _impression(name: str, user: UserId, shown: Shown, time: datetime) -> Impression:
    positions = tuple(range(1, len(shown.items) + 1))
    return Impression(name, user, shown.items, positions, shown.propensities, shown.model, shown.tier, time)
