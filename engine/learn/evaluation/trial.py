"""Two versions of an A/B trial, compared by what followed the lists that they served.

The gate compares two on events of the past, before one of them is shown to anybody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from encoders.types import Ints
from engine.core.kinds import STANDARD_KINDS, EventKinds
from engine.core.types import UserId
from engine.events.types import Served
from engine.learn.evaluation.off_policy import Logged, logged_positions, rate, rate_kinds
from engine.learn.evaluation.stats import DRAWS, Difference, Draws, Interval, paired, unpaired
from engine.learn.splits import Mask
from engine.models.errors import TooLittleDataError


@dataclass(frozen=True, slots=True)
class Arm:
    """What followed the lists of one version."""

    version: str
    lists: int
    users: int
    positions: int
    rates: Mapping[str, Interval]
    """Per name of `rate_kinds`, per position shown."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Two versions, compared."""

    ours: Arm
    theirs: Arm
    since: datetime
    """The first list that counts: both versions served from then on."""
    until: datetime
    """The last one."""
    nobody: int
    """Lists that were served to nobody named: they are not tried, so they do not count."""
    both: int
    """People who got lists of both."""
    apart: Mapping[str, Difference]
    """Ours less theirs, between the people who got only one of them; NaN where nothing of it followed any list."""
    within: Mapping[str, Difference]
    """Ours less theirs, of the people who got both, each compared with themselves; empty where there are none."""


def compare(
    served: Sequence[Served], ours: str, theirs: str, draws: Draws = DRAWS, kinds: EventKinds = STANDARD_KINDS
) -> Trial:
    """Compare two versions by their served lists, from when the second of them began until the first of them ended.

    People get a version by a hash of their id, so those of one version are compared with those of the other. Who got
    both, because the share was changed or one took the place of the other, is compared with themselves.

    Args:
        served: lists of any versions, with what followed.
        ours: the version in question, as lists name it; "untrained" is the engine without a version.
        theirs: what it is compared with.
        draws: of intervals and tests.
        kinds: that there are.

    Raises:
        TooLittleDataError: if a version served no list to somebody named while the other did.
    """
    since, until, inside = _side_by_side(served, ours, theirs)
    named = [[one for one in mine if one.impression.user] for mine in inside]
    for name, mine in zip((ours, theirs), named, strict=True):
        if not mine:
            raise TooLittleDataError(
                f"{name} served no list to somebody named while the other version did, from "
                f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC",
                "let the trial go on, and send a user_id with requests",
            )
    users = [{one.impression.user for one in mine} for mine in named]
    saw = [{one.impression.user for one in mine if one.impression.items} for mine in named]
    numbers = {user: number for number, user in enumerate(sorted(users[0] | users[1]))}
    both = np.array([numbers[user] for user in saw[0] & saw[1]], np.int64)
    rates: list[dict[str, Interval]] = [{}, {}]
    apart, within = dict[str, Difference](), dict[str, Difference]()
    for name, counted in rate_kinds(kinds).items():
        columns = [_positions(mine, counted, numbers) for mine in named]
        for found, column in zip(rates, columns, strict=True):
            found[name] = rate(column, draws)
        apart[name], of_both = _differences(columns, both, draws)
        if of_both is not None:
            within[name] = of_both
    arms = [
        Arm(version, len(mine), len(who), sum(len(one.impression.items) for one in mine), found)
        for version, mine, who, found in zip((ours, theirs), named, users, rates, strict=True)
    ]
    nobody = sum(map(len, inside)) - sum(map(len, named))
    return Trial(arms[0], arms[1], since, until, nobody, len(both), apart, within)


def _differences(columns: Sequence[Logged], both: Ints, draws: Draws) -> tuple[Difference, Difference | None]:
    """Ours less theirs: between people who got only one version, and within those who got both, if there are any."""
    if not any(column.reward.any() for column in columns):  # equal zeros say nothing of the versions
        nothing = Difference(np.nan, np.nan, np.nan, np.nan, sum(len(column.reward) for column in columns))
        return nothing, nothing if len(both) else None
    mixed = [np.isin(column.user, both) for column in columns]
    ours, theirs = (_only(column, ~rows) for column, rows in zip(columns, mixed, strict=True))
    apart = unpaired(ours.reward, ours.user, theirs.reward, theirs.user, draws)
    if not len(both):
        return apart, None
    one, other = (_per_user(_only(column, rows)) for column, rows in zip(columns, mixed, strict=True))
    return apart, paired(one, other, draws=draws)


def _side_by_side(served: Sequence[Served], ours: str, theirs: str) -> tuple[datetime, datetime, list[list[Served]]]:
    """From when to when both versions served, and the lists of each in that time."""
    lists = [[one for one in served if _version(one) == name] for name in (ours, theirs)]
    for name, mine in zip((ours, theirs), lists, strict=True):
        if not mine:
            raise TooLittleDataError(
                f"no list of {name} was logged",
                "try it on a share of users: triveni model candidate VERSION --share 0.1",
            )
    ends = [(min(times), max(times)) for times in ([one.impression.time for one in mine] for mine in lists)]
    since, until = max(first for first, _ in ends), min(last for _, last in ends)
    return since, until, [[one for one in mine if since <= one.impression.time <= until] for mine in lists]


def latest_pair(served: Sequence[Served]) -> tuple[str, str]:
    """The two versions that served last: the one that began later, and the one that served beside or before it.

    Raises:
        TooLittleDataError: if fewer than two versions served.
    """
    first: dict[str, datetime] = {}
    last: dict[str, datetime] = {}
    for one in sorted(served, key=lambda one: one.impression.time):
        first.setdefault(_version(one), one.impression.time)
        last[_version(one)] = one.impression.time
    if len(last) < 2:
        raise TooLittleDataError(
            f"an A/B comparison needs two versions that served lists, there is {len(last) or 'none'}",
            "try one on a share of users: triveni model candidate VERSION --share 0.1",
        )
    newest = sorted(last, key=lambda name: last[name])[-2:]
    theirs, ours = sorted(newest, key=lambda name: first[name])
    return ours, theirs


def _version(one: Served) -> str:
    return one.impression.model


def _positions(served: Sequence[Served], kinds: frozenset[str], numbers: Mapping[UserId, int]) -> Logged:
    """The positions of lists, the people numbered alike for both versions."""
    user = [numbers[one.impression.user] for one in served for _ in one.impression.items]
    found = logged_positions(served, kinds)
    return Logged(np.array(user, np.int64), found.reward, found.propensity)


def _only(logged: Logged, rows: Mask) -> Logged:
    return Logged(logged.user[rows], logged.reward[rows], logged.propensity[rows])


def _per_user(logged: Logged) -> np.ndarray:
    """(p,): the mean reward per position of each person, by their number."""
    _, number = np.unique(logged.user, return_inverse=True)
    return np.asarray(np.bincount(number, weights=logged.reward) / np.bincount(number), np.float64)
