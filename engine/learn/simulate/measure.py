"""A shown list against the best possible one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.types import Doubles, Rows
from engine.core.types import Event, EventKind
from engine.learn.dcg import dcg
from engine.learn.simulate.world import World


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of n served lists of up to k positions."""

    user: Rows
    """(n,): the number of the person in `World.users`."""
    time: Doubles
    """(n,): seconds since 1970."""
    ndcg: Doubles
    """(n,): NDCG of the list's k positions over all items that could be shown; an item's gain is its true
    probability of a click if looked at. The oracle's is 1, so this is the share of it. NaN where nothing could be
    shown."""
    precision: Doubles
    """(n,): the share of the k positions that showed one of the items that appeal most to the person at that moment:
    the first 50 (or as many as `run` was told) by the true probability of a click, of those that could be shown."""
    shown: npt.NDArray[np.bool_]
    """(n, k): whether there was an item."""
    looked: npt.NDArray[np.bool_]
    """(n, k): whether the person looked at it. No log shows this."""
    clicked: npt.NDArray[np.bool_]
    """(n, k)."""

    @classmethod
    def empty(cls, user: Rows, time: Doubles, positions: int) -> "Measured":
        """Of lists that are still to be served; the columns are filled in place."""
        flags = [np.zeros((len(user), positions), np.bool_) for _ in range(3)]
        return cls(user, time, np.full(len(user), np.nan), np.full(len(user), np.nan), *flags)

    def __len__(self) -> int:
        return len(self.user)

    @property
    def click_rate(self) -> float:
        """Clicks per item shown."""
        return float(self.clicked.sum() / max(1, self.shown.sum()))

    @property
    def share_of_oracle(self) -> float:
        """The mean of `ndcg`: the share of the oracle's NDCG."""
        return float(np.nanmean(self.ndcg))

    @property
    def mean_precision(self) -> float:
        """The mean of `precision`."""
        return float(np.nanmean(self.precision))

    def by_user(self) -> dict[str, Doubles]:
        """Per person the mean of each figure: `click_rate`, `ndcg`, `precision`, (P',) each, beside `user`.

        People are independent, lists of one person are not, so intervals are to be made over these. The people are
        those who were served, by number; over the same visits they are the same for every server, so differences can
        be taken pair by pair.
        """
        users, position = np.unique(self.user, return_inverse=True)
        size = len(users)

        def mean(values: Doubles) -> Doubles:
            known = ~np.isnan(values)
            total = np.bincount(position[known], values[known], size)
            count = np.bincount(position[known], minlength=size)
            return np.where(count > 0, total / np.maximum(count, 1), np.nan)

        clicks = np.bincount(position, self.clicked.sum(axis=1), size)
        shown = np.bincount(position, self.shown.sum(axis=1), size)
        return {
            "user": users.astype(np.float64),
            "click_rate": clicks / np.maximum(shown, 1),
            "ndcg": mean(self.ndcg),
            "precision": mean(self.precision),
        }


def ndcg_of(gain: Doubles, rows: Sequence[int] | Rows, positions: int) -> float:
    """NDCG of a list with graded gains.

    Args:
        gain: (m,), 0 or more: of every item, 0 for those that cannot be shown.
        rows: the items shown, from the first position on.
        positions: only so many count, of the list and of the best one.

    Returns:
        0 to 1; NaN if no item has a gain.
    """
    shown = np.asarray(rows, np.intp)[:positions]
    count = min(positions, len(gain))
    best = -np.sort(-np.partition(gain, len(gain) - count)[-count:])
    ideal = dcg(best)
    return dcg(gain[shown]) / ideal if ideal > 0 else float("nan")


def acted_on(world: World, history: Sequence[Event]) -> Rows:
    """The rows of the items that a history names, but for those that were only shown."""
    names = {e.item for e in history if e.item is not None and e.kind != EventKind.IMPRESSION}
    rows = world.items.rows(sorted(names))
    return rows[rows >= 0]
