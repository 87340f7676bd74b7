"""Training rows: what people did becomes requests with what followed.

A row may know only what was known at its moment. Its history ends before its label; the counts and the learned
query vector that are its features are cross-fitted, so that none has seen the label:

- `time`: the log is cut into blocks of time, and the rows of a block are counted from the blocks before it. Nothing
  in a row is younger than its label. This is what a served version is trained with.
- `users`: the people are cut into folds, and the rows of a fold are counted from the other folds. Other people's
  later events are in it, so it is only for evaluations whose protocol has them too (leave-last-out).

Leaving only a row's own person out of the counts leaks: an item's count that is one lower than for everybody else
says that this person is about to act on it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from encoders.types import Bools, Doubles, Ints, Rows
from engine.learn.rows.attractiveness import attractiveness
from engine.learn.rows.point_in_time import Known, PointInTimeFeatures
from engine.learn.settings import LearnSettings
from engine.models.errors import LeakError
from engine.rerank.statistics import count
from engine.rerank.table import RankingInput
from engine.rerank.two_towers import TowerScores

_DEFAULT = LearnSettings()
CrossFit = Literal["time", "users"]
TowersOf = Callable[[int | None, float], TowerScores | None]
"""What the learned query vector says without having seen a fold of people, or (None) anything at or after a time."""


@dataclass(frozen=True, slots=True)
class Example:
    """A request and what followed."""

    request: RankingInput
    positive: Bools
    """(c,): the candidates that were acted on."""
    negative: Bools
    """(c,): the candidates that were disliked or skipped."""
    positions: Rows
    """(c,): the positions they were shown in, from 1; 0 for a candidate that was only retrieved."""
    user: int
    label_time: float
    """Seconds since 1970."""
    known_until: float
    """The counts know nothing that happened then or later; infinite with cross-fitting by people."""

    @property
    def judged(self) -> Bools:
        """(c,): the candidates that the person's answer tells of: what was shown, or all where nothing was."""
        return self.positions > 0 if self.positions.any() else np.ones(len(self.positions), np.bool_)


def nothing_known(fold: int | None, until: float) -> None:
    """No learned query vector."""


@dataclass(frozen=True, slots=True)
class RowSettings:
    """Which rows are made."""

    cross_fit: CrossFit = "time"
    steps: int = _DEFAULT.steps
    """The newest so many positive steps of each person become rows."""
    first_steps: int = _DEFAULT.first_steps
    """The first so many become rows too: else no row would have an empty or a short history, and people who have just
    come would get what nobody has learned."""
    ahead: int = 30
    """The positives of a first step's row are all of so many steps from it on (all-action, as in PinnerFormer, KDD
    2022): of somebody of whom next to nothing is known, the next step alone says little."""
    folds: int = 10
    again: float = 0.25
    """For this share of the steps there is a second row, in which items drawn at random are treated as new."""
    withheld: float = 0.3
    """The share of the items that are treated as new there."""
    seed: int = 0


def next_step_rows(
    point_in_time: PointInTimeFeatures,
    settings: RowSettings,
    towers_of: TowersOf = nothing_known,
    progress: Callable[[float], None] = lambda _: None,
) -> Iterator[Example]:
    """Rows of the people's positive steps: what did they do next? The candidates are what the sources find. Where
    hardly anything was known, at the first steps, they are about the next `ahead` steps instead of one.

    Steps that answer a served list are left out: they tell what was shown as much as what is liked, and have rows of
    their own (`shown_rows`). So are those that no source finds: no order of the candidates could be right.

    Of items that nobody ever acted on, only wrong answers can be learned: whatever was chosen is not new any more. So
    there are second rows, in which random items, the label's among them as often as others, lose their counts
    and ids.

    Args:
        point_in_time: the log.
        settings: which rows.
        towers_of: what the learned query vector says, as in `blocks`.
        progress: is told the share that is done.
    """
    random = np.random.default_rng(settings.seed)
    wanted = _wanted(point_in_time, settings)
    positions = np.array(sorted(wanted), np.intp)
    log, done = point_in_time.log, 0
    users, times = log.user[positions], log.time[positions]
    for known, block in blocks(point_in_time, settings, users, times, towers_of):
        moments = [float(times[position]) for position in block.tolist()]
        before = [point_in_time.before(int(positions[position])) for position in block.tolist()]
        vectors = point_in_time.user_embeddings(known, before, moments)
        for position, history, now, embedding in zip(block.tolist(), before, moments, vectors, strict=True):
            done += 1
            items = wanted[int(positions[position])]
            for withheld in (None, *_withheld(random, settings, point_in_time.size)):
                request = point_in_time.ranking_input(known, history, now, embedding=embedding, withheld=withheld)
                positive = np.isin(request.candidates, items)
                if positive.any():
                    none = np.zeros(len(positive), np.intp)
                    yield Example(
                        request, positive, none.astype(np.bool_), none, int(users[position]), now, known.until
                    )
            if done % 256 == 0:
                progress(done / len(positions))


