"""Rankers are fitted and scored on one split, and compared case by case."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from engine.catalog.items import ItemTable
from engine.learn.evaluation.baselines.content import without
from engine.learn.evaluation.judge import Judge, Judged
from engine.learn.evaluation.options import EvaluateOptions, Evaluation
from engine.learn.ranker import Ranker, Reads, Split
from engine.models.errors import TrainingError

Progress = Callable[[str], None]
DEFAULT = EvaluateOptions()


def evaluate(
    split: Split,
    items: ItemTable,
    rankers: Sequence[Ranker],
    options: EvaluateOptions = DEFAULT,
    *,
    ablate: bool = False,
    left_out: tuple[tuple[str, str], ...] = (),
    notes: Mapping[str, str] | None = None,
    on_step: Progress = lambda step: None,
) -> Evaluation:
    """Fit and score rankers on a split, each on all items, and compare them.

    Args:
        split: what may be learned from, and the cases.
        items: m items: all are ranked.
        rankers: unfitted; names must differ.
        options: what is measured.
        ablate: whether those that read vectors also score without each modality's, as they were fitted with all.
        left_out: rankers that could not run and why, for the report.
        notes: by ranker what has to be known to read its figures, for the report.
        on_step: is told what is done next.

    Raises:
        TrainingError: if two rankers have one name, the reference is not among them, a k is not positive, or a ranker
            gives scores of the wrong shape or NaN.
        TooLittleDataError: if no case has a target that can be ranked.
    """
    _check(rankers, options)
    judge = Judge.of(split, items, options)
    found: dict[str, Judged] = {}
    for ranker in rankers:
        found[ranker.name] = one = _fitted(ranker, judge, split, items, on_step)
        if ablate and isinstance(ranker, Reads):
            for modality in (m for m, mask in items.present.items() if mask.any()):
                on_step(f"{ranker.name} without {modality}")
                ranker.read(without(items, modality))
                one.lost.append((modality, judge.judge(ranker)[0]))
            ranker.read(items)
    if not options.reference:
        options = replace(options, reference=_best(found, options))
    reference = found[options.reference].values if options.reference else None
    return Evaluation(
        split.name,
        options,
        len(split.train),
        len(split.train.users),
        len(items),
        len(judge.cases),
        len(split.cases) - len(judge.cases),
        tuple(
            judge.result(name, one, None if name == options.reference else reference) for name, one in found.items()
        ),
        {name: int(mask.sum()) for name, mask in judge.groups.items()},
        left_out,
        notes or {},
    )


def _fitted(ranker: Ranker, judge: Judge, split: Split, items: ItemTable, on_step: Progress) -> Judged:
    on_step(ranker.name)
    start = time.perf_counter()
    ranker.fit(split.train, items)
    fitted = time.perf_counter()
    values, together = judge.judge(ranker)
    return Judged(values, together, (fitted - start, time.perf_counter() - fitted))


def _best(found: Mapping[str, Judged], options: EvaluateOptions) -> str:
    """Of the rankers among which the reference is chosen, the best by the main metric; "" where there is none."""
    there = [name for name in found if name in options.among]
    return max(there, key=lambda name: float(np.nanmean(found[name].values[options.main])), default="")


def _check(rankers: Sequence[Ranker], options: EvaluateOptions) -> None:
    names = [ranker.name for ranker in rankers]
    for name in names:
        if names.count(name) > 1:
            raise TrainingError(f"two rankers are called {name!r}", "give each a name of its own")
    if options.reference and options.reference not in names:
        raise TrainingError(f"no ranker is called {options.reference!r}", f"use one of {', '.join(names)}")
    if not options.ks or min(options.ks) < 1:
        raise TrainingError(f"k is {options.ks}", "give numbers of positions from 1 on")
