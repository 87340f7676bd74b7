"""What served lists say of a version that did not make them: what it would earn, and whether it predicts well.

The version's list is taken as it ranks: its candidates by score, without what was seen. What a policy does afterwards
(diversity, caps per value) is not redone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

import numpy as np
from sklearn.linear_model import LogisticRegression

from encoders.types import Doubles, Ints, Rows
from engine.catalog.items import ItemTable
from engine.core.kinds import STANDARD_KINDS, EventKinds
from engine.core.types import Event
from engine.events.types import Served
from engine.learn.evaluation.baselines.matrix import seen_items
from engine.learn.evaluation.metrics import calibration_error, top
from engine.learn.evaluation.off_policy import Logged, OffPolicy, off_policy, rate, rate_kinds
from engine.learn.evaluation.replay import best_gain, gain, position_weights
from engine.learn.evaluation.stats import DRAWS, Difference, Draws, Interval, paired
from engine.learn.learned import VersionRanker
from engine.learn.log import EventLog
from engine.learn.ranker import Cases
from engine.learn.rows.attractiveness import Exposures, examination_probabilities
from engine.models.errors import TooLittleDataError

_BATCH = 256
_FOLDS = 2
_PLACES = 100
"""Positions that are told apart; those behind them, of later pages, are as one."""


@dataclass(frozen=True, slots=True)
class ServedFigures:
    """What lists that others served say of a version."""

    version: str
    since: datetime | None
    """Only lists from then on count: the version learned from what was before. None counts all."""
    lists: int
    positions: int
    left_out: int
    """Lists that do not count: older, or of nobody named."""
    observed: dict[str, Interval]
    """Per name of `rate_kinds`, what followed the lists as they were served, per position."""
    estimates: dict[str, OffPolicy]
    """The same, of the lists that the version would make, from those that explore. Empty where there are none: then
    nothing can be said of what was not shown."""
    agreement: float
    """The share of positions in which the version shows the item that was there."""
    replayed: Difference
    """NDCG of what was chosen, in the version's order of what was shown, less in the order that was served. A choice
    counts the more, the less its position is looked at."""
    calibration_error: float
    """How far the version's probabilities of a favourable answer lie from what happened (ECE)."""
    predicted: float
    """The mean of these probabilities."""
    happened: float
    """The share of positions with a favourable answer."""


@dataclass(frozen=True, slots=True)
class _Lists:
    """Served lists in columns: l lists, n positions of items that are in the catalogue."""

    log: EventLog
    cases: Cases
    number: Ints
    """(n,), the list of each position."""
    row: Rows
    """(n,), its item."""
    position: Ints
    """(n,), from 1."""
    propensity: Doubles
    followed: tuple[tuple[Event, ...], ...]
    """(n,), what followed on the item."""

    @property
    def user(self) -> Ints:
        """(n,)."""
        return self.cases.user[self.number]

    def logged(self, rewards: Doubles) -> Logged:
        return Logged(self.user, rewards, self.propensity)


def judge_served(
    ranker: VersionRanker,
    log: EventLog,
    items: ItemTable,
    served: Sequence[Served],
    since: datetime | None = None,
    draws: Draws = DRAWS,
    kinds: EventKinds = STANDARD_KINDS,
) -> ServedFigures:
    """Judge a version by lists that were served after its last training event.

    Args:
        ranker: the version; it is told of the log and the items here.
        log: all events; of a person, what happened before a list is known.
        items: the catalogue.
        served: lists with what followed.
        since: lists before it are left out.
        draws: of intervals.
        kinds: that there are.

    Raises:
        TooLittleDataError: if no list counts.
    """
    kept = [one for one in served if one.impression.user and (since is None or one.impression.time > since)]
    lists = _columns(log, items, kept)
    if not len(lists.number):
        raise TooLittleDataError(
            f"none of {len(served):,} served lists was served to somebody named"
            + (f" after {since:%Y-%m-%d %H:%M} UTC, until when {ranker.name} learned" if since else ""),
            "let the server run on, with a user_id in requests",
        )
    ranker.fit(lists.log, items)
    own, mine, other = _ranked(ranker, lists, items)
    observed, estimates = _rates(lists, own, mine, other, draws, kinds)
    favourable = np.array([any(map(ranker.version.favours, events)) for events in lists.followed], np.bool_)
    likely = _likely(ranker, lists)
    return ServedFigures(
        ranker.name,
        since,
        len(lists.cases),
        len(lists.row),
        len(served) - len(lists.cases),
        observed,
        estimates,
        float((own == lists.row).mean()),
        _replayed(lists, favourable, mine, draws),
        calibration_error(likely, favourable),
        float(likely.mean()),
        float(favourable.mean()),
    )


def _columns(log: EventLog, items: ItemTable, served: Sequence[Served]) -> _Lists:
    """The lists that have an item of the catalogue. People without events are added to the log's people."""
    known = set(log.users)
    new = dict.fromkeys(one.impression.user for one in served if one.impression.user not in known)
    log = replace(log, users=(*log.users, *new))
    row_of_user = {user: number for number, user in enumerate(log.users)}
    of_user = log.of_user()
    cases: list[tuple[int, float, Rows, Rows]] = []
    columns: list[tuple[int, int, int, float]] = []
    followed: list[tuple[Event, ...]] = []
    for one in served:
        shown, rows = one.impression, items.rows(one.impression.items)
        if not (rows >= 0).any():
            continue
        row_user, now = row_of_user[shown.user], shown.time.timestamp()
        history = of_user[row_user][: int(np.searchsorted(log.time[of_user[row_user]], now))]
        for row, position, propensity in zip(rows.tolist(), shown.positions, shown.propensities, strict=True):
            if row >= 0:
                columns.append((len(cases), row, position, propensity))
                followed.append(tuple(event for event in one.followed if event.item == items.ids[row]))
        cases.append((row_user, now, history, rows[rows >= 0]))
    table = np.array(columns, np.float64).reshape(-1, 4)
    shown_rows = tuple(rows for *_, rows in cases)
    return _Lists(
        log,
        Cases(
            np.array([row for row, *_ in cases], np.int64),
            np.array([now for _, now, *_ in cases], np.float64),
            tuple(history for _, _, history, _ in cases),
            shown_rows,
            shown=shown_rows,
        ),
        table[:, 0].astype(np.int64),
        table[:, 1].astype(np.intp),
        table[:, 2].astype(np.int64),
        table[:, 3],
        tuple(followed),
    )


