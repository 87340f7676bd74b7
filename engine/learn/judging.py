"""What the gate decides by: figures of a challenger and of what serves, on the same held-out events.

`evaluation/judge.py` makes those of reports, of any rankers; they promote nothing. Here the counts of both are of the
same moment.

What serves has counts that were brought up to date with events that are held out here: with those, the same weights
look better as what serves than as a challenger. So both are counted anew, from what happened before the held-out
moment; see `VersionRanker`. What serves keeps its counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from encoders.types import Doubles, Ints
from engine.catalog.items import ItemTable
from engine.events.types import Impression
from engine.learn.evaluation import metrics
from engine.learn.evaluation.baselines.matrix import seen_items
from engine.learn.evaluation.baselines.simple import Popularity
from engine.learn.evaluation.replay import replayed_ndcg, shown_lists
from engine.learn.evaluation.stats import Draws, Interval, bootstrap
from engine.learn.gate import MIN_NEW, NewUsers, judge_challenger
from engine.learn.log import EventLog
from engine.learn.ranker import Ranker, Split
from engine.learn.splits import Positives, slices
from engine.models.verdict import Verdict

NDCG = "ndcg_at_10"
REPLAYED = "replayed_ndcg"
"""Over served lists: was what people chose put higher?"""
NEW = "_new_people"
"""Behind a metric's name: of users of whom nothing was known before the held-out moment. Cards store it."""
KS = (10,)
METRICS = (REPLAYED, REPLAYED + NEW, NDCG, NDCG + NEW, "hr_at_10", "recall_at_10")
_BATCH = 256


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What both are judged on."""

    log: EventLog
    """All events."""
    split: Split
    """What was known, and what is to be predicted."""
    items: ItemTable
    impressions: Sequence[Impression]
    """The lists that were served since the held-out moment."""
    examination: Doubles
    """By position, from 1, how much it is looked at; see `examination_probabilities`."""
    positives: Positives


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gate says, and the figures; each mapping by the names of `METRICS`, where there is one."""

    verdict: Verdict
    challenger: Mapping[str, Interval]
    serving: Mapping[str, float]
    popularity: Mapping[str, float]
    lists: int
    """Served lists that were replayed."""


def judge_versions(
    challenger: Ranker, serving: Ranker, held: HeldOut, *, confidence: float, min_cases: int, seed: int
) -> Judgement:
    """Judge by replayed lists if enough people chose something of one, else by all items.

    Args:
        challenger: the new version.
        serving: what serves.
        held: what they are judged on.
        confidence: of intervals.
        min_cases: fewer people are not judged on.
        seed: of the resampling.
    """
    train, items, cases = held.split.train, held.items, held.split.cases
    new = slices(held.split, items)["new users"]
    lists, utility = shown_lists(held.log, train, items, held.impressions, held.positives, held.examination)
    stranger = slices(Split("served lists", train, lists), items)["new users"]
    replayed = len(np.unique(lists.user[~stranger])) >= min_cases  # what was not shown could not be chosen
    parts = {REPLAYED: ~stranger, REPLAYED + NEW: stranger} if replayed else {}
    parts = {name: part for name, part in parts.items() if part.any()}

    def figures(ranker: Ranker) -> dict[str, Doubles]:
        """Per metric its value in each case."""
        ranker.fit(train, items)
        found = _ranked(ranker, held)
        found[NDCG + NEW] = found[NDCG][new]
        for name, part in parts.items():
            rows = np.flatnonzero(part)
            found[name] = replayed_ndcg(ranker, lists.take(rows), [utility[row] for row in rows.tolist()])
        return {name: found[name] for name in METRICS if len(found.get(name, ()))}

    ours, theirs, popular = (figures(ranker) for ranker in (challenger, serving, Popularity(held.positives)))
    whose: dict[str, Ints] = {name: cases.user[new] if name == NDCG + NEW else cases.user for name in ours}
    whose |= {name: lists.user[part] for name, part in parts.items() if name in ours}
    metric = REPLAYED if replayed else NDCG
    fresh = NewUsers(np.zeros(0), {}, np.zeros(0, np.int64))
    name = metric + NEW
    if len(np.unique(whose.get(name, ()))) < MIN_NEW:  # too few chose something of a list: judge on what they did
        name = NDCG + NEW
    if name in ours:
        fresh = NewUsers(ours[name], {"what serves": theirs[name], "popularity": popular[name]}, whose[name])
    verdict = judge_challenger(
        ours[metric],
        theirs[metric],
        metric=metric,
        users=whose[metric],
        new_users=fresh,
        confidence=confidence,
        min_cases=min_cases,
        seed=seed,
    )
    return Judgement(
        verdict,
        {name: bootstrap(values, whose[name], Draws(seed=seed)) for name, values in ours.items()},
        {name: float(values.mean()) for name, values in theirs.items()},
        {name: float(values.mean()) for name, values in popular.items()},
        int((~stranger).sum()),
    )


def _ranked(ranker: Ranker, held: HeldOut) -> dict[str, Doubles]:
    """Per metric (b,): its value in each case, over all items but the seen; the ranker was fitted."""
    cases, train, items = held.split.cases, held.split.train, held.items
    found: list[dict[str, Doubles]] = []
    for some in cases.batches(_BATCH):
        best = metrics.top(ranker.score(some), max(KS), seen_items(some, train, items))
        found.append(metrics.per_case(best, some.targets, KS))
    return {name.replace("@", "_at_"): np.concatenate([part[name] for part in found]) for name in found[0]}
