"""Histories, cut into what the user embedding is trained on and measured by.

After the first j events of a history the vector is to find a positive one behind them. A window is a run of such
positions j, with the tokens before them; every position is in one window, with at least half of `MAX_TOKENS` before
it, or all that there is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from encoders.types import Bools, Floats, Rows
from engine.learn.dcg import discounts
from engine.learn.rows.point_in_time import PointInTimeFeatures
from engine.rerank.table import MAX_TOKENS, Tokens

_STRIDE = MAX_TOKENS // 2


@dataclass(frozen=True, slots=True)
class Step:
    """A positive event, and what was known before it."""

    tokens: Tokens
    seen: Rows
    """Items that were acted on before."""
    item: int


@dataclass(frozen=True, slots=True)
class UserSequence:
    """One person's events, as far as they are read: up to the last that may be learned from."""

    rows: Rows
    """(e,), rows of the log that make tokens, oldest first."""
    targets: Rows
    """(p,), positions among `rows` that may be learned from, rising."""


@dataclass(frozen=True, slots=True)
class Window:
    """The positions j, `first` <= j < `end`, of a person, with tokens from the position `start`."""

    user: int
    start: int
    first: int
    end: int


def newest_steps(point_in_time: PointInTimeFeatures, allowed: Bools, most: int, seed: int) -> Rows:
    """The newest allowed event of at most so many people, drawn from those that have three; rows of the log."""
    last = [rows[allowed[rows]][-1] for rows in point_in_time.of_user if int(allowed[rows].sum()) >= 3]
    drawn = np.random.default_rng(seed).permutation(np.array(last, np.intp))[:most]
    return np.sort(drawn)


def steps_of(point_in_time: PointInTimeFeatures, rows: Rows) -> list[Step]:
    """The events at rows of the log."""
    found: list[Step] = []
    for row in rows.tolist():
        mine = point_in_time.of_user[int(point_in_time.log.user[row])]
        before = mine[: int(np.searchsorted(mine, row))]
        tokens = point_in_time.tokens(before, float(point_in_time.log.time[row]))
        found.append(Step(tokens, point_in_time.seen(before), int(point_in_time.item[row])))
    return found


def sequences_of(point_in_time: PointInTimeFeatures, allowed: Bools) -> list[UserSequence]:
    """Everybody who has an event that may be learned from.

    Args:
        point_in_time: the log over the item table.
        allowed: (n,) bool, over the log: positive events.
    """
    usable = (point_in_time.token_rows >= 0) & (point_in_time.kinds >= 0)
    found: list[UserSequence] = []
    for mine in point_in_time.of_user:
        rows = mine[usable[mine]]
        targets = np.flatnonzero(allowed[rows])
        if len(targets):
            found.append(UserSequence(rows[: targets[-1] + 1], targets))
    return found


def windows_of(users: Sequence[UserSequence], random: np.random.Generator) -> list[Window]:
    """Everybody's positions, each once, cut at another place each time."""
    found: list[Window] = []
    for number, user in enumerate(users):
        first, end = 0, MAX_TOKENS + 1 - int(random.integers(_STRIDE))
        while first < len(user.rows):
            end = min(end, len(user.rows))
            found.append(Window(number, max(end - 1 - MAX_TOKENS, 0), first, end))
            first, end = end, end + _STRIDE
    return found


def examples(
    point_in_time: PointInTimeFeatures,
    users: Sequence[UserSequence],
    windows: Sequence[Window],
) -> tuple[list[Tokens], Rows, Rows, Rows]:
    """What a batch of windows trains.

    Args:
        point_in_time: the log over the item table.
        users: whose they are.
        windows: of people.

    Returns:
        The tokens of each window; and of the n positions the window they are in, how many of its tokens are known,
        and the item that is to be found, the next positive one, each (n,).
    """
    tokens: list[Tokens] = []
    parts: list[tuple[Rows, Rows, Rows]] = []
    for number, window in enumerate(windows):
        user = users[window.user]
        known = np.arange(window.first, window.end)
        following = np.searchsorted(user.targets, known)  # the first target among what is not known
        item = point_in_time.item[user.rows[user.targets[following]]]
        parts.append((np.full(len(known), number), known - window.start, item))
        now = float(point_in_time.log.time[user.rows[window.end - 1]])
        tokens.append(point_in_time.tokens(user.rows[window.start : window.end - 1], now))
    which, position, wanted = (np.concatenate(column) for column in zip(*parts, strict=True))
    return tokens, which, position, wanted


def ranks_of(scores: Floats, steps: Sequence[Step]) -> Rows:
    """(s,): how many items are ranked before that of each step, among those that the person had not acted on.

    Args:
        scores: (s, m), of all items at each step; of equal ones the earlier item is ranked first.
        steps: s steps.
    """
    ranks = np.zeros(len(steps), np.intp)
    for position, one in enumerate(steps):
        row = np.array(scores[position], np.float32)
        row[one.seen[one.seen != one.item]] = -np.inf
        ranks[position] = int((row > row[one.item]).sum()) + int((row[: one.item] == row[one.item]).sum())
    return ranks


def figures_of_ranks(ranks: Rows) -> dict[str, float]:
    """NDCG@10, recall@50 and @100 of ranks (s,), from 0; zeros if there are none."""
    many = max(len(ranks), 1)
    return {
        "ndcg_at_10": float(np.where(ranks < 10, discounts(10)[np.minimum(ranks, 9)], 0).sum()) / many,
        "recall_at_50": int((ranks < 50).sum()) / many,
        "recall_at_100": int((ranks < 100).sum()) / many,
    }
