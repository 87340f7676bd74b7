"""How good the lists of any ranker are for the cases of a split: the figures of `triveni evaluate`.

What the gate decides by comes from engine/learn/judging.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from encoders.types import Doubles, Floats, Ints, Modality, Rows
from engine.catalog.items import ItemTable
from engine.learn.evaluation import metrics
from engine.learn.evaluation.baselines.matrix import Frame, seen_items
from engine.learn.evaluation.metrics import Mask
from engine.learn.evaluation.options import Ablation, EvaluateOptions, Result
from engine.learn.evaluation.stats import Difference, Interval, bootstrap, paired
from engine.learn.ranker import Cases, Ranker, Split
from engine.learn.splits import slices
from engine.models.errors import TooLittleDataError, TrainingError


@dataclass(slots=True)
class Judged:
    """What was found of a ranker."""

    values: Mapping[str, Doubles]
    """Per metric and case, (b,)."""
    together: Mapping[str, float]
    """Figures of all lists."""
    seconds: tuple[float, float]
    """Of fitting, of scoring."""
    lost: list[tuple[Modality, Mapping[str, Doubles]]] = field(default_factory=list)
    """The values without the vectors of a modality."""


@dataclass(frozen=True, slots=True)
class Judge:
    """The cases that can be judged, and how."""

    split: Split
    cases: Cases
    items: ItemTable
    options: EvaluateOptions
    popularity: Ints
    groups: Mapping[str, Mask]

    @classmethod
    def of(cls, split: Split, items: ItemTable, options: EvaluateOptions) -> "Judge":
        """The cases of a split that have a target to be ranked.

        Raises:
            TooLittleDataError: if there is none.
        """
        cases = split.cases
        if options.leave_seen_out:
            cases = _unseen(cases, split, items, options.batch)
        if not len(cases):
            raise TooLittleDataError(
                "no case has a target that can be ranked", "keep seen items in, or split otherwise"
            )
        frame = Frame.of(split.train, items, options.positives)
        popularity = np.bincount(frame.matrix().indices, minlength=len(items)).astype(np.int64)
        groups = slices(Split(split.name, split.train, cases), items)
        return cls(split, cases, items, options, popularity, groups)

    def judge(self, ranker: Ranker) -> tuple[dict[str, Doubles], dict[str, float]]:
        """Values per case, and values of all lists together; the ranker was fitted."""
        lists: Rows = np.concatenate([self._top(ranker, some) for some in self.cases.batches(self.options.batch)])
        values = metrics.per_case(lists, self.cases.targets, self.options.ks)
        together: dict[str, float] = {}
        users = len(np.unique(self.split.train.user))
        for k in self.options.ks:
            shown = lists[:, :k]
            together[f"coverage@{k}"] = metrics.coverage(shown, len(self.items))
            values[f"novelty@{k}"] = metrics.novelty(shown, self.popularity, users)
            apart = [
                metrics.diversity(shown, self.items.vectors[modality], mask)
                for modality, mask in self.items.present.items()
                if mask.any()
            ]
            if apart and k > 1:
                values[f"diversity@{k}"] = _mean(apart)
        return values, together

    def _top(self, ranker: Ranker, cases: Cases) -> Rows:
        scores: Floats = ranker.score(cases)
        if scores.shape != (len(cases), len(self.items)):
            wanted = f"{len(cases)} cases and {len(self.items)} items"
            raise TrainingError(f"{ranker.name} gave scores {scores.shape} for {wanted}", "return (cases, items)")
        seen = seen_items(cases, self.split.train, self.items) if self.options.leave_seen_out else None
        try:
            return metrics.top(scores, max(self.options.ks), seen)
        except ValueError as error:
            raise TrainingError(f"{ranker.name}: {error}") from None

    def result(self, name: str, judged: Judged, reference: Mapping[str, Doubles] | None) -> Result:
        """The figures with intervals. `coverage` is one figure of all lists: its interval is itself."""
        groups = {group: mask for group, mask in self.groups.items() if group != "all" and mask.any()}
        best = self.options.main
        whole = {key: Interval(value, value, value, len(self.cases)) for key, value in judged.together.items()}
        values = judged.values
        return Result(
            name,
            {**self._intervals(values), **whole},
            values,
            {} if reference is None else self._differences(values, reference),
            {group: self._intervals(values, mask) for group, mask in groups.items()},
            {}
            if reference is None
            else {group: self._difference(values[best], reference[best], mask) for group, mask in groups.items()},
            *judged.seconds,
            tuple(
                Ablation(modality, self._intervals(less), self._differences(less, values))
                for modality, less in judged.lost
            ),
        )

    def _intervals(self, values: Mapping[str, Doubles], mask: Mask | None = None) -> dict[str, Interval]:
        rows = np.arange(len(self.cases)) if mask is None else np.flatnonzero(mask)
        users, draws = self.cases.user[rows], self.options.draws
        return {name: bootstrap(value[rows], users, draws) for name, value in values.items()}

    def _differences(self, ours: Mapping[str, Doubles], theirs: Mapping[str, Doubles]) -> dict[str, Difference]:
        everybody = self.groups["all"]
        return {name: self._difference(ours[name], theirs[name], everybody) for name in ours if name in theirs}

    def _difference(self, ours: Doubles, theirs: Doubles, mask: Mask) -> Difference:
        return paired(ours[mask], theirs[mask], self.cases.user[mask], self.options.draws)


def _unseen(cases: Cases, split: Split, items: ItemTable, batch: int) -> Cases:
    """The cases without the targets that were seen, and without those that then have none."""
    targets: list[Rows] = []
    for some in cases.batches(batch):
        seen = seen_items(some, split.train, items)
        targets.extend(rows[~seen[position, rows]] for position, rows in enumerate(some.targets))
    left = Cases(cases.user, cases.time, cases.history, tuple(targets), cases.log)
    return left.take(np.flatnonzero([len(rows) > 0 for rows in targets]))


def _mean(columns: Sequence[Doubles]) -> Doubles:
    """The mean of what is no NaN, per case; NaN where all is."""
    stacked = np.stack(columns)
    number = np.isfinite(stacked).sum(axis=0)
    total = np.nansum(stacked, axis=0)
    return np.asarray(np.divide(total, number, out=np.full(len(total), np.nan), where=number > 0))
