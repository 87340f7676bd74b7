"""Rankers are fitted and scored on one split, and compared case by case."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from encoders.types import Floats, Modality
from engine.items import ItemTable
from engine.learn import metrics
from engine.learn.baselines.content import without
from engine.learn.baselines.matrix import Frame, seen_items
from engine.learn.errors import TooLittleDataError, TrainingError
from engine.learn.log import Doubles, Ints
from engine.learn.metrics import Mask
from engine.learn.ranker import Cases, Ranker, Rows, Split
from engine.learn.splits import ALL_POSITIVES, Positives, slices
from engine.learn.stats import SAMPLES, Difference, Interval, bootstrap, paired

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What is measured."""

    ks: tuple[int, ...] = (10,)
    """Numbers of places that count; the largest is the length of the lists."""
    leave_seen_out: bool = True
    """Whether items of the history are not ranked. A target that was seen then is no target."""
    reference: str = ""
    """The name of the ranker that all others are compared with; "" compares with none."""
    positives: Positives = ALL_POSITIVES
    """The events that an item's popularity counts (for novelty)."""
    batch: int = 256
    """Cases that are scored at once."""
    level: float = 0.95
    """Of intervals."""
    samples: int = SAMPLES
    """Draws for intervals and tests."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Ablation:
    """What a ranker loses without the vectors of one modality."""

    modality: Modality
    metrics: Mapping[str, Interval]
    difference: Mapping[str, Difference]
    """Without it less with it: below 0 where the modality helps."""


@dataclass(frozen=True, slots=True)
class Result:
    """How good a ranker is."""

    name: str
    metrics: Mapping[str, Interval]
    """Per metric and k, such as `ndcg@10`."""
    values: Mapping[str, Doubles]
    """The same per case, (b,)."""
    against: Mapping[str, Difference]
    """Its difference from the reference; empty where there is none, and for the reference itself."""
    slices: Mapping[str, Mapping[str, Interval]]
    """Per group of cases; groups without cases are left out."""
    fit_seconds: float
    score_seconds: float
    ablations: tuple[Ablation, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Rankers, compared on one split."""

    split: str
    options: EvaluateOptions
    events: int
    """Those that were learned from."""
    people: int
    items: int
    cases: int
    dropped: int
    """Cases without a target that could be ranked."""
    results: tuple[Result, ...]
    slice_sizes: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[tuple[str, str], ...] = ()
    """Rankers that could not run, and why."""


def evaluate(
    split: Split,
    items: ItemTable,
    rankers: Sequence[Ranker],
    options: EvaluateOptions = EvaluateOptions(),
    *,
    ablate: Sequence[str] = (),
    left_out: tuple[tuple[str, str], ...] = (),
    on_step: Progress = lambda step: None,
) -> Evaluation:
    """Fit and score rankers on a split, each on all items, and compare them.

    Args:
        split: what may be learned from, and the cases.
        items: m items: all are ranked.
        rankers: unfitted; names must differ.
        options: what is measured.
        ablate: names of the rankers that are fitted again without each modality's vectors.
        left_out: rankers that could not run and why, for the report.
        on_step: is told what is done next.

    Raises:
        TrainingError: if two rankers have one name, a name is not among them, a k is not positive, or a ranker gives
            scores of the wrong shape or NaN.
        TooLittleDataError: if no case has a target that can be ranked.
    """
    _check(rankers, options, ablate)
    judge = _Judge.of(split, items, options)
    found: dict[str, tuple[dict[str, Doubles], dict[str, float], tuple[float, float]]] = {}
    lost: dict[str, list[tuple[Modality, dict[str, Doubles]]]] = {}
    for ranker in rankers:
        on_step(ranker.name)
        found[ranker.name] = judge.judge(ranker, items)
        if ranker.name in ablate:
            for modality in (m for m, mask in items.present.items() if mask.any()):
                on_step(f"{ranker.name} without {modality}")
                try:
                    values = judge.judge(ranker, without(items, modality))[0]
                except TrainingError:
                    continue  # it has nothing to go by without this modality
                lost.setdefault(ranker.name, []).append((modality, values))
    reference = found[options.reference][0] if options.reference else None
    return Evaluation(
        split.name,
        options,
        len(split.train),
        len(split.train.users),
        len(items),
        len(judge.cases),
        len(split.cases) - len(judge.cases),
        tuple(
            judge.result(
                name,
                values,
                lists,
                seconds,
                None if name == options.reference else reference,
                lost.get(name, []),
            )
            for name, (values, lists, seconds) in found.items()
        ),
        {name: int(mask.sum()) for name, mask in judge.groups.items()},
        left_out,
    )