def _wanted(point_in_time: PointInTimeFeatures, settings: RowSettings) -> dict[int, Rows]:
    """The steps that become rows, by their rows of the log: the items that followed."""
    found: dict[int, Rows] = {}
    for rows in point_in_time.of_user:
        steps = rows[point_in_time.positive[rows]]
        free, positions = point_in_time.log.request[steps] < 0, np.arange(len(steps))
        newest, first = np.cumsum(free[::-1])[::-1] <= settings.steps, positions < settings.first_steps
        for position in np.flatnonzero(free & (newest | first)).tolist():
            ahead = slice(position, position + (settings.ahead if first[position] else 1))
            found[int(steps[position])] = point_in_time.item[steps[ahead][free[ahead]]]
    return found


def blocks(
    point_in_time: PointInTimeFeatures,
    settings: RowSettings,
    users: Ints,
    times: Doubles,
    towers_of: TowersOf = nothing_known,
) -> Iterator[tuple[Known, Rows]]:
    """Cross-fitting: what may be known, and which moments may know it.

    Args:
        point_in_time: the log.
        settings: how it is cut.
        users: (k,), of the moments.
        times: (k,), of the moments, rising, seconds since 1970.
        towers_of: what the learned query vector says without a fold of people, or until a time.
    """
    everybody = point_in_time.sequences()
    if settings.cross_fit == "users":
        fold = folds_of(point_in_time, settings)
        for number in range(settings.folds):
            others = everybody.of(np.flatnonzero(fold != number).tolist())
            scale = len(fold) / max(len(others.items), 1)
            inside = np.flatnonzero(fold[users] == number)
            exposures = point_in_time.exposures.take(fold[point_in_time.exposures.user] != number)
            counts = count(
                others, point_in_time.size, attractiveness=attractiveness(exposures, point_in_time.size), scale=scale
            )
            yield Known(counts, towers_of(number, np.inf)), inside
        return
    for number in range(settings.folds):
        first, last = (len(times) * n // settings.folds for n in (number, number + 1))
        if first < last:
            start = float(times[first])
            attracts = attractiveness(point_in_time.exposures.before(start), point_in_time.size)
            counts = count(everybody.before(start), point_in_time.size, attractiveness=attracts)
            yield Known(counts, towers_of(None, start), start), np.arange(first, last, dtype=np.intp)


def folds_of(point_in_time: PointInTimeFeatures, settings: RowSettings) -> Ints:
    """(p,): the fold of each person of the log, with cross-fitting by people."""
    return np.random.default_rng(settings.seed).integers(0, settings.folds, len(point_in_time.of_user))


def _withheld(random: np.random.Generator, settings: RowSettings, size: int) -> list[Rows]:
    """The items that are treated as new in a second row; none if there is no such row."""
    if random.random() >= settings.again:
        return []
    return [np.flatnonzero(random.random(size) < settings.withheld)]


def check_rows(examples: Sequence[Example], cross_fit: CrossFit) -> None:
    """Refuse rows that know the future.

    Raises:
        LeakError: if a history reaches its label's time, or counts hold what is as young as the label.
    """
    for position, one in enumerate(examples):
        if len(one.request.tokens.gaps) and one.request.tokens.gaps.min() < 0:
            raise LeakError(f"training row {position} has a history younger than its label", "cut it at the label")
        if cross_fit == "time" and one.known_until > one.label_time:
            raise LeakError(
                f"training row {position} of {one.label_time:.0f} uses counts until {one.known_until:.0f}",
                "count only what happened before the row's block",
            )
