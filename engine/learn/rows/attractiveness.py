"""How attractive items are where they are looked at: clicks, freed of the positions that they were made at.

A position-based model (Craswell et al., *An experimental comparison of click position-bias models*, WSDM 2008): an
item is chosen if its position is looked at and it attracts. How much each position is looked at, and how much each
item attracts, are estimated in turn, as choices over expected choices (Zhang & Jones, *Comparing click logs and
editorial labels for training query rewriting*, WWW 2007). What is shown often is chosen often: counts of choices
alone tell what was shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import PoissonRegressor

from encoders.types import Doubles, Floats, Ints, Rows
from engine.core.types import ItemId, UserId
from engine.events.types import Impression

ROUNDS = 50
PRIOR = 5.0
"""Looks at an average item that each item is given: what was seldom looked at promises little."""
DRAWN = 0.5
"""Below this propensity an item was drawn for its position at random; see `engine.query.policy.explore`."""
ENOUGH = 100
"""So many choices of what was drawn at random tell how much positions are looked at."""


@dataclass(frozen=True, slots=True)
class Exposures:
    """n positions of served lists, in columns."""

    item: Rows
    """(n,)."""
    position: Rows
    """(n,), from 1."""
    answered: Doubles
    """(n,): when the person answered it favourably, seconds since 1970; NaN where they did not."""
    user: Ints
    """(n,)."""
    time: Doubles
    """(n,), seconds since 1970."""
    propensity: Doubles
    """(n,), with which the position showed the item."""

    def __len__(self) -> int:
        return len(self.item)

    @property
    def chosen(self) -> npt.NDArray[np.bool_]:
        """(n,): whether the person answered it favourably."""
        return np.isfinite(self.answered)

    def take(self, rows: npt.NDArray[np.bool_]) -> "Exposures":
        """Those that are marked."""
        return Exposures(*(getattr(self, one.name)[rows] for one in fields(self)))

    def before(self, time: float) -> "Exposures":
        """What was known at a time: the positions that were shown before it, and the answers that had come."""
        known = self.take(self.time < time)
        return replace(known, answered=np.where(known.answered < time, known.answered, np.nan))


def exposures_of(
    lists: Sequence[Impression],
    rows: Mapping[ItemId, int],
    users: Mapping[UserId, int],
    chosen: Mapping[tuple[str, int], float],
) -> Exposures:
    """The positions of served lists.

    Args:
        lists: what was served.
        rows: the row of each item; others are left out.
        users: the number of each person; lists of others are left out.
        chosen: by request and row of an item, when it was answered favourably, seconds since 1970.
    """
    never = float("nan")
    found = [
        (
            rows[name],
            position,
            chosen.get((one.request_id, rows[name]), never),
            users[one.user],
            one.time.timestamp(),
            propensity,
        )
        for one in lists
        if one.user in users
        for name, position, propensity in zip(one.items, one.positions, one.propensities, strict=True)
        if name in rows
    ]
    item, position, answered, user, time, propensity = zip(*found, strict=True) if found else ((),) * 6
    return Exposures(
        np.array(item, np.intp),
        np.array(position, np.intp),
        np.array(answered, np.float64),
        np.array(user, np.int64),
        np.array(time, np.float64),
        np.array(propensity, np.float64),
    )


def attractiveness(exposures: Exposures, size: int) -> Floats:
    """(m,) float32: how probably each item is chosen if it is looked at, 1 being an average item; 0 without shows.

    Args:
        exposures: positions of served lists.
        size: m.
    """
    if not exposures.chosen.any():
        return np.zeros(size, np.float32)
    attracts, _ = _click_model(exposures, size)
    return attracts


def examination_probabilities(exposures: Exposures) -> Doubles:
    """By position, from 1: how probably it is looked at, if the position that is looked at most always is; 0 for
    positions that were never chosen, and for the position 0 that there is not.

    From positions that showed a random item, where enough of these were chosen: an order that suits people puts
    what they choose first, which looks as if only the first positions were looked at. It is 1 / position ** g, g by a
    Poisson regression. Else by the click model of all positions.

    Args:
        exposures: positions of served lists.
    """
    last, drawn = int(exposures.position.max(initial=0)), exposures.take(exposures.propensity < DRAWN)
    if drawn.chosen.sum() < ENOUGH:
        size = int(exposures.item.max(initial=0)) + 1
        return _click_model(exposures, size)[1] if exposures.chosen.any() else np.zeros(last + 1)
    positions = np.arange(1, last + 1)
    shown = np.bincount(drawn.position, minlength=len(positions) + 1)[1:]
    taken = np.bincount(drawn.position, drawn.chosen, minlength=len(positions) + 1)[1:]
    fitted = PoissonRegressor(alpha=0).fit(np.log(positions)[:, None], taken / shown.clip(1), sample_weight=shown)
    return np.concatenate([[0.0], positions ** min(float(fitted.coef_[0]), 0.0)])


def _click_model(exposures: Exposures, size: int) -> tuple[Floats, Doubles]:
    """What each item attracts (m,), 1 being an average one, and how probably each position is examined.

    Args:
        exposures: of which some are chosen.
        size: m.
    """
    item, position, chosen = exposures.item, exposures.position, exposures.chosen
    positions = int(position.max()) + 1
    at_position, of_item = (
        np.bincount(position, chosen, minlength=positions),
        np.bincount(item, chosen, minlength=size),
    )
    attracts = np.full(size, float(chosen.mean()))
    examination, mean = np.ones(positions), 0.0
    for _ in range(ROUNDS):
        examination = at_position / np.maximum(np.bincount(position, attracts[item], minlength=positions), 1e-9)
        examination /= examination.max()  # the position that is looked at most is always looked at
        seen = np.bincount(item, examination[position], minlength=size)
        mean = float(of_item.sum() / seen.sum())
        attracts = np.clip((of_item + PRIOR * mean) / (seen + PRIOR), 1e-6, 0.999)
    return (attracts / mean).astype(np.float32), examination