def _ranked(ranker: VersionRanker, lists: _Lists, items: ItemTable) -> tuple[Rows, Doubles, Doubles]:
    """Per position the item that the version shows there (-1 for none), the score of the item that was there, and of
    the version's own; each (n,)."""
    own = np.full(len(lists.row), -1, np.intp)
    mine, other = np.zeros(len(lists.row)), np.zeros(len(lists.row))
    start = 0
    for cases in lists.cases.batches(_BATCH):
        scores, free = ranker.score(cases), ranker.score(replace(cases, shown=None))
        at = np.flatnonzero((lists.number >= start) & (lists.number < start + len(cases)))
        best = top(free, int(lists.position[at].max()), seen_items(cases, lists.log, items))
        case = lists.number[at] - start
        own[at] = best[case, lists.position[at] - 1]
        mine[at] = scores[case, lists.row[at]]
        other[at] = np.where(own[at] >= 0, free[case, own[at]], 0)
        start += len(cases)
    return own, mine, other


def _rates(
    lists: _Lists, own: Rows, mine: Doubles, other: Doubles, draws: Draws, kinds: EventKinds
) -> tuple[dict[str, Interval], dict[str, OffPolicy]]:
    """Per name of `rate_kinds` what followed, and what would have followed the version's own lists; see `_ranked`."""
    tried = np.isin(lists.number, lists.number[lists.propensity < 1])  # lists that explore
    observed: dict[str, Interval] = {}
    estimates: dict[str, OffPolicy] = {}
    for name, counted in rate_kinds(kinds).items():
        rewards = np.array([any(one.kind in counted for one in events) for events in lists.followed], np.float64)
        logged = lists.logged(rewards)
        observed[name] = rate(logged, draws)
        if tried.any():
            logged = Logged(logged.user[tried], rewards[tried], lists.propensity[tried])
            predicted, expected = _rewards(logged, lists.position[tried], mine[tried], other[tried], draws.seed)
            same = (own == lists.row)[tried].astype(np.float64)
            expected = np.where(own[tried] >= 0, expected, 0.0)
            estimates[name] = off_policy(logged, same, predicted=predicted, expected=expected, draws=draws)
    return observed, estimates


def _rewards(logged: Logged, position: Ints, mine: Doubles, other: Doubles, seed: int) -> tuple[Doubles, Doubles]:
    """What is predicted of the logged items and of the version's own, (n,) each, by a logistic model of the version's
    score and the position. It is fitted on other people than it predicts."""
    scale = max(float(mine.std()), 1e-9)
    position = np.minimum(position, _PLACES)
    positions = np.eye(int(position.max()) + 1)[position]
    seen, own = (np.column_stack([(column - mine.mean()) / scale, positions]) for column in (mine, other))
    users, number = np.unique(logged.user, return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(users)) % _FOLDS)[number]
    predicted, expected = np.zeros(len(mine)), np.zeros(len(mine))
    for one in range(_FOLDS):
        learn, tell = fold != one, fold == one
        rewards = logged.reward[learn] > 0
        if not tell.any():
            continue
        if rewards.all() or not rewards.any():
            predicted[tell] = expected[tell] = float(rewards.mean()) if len(rewards) else 0.0
            continue
        model = LogisticRegression().fit(seen[learn], rewards)
        predicted[tell], expected[tell] = (model.predict_proba(column[tell])[:, 1] for column in (seen, own))
    return predicted, expected


def _replayed(lists: _Lists, chosen: np.ndarray, mine: Doubles, draws: Draws) -> Difference:
    """NDCG of the choices in the version's order, less in the order that was served."""
    starts = np.searchsorted(lists.number, np.arange(len(lists.cases) + 1))
    parts = [slice(first, last) for first, last in pairwise(starts.tolist())]
    examination = examination_probabilities(
        Exposures(
            lists.row,
            lists.position,
            np.where(chosen, 0.0, np.nan),
            lists.user,
            np.zeros(len(chosen)),
            lists.propensity,
        )
    )
    weights = position_weights(examination)[lists.position]
    there = weights > 0
    parts = [np.flatnonzero(there[part]) + part.start for part in parts]
    with_choice = [position for position, part in enumerate(parts) if chosen[part].any()]
    parts = [parts[position] for position in with_choice]
    utility = [chosen[part] * weights[part] for part in parts]
    best = best_gain(utility) if utility else 1.0
    ours, served = (
        np.array([gain(one, keys[part]) for one, part in zip(utility, parts, strict=True)]) / best
        for keys in (-mine, lists.position)
    )
    return paired(ours, served, lists.cases.user[with_choice], draws)


def _likely(ranker: VersionRanker, lists: _Lists) -> Doubles:
    """(n,): the version's probability of a favourable answer."""
    found = [one for some in lists.cases.batches(_BATCH) for one in ranker.likely(some)]
    return np.concatenate([np.zeros(0), *found])
