"""How attractive items are where they are looked at: clicks, freed of the places that they were made at.

A position-based model (Craswell et al., *An experimental comparison of click position-bias models*, WSDM 2008): an
item is chosen if its place is looked at and it attracts. How much each place is looked at, and how much each item
attracts, are estimated in turn, by expectation maximisation for the places (Chuklin et al., *Click Models for Web
Search*, 2015). What is shown often is chosen often: counts of choices alone tell what was shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from encoders.types import Floats
from engine.events.types import Impression
from engine.learn.log import Doubles, Ints
from engine.rerank.statistics import Rows
from engine.types import ItemId, UserId

ROUNDS = 50
PRIOR = 5.0
"""Looks at an average item that each item is given: what was seldom looked at promises little."""


@dataclass(frozen=True, slots=True)
class Shows:
    """n places of served lists, in columns."""

    item: Rows
    """(n,)."""
    position: Rows
    """(n,), from 1."""
    answered: Doubles
    """(n,): when the person answered it favourably, seconds since 1970; NaN where they did not."""
    person: Ints
    """(n,)."""
    time: Doubles
    """(n,), seconds since 1970."""

    def __len__(self) -> int:
        return len(self.item)

    @property
    def chosen(self) -> npt.NDArray[np.bool_]:
        """(n,): whether the person answered it favourably."""
        return np.isfinite(self.answered)

    def take(self, rows: npt.NDArray[np.bool_]) -> "Shows":
        """Those that are marked."""
        return Shows(self.item[rows], self.position[rows], self.answered[rows], self.person[rows], self.time[rows])

    def before(self, time: float) -> "Shows":
        """What was known at a time: the places that were shown before it, and the answers that had come."""
        known = self.take(self.time < time)
        return replace(known, answered=np.where(known.answered < time, known.answered, np.nan))


def shows_of(
    lists: Sequence[Impression],
    rows: Mapping[ItemId, int],
    people: Mapping[UserId, int],
    chosen: Mapping[tuple[str, int], float],
) -> Shows:
    """The places of served lists.

    Args:
        lists: what was served.
        rows: the row of each item; others are left out.
        people: the number of each person; lists of others are left out.
        chosen: by request and row of an item, when it was answered favourably, seconds since 1970.
    """
    never = float("nan")
    found = [
        (rows[name], place, chosen.get((one.request_id, rows[name]), never), people[one.user], one.time.timestamp())
        for one in lists
        if one.user in people
        for name, place in zip(one.items, one.positions, strict=True)
        if name in rows
    ]
    item, place, answered, person, time = zip(*found, strict=True) if found else ((),) * 5
    return Shows(
        np.array(item, np.intp),
        np.array(place, np.intp),
        np.array(answered, np.float64),
        np.array(person, np.int64),
        np.array(time, np.float64),
    )


@dataclass(frozen=True, slots=True)
class ClickModel:
    """What a position-based model makes of served lists."""

    attracts: Doubles
    """(m,): how probably each item is chosen if it is looked at."""
    mean: float
    """The same of an average item."""
    looks: Doubles
    """By place, from 1: how probably it is looked at, if the place that is looked at most always is. The first value,
    that of no place, says nothing."""


def click_model(item: Rows, position: Ints, chosen: npt.NDArray[np.bool_], size: int) -> ClickModel | None:
    """Fit the model.

    Args:
        item: (n,), what was shown.
        position: (n,), where, from 1.
        chosen: (n,), whether it was chosen.
        size: m.

    Returns:
        None where nothing was chosen: nothing can be said.
    """
    if not chosen.any():
        return None
    places = int(position.max()) + 1
    shown = np.bincount(position, minlength=places).clip(1)
    taken = np.bincount(item, chosen, minlength=size)
    looks = 1 / np.arange(places).clip(1)
    attracts = np.full(size, min(2 * float(chosen.mean()), 0.9))
    mean = 0.0
    for _ in range(ROUNDS):
        looked, attracted = looks[position], attracts[item]
        passed = looked * (1 - attracted) / np.maximum(1 - looked * attracted, 1e-9)  # looked at, though not chosen
        looks = np.bincount(position, np.where(chosen, 1.0, passed), minlength=places) / shown
        looks /= max(float(looks[1:].max()), 1e-9)  # the place that is looked at most is always looked at
        seen = np.bincount(item, looks[position], minlength=size)
        mean = float(taken.sum() / seen.sum())
        attracts = np.clip((taken + PRIOR * mean) / (seen + PRIOR), 1e-6, 0.999)
    return ClickModel(attracts, mean, looks)


def attraction(shows: Shows, size: int) -> Floats:
    """(m,) float32: how probably each item is chosen if it is looked at, 1 being an average item; 0 without shows.

    Args:
        shows: places of served lists.
        size: m.
    """
    model = click_model(shows.item, shows.position, shows.chosen, size)
    if model is None:
        return np.zeros(size, np.float32)
    return np.asarray(model.attracts / model.mean, np.float32)
