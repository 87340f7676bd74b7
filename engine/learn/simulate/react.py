"""What a person does at a visit: a search or an upload before the list, clicks and more in it."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from encoders.types import Doubles, Rows, Text
from engine.core.types import Event, EventKind, Payload, VectorInput
from engine.events.times import from_micros
from engine.learn.simulate.config import WorldConfig
from engine.learn.simulate.tastes import unit_rows
from engine.learn.simulate.visits import Chance
from engine.learn.simulate.world import Truth, World

NEAR = 20
"""What is searched or uploaded is near one of so many items, those nearest to a taste."""

_NOISE = 0.5
"""The length of the noise in an upload, beside the item's vector of length 1."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What followed a list of k positions."""

    looked: npt.NDArray[np.bool_]
    """(k,)."""
    clicked: npt.NDArray[np.bool_]
    """(k,)."""
    events: tuple[Event, ...]


class Users:
    """Lets the users of a world act.

    Args:
        world: the world.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._titles = [title_of(payload) for payload in world.items.payloads]
        self._titled = np.array([bool(title) for title in self._titles])
        self._modalities = tuple(world.field.vectors)

    def before(
        self, name: str, seconds: float, room: float, affinity: Doubles, chance: Chance, one: int, focus: Doubles
    ) -> list[Event]:
        """What a person searches and uploads before the list.

        Args:
            name: of the visit, for the events' ids.
            seconds: when the list is asked for, since 1970.
            room: see `Visits.room`.
            affinity: (m,), how near the items are to a taste.
            chance: of the visits at hand.
            one: which of them.
            focus: (M,), how much the person cares about each modality.
        """
        config, there = self._world.config, self._world.there(seconds)
        events = []
        happens, which = chance.search[one]
        if happens < config.searches:
            row = _pick(affinity, there & self._titled, which)
            if row >= 0:
                time = moment(seconds - room * 0.2)
                events.append(
                    Event(EventKind.SEARCH, content=Text(self._titles[row]), time=time, id=f"{name}-search")
                )
        happens, which = chance.upload[one]
        if happens < config.uploads:
            upload = self._upload(affinity, there, happens / config.uploads, which, focus)
            if upload is not None:
                time = moment(seconds - room * 0.1)
                events.append(Event(EventKind.UPLOAD, content=upload, time=time, id=f"{name}-upload"))
        return events

    def after(
        self,
        request: str,
        seconds: float,
        room: float,
        rows: Rows,
        gain: Doubles,
        truth: Truth,
        chance: Chance,
        one: int,
    ) -> Reaction:
        """What a person does with a list.

        A position that is looked at is clicked with the item's true probability p. After a click comes a purchase, a
        like, or nothing; without one a dislike, a skip, or nothing. A click and what comes after it are two events.

        Args:
            request: the list's request id.
            seconds: when it is shown, since 1970.
            room: see `Visits.room`.
            rows: (k,), the items shown.
            gain: (m,), the true probabilities of a click, 0 where the person has acted on the item before.
            truth: of the visits at hand.
            chance: of the visits at hand.
            one: which of them.
        """
        config, count = self._world.config, len(rows)
        p = gain[rows]
        looked = chance.look[one, :count] < self._world.examination(count)
        clicked = looked & (chance.click[one, :count] < p)
        after = chance.after[one, :count]
        annoyed = config.annoyed / (1 + np.exp(-2 * (truth.disliked[one, rows] - 2)))
        events: list[Event] = []
        for position in np.flatnonzero(looked & (p > 0)).tolist():
            kinds = _kinds(
                bool(clicked[position]), float(after[position]), float(p[position]), float(annoyed[position]), config
            )
            item = self._world.items.ids[int(rows[position])]
            for step, kind in enumerate(kinds):
                time = moment(seconds + room * 0.5 * (position + 1 + 0.5 * step) / (count + 1))
                events.append(Event(kind, item, time=time, id=f"{request}-{position + 1}-{kind}", request_id=request))
        return Reaction(looked, clicked, tuple(events))

    def _upload(
        self, affinity: Doubles, there: npt.NDArray[np.bool_], first: float, which: float, focus: Doubles
    ) -> VectorInput | None:
        """The vector of an item near a taste, and noise, in a modality that the person cares about."""
        items, world = self._world.items, self._world
        shares = np.cumsum(focus**2)
        column = min(int(np.searchsorted(shares, first * shares[-1], side="right")), len(shares) - 1)
        modality = self._modalities[column]
        row = _pick(affinity, there & items.present[modality], which)
        if row < 0:
            return None
        vector = items.vectors[modality][row]
        noise = np.random.default_rng([world.config.seed, row, int(which * 2**32)]).standard_normal(len(vector))
        values = unit_rows(vector + np.float32(_NOISE) * unit_rows(noise.astype(np.float32)))
        return VectorInput(modality, values, world.fingerprint)


def title_of(payload: Payload) -> str:
    """What an item is called: its payload's title or name; "" if it has neither."""
    for key in ("title", "name"):
        value = payload.get(key)
        if isinstance(value, str) and value.strip():
            return value
    return ""


def moment(seconds: float) -> datetime:
    """Seconds since 1970 as a time, in UTC, to the microsecond."""
    return from_micros(round(seconds * 1e6))


def _kinds(clicked: bool, after: float, p: float, annoyed: float, config: WorldConfig) -> tuple[EventKind, ...]:
    """The events of a position that was looked at; `after` is uniform in [0, 1)."""
    if not clicked:
        if after < annoyed:
            return (EventKind.DISLIKE,)
        return (EventKind.SKIP,) if after < annoyed + (1 - annoyed) * config.skip else ()
    bought = config.purchase * p
    if after < bought:
        return EventKind.CLICK, EventKind.PURCHASE
    liked = bought + (1 - bought) * config.like * p
    return (EventKind.CLICK, EventKind.LIKE) if after < liked else (EventKind.CLICK,)


def _pick(score: Doubles, allowed: npt.NDArray[np.bool_], which: float) -> int:
    """One of the `NEAR` best rows that are allowed, -1 if there is none."""
    rows = np.flatnonzero(allowed)
    if not len(rows):
        return -1
    count = min(NEAR, len(rows))
    best = rows[np.argpartition(-score[rows], count - 1)[:count]]
    return int(np.sort(best)[int(which * count)])