def _check(rankers: Sequence[Ranker], options: EvaluateOptions, ablate: Sequence[str]) -> None:
    names = [ranker.name for ranker in rankers]
    for name in names:
        if names.count(name) > 1:
            raise TrainingError(f"two rankers are called {name!r}", "give each a name of its own")
    for name in (*ablate, *((options.reference,) if options.reference else ())):
        if name not in names:
            raise TrainingError(f"no ranker is called {name!r}", f"use one of {', '.join(names)}")
    if not options.ks or min(options.ks) < 1:
        raise TrainingError(f"k is {options.ks}", "give numbers of places from 1 on")


@dataclass(frozen=True, slots=True)
class _Judge:
    """The cases that can be judged, and how."""

    split: Split
    cases: Cases
    items: ItemTable
    options: EvaluateOptions
    popularity: Ints
    groups: Mapping[str, Mask]

    @classmethod
    def of(cls, split: Split, items: ItemTable, options: EvaluateOptions) -> "_Judge":
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

    def judge(
        self, ranker: Ranker, items: ItemTable
    ) -> tuple[dict[str, Doubles], dict[str, float], tuple[float, float]]:
        """Values per case, values of all lists together, and the seconds that fitting and scoring took."""
        start = time.perf_counter()
        ranker.fit(self.split.train, items)
        fitted = time.perf_counter()
        best = []
        for first in range(0, len(self.cases), self.options.batch):
            batch = self.cases.take(np.arange(first, min(first + self.options.batch, len(self.cases)), dtype=np.intp))
            best.append(self._top(ranker, batch))
        lists: Rows = np.concatenate(best)
        scored = time.perf_counter()
        values = metrics.per_case(lists, self.cases.targets, self.options.ks)
        together: dict[str, float] = {}
        people = len(np.unique(self.split.train.user))
        for k in self.options.ks:
            shown = lists[:, :k]
            together[f"coverage@{k}"] = metrics.coverage(shown, len(self.items))
            values[f"novelty@{k}"] = metrics.novelty(shown, self.popularity, people)
            apart = [
                metrics.diversity(shown, self.items.vectors[modality], mask)
                for modality, mask in self.items.present.items()
                if mask.any()
            ]
            if apart and k > 1:
                values[f"diversity@{k}"] = _mean(apart)
        return values, together, (fitted - start, scored - fitted)

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

    def result(
        self,
        name: str,
        values: Mapping[str, Doubles],
        together: Mapping[str, float],
        seconds: tuple[float, float],
        reference: Mapping[str, Doubles] | None,
        lost: Sequence[tuple[Modality, dict[str, Doubles]]],
    ) -> Result:
        """The figures with intervals. `coverage` is one figure of all lists: its interval is itself."""
        whole = {key: Interval(value, value, value, len(self.cases)) for key, value in together.items()}
        return Result(
            name,
            {**self._intervals(values), **whole},
            values,
            {} if reference is None else self._differences(values, reference),
            {
                group: self._intervals(values, mask)
                for group, mask in self.groups.items()
                if group != "all" and mask.any()
            },
            seconds[0],
            seconds[1],
            tuple(
                Ablation(modality, self._intervals(less), self._differences(less, values)) for modality, less in lost
            ),
        )

    def _intervals(self, values: Mapping[str, Doubles], mask: Mask | None = None) -> dict[str, Interval]:
        rows = np.arange(len(self.cases)) if mask is None else np.flatnonzero(mask)
        options = self.options
        return {
            name: bootstrap(
                value[rows], self.cases.user[rows], level=options.level, samples=options.samples, seed=options.seed
            )
            for name, value in values.items()
        }

    def _differences(self, ours: Mapping[str, Doubles], theirs: Mapping[str, Doubles]) -> dict[str, Difference]:
        options = self.options
        return {
            name: paired(
                ours[name],
                theirs[name],
                self.cases.user,
                level=options.level,
                samples=options.samples,
                seed=options.seed,
            )
            for name in ours
            if name in theirs
        }


def _unseen(cases: Cases, split: Split, items: ItemTable, batch: int) -> Cases:
    """The cases without the targets that were seen, and without those that then have none."""
    targets: list[Rows] = []
    for first in range(0, len(cases), batch):
        rows = np.arange(first, min(first + batch, len(cases)), dtype=np.intp)
        seen = seen_items(cases.take(rows), split.train, items)
        targets.extend(
            cases.targets[row][~seen[place, cases.targets[row]]] for place, row in enumerate(rows.tolist())
        )
    left = Cases(cases.user, cases.time, cases.history, tuple(targets), cases.log)
    return left.take(np.flatnonzero([len(rows) > 0 for rows in targets]))


def _mean(columns: Sequence[Doubles]) -> Doubles:
    """The mean of what is no NaN, per case; NaN where all is."""
    stacked = np.stack(columns)
    number = np.isfinite(stacked).sum(axis=0)
    total = np.nansum(stacked, axis=0)
    return np.asarray(np.divide(total, number, out=np.full(len(total), np.nan), where=number > 0))
