"""Gradient-boosted trees over the scores of other rankers, by the library LightGBM."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from encoders.types import Floats
from engine.items import ItemTable
from engine.learn.baselines.combined import standardised
from engine.learn.baselines.factors import extra
from engine.learn.baselines.matrix import Frame, seen_items
from engine.learn.errors import TooLittleDataError
from engine.learn.log import EventLog
from engine.learn.metrics import top
from engine.learn.ranker import Cases, Ranker, Rows
from engine.learn.splits import ALL_POSITIVES, Positives

_BATCH = 256
_FOLDS = 5

CrossFit = Literal["time", "people"]


class LambdaMart:
    """LambdaMART (Burges, 2010) over what other rankers say of their candidates.

    Each person's last `steps` positive events are labels, with all that the person did before each as its history.
    What the rankers say of them comes from rankers that have not seen them (`cross_fit`):

    - `time`: they learn from the log without everybody's labels and what came after.
    - `people`: the people are cut into folds, and for each fold they learn from the other people. So other people's
      later events are in it, which is fair only where the evaluation has them too, as leave-last-out does.

    Then the rankers learn from the whole log, and the trees rank by what they say.

    Args:
        parts: the rankers; each is fitted with it, several times.
        cross_fit: see above.
        steps: events per person that are labels.
        candidates: items per case that the trees look at: those with the largest sum of standardised scores. The
            others come after them, by that sum.
        leaves: of a tree.
        rounds: trees.
        rate: of learning.
        seed: of LightGBM.
        positives: the events that count.
        leave_seen_out: whether items of the history are no candidates; as the evaluation does it.
    """

    name = "lambdamart"

    def __init__(
        self,
        parts: Sequence[Ranker],
        *,
        cross_fit: CrossFit = "time",
        steps: int = 8,
        candidates: int = 200,
        leaves: int = 7,
        rounds: int = 300,
        rate: float = 0.03,
        seed: int = 0,
        positives: Positives = ALL_POSITIVES,
        leave_seen_out: bool = True,
    ) -> None:
        self._parts = tuple(parts)
        self._cross_fit, self._steps, self._candidates = cross_fit, steps, candidates
        self._leaves, self._rounds, self._rate, self._seed = leaves, rounds, rate, seed
        self._positives, self._leave_seen_out = positives, leave_seen_out
        self._frame: Frame | None = None
        self._trees: Any = None

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """See `Ranker.fit`.

        Raises:
            TooLittleDataError: if no label is among the candidates.
            TrainingError: if LightGBM is not installed.
        """
        lightgbm = extra("lightgbm")
        rows, labels, groups = [], [], []
        for rest, cases in self._folds(log, items):
            self._learn(rest, items)
            for batch in _batches(cases):
                for targets, (chosen, features) in zip(batch.targets, self._look(batch)[1], strict=True):
                    label = np.isin(chosen, targets)
                    if label.any():
                        rows.append(features)
                        labels.append(label)
                        groups.append(len(chosen))
        if not groups:
            raise TooLittleDataError("lambdamart found no label among its candidates", "give it longer histories")
        model = lightgbm.LGBMRanker(
            objective="lambdarank",
            n_estimators=self._rounds,
            num_leaves=self._leaves,
            learning_rate=self._rate,
            random_state=self._seed,
            deterministic=True,
            force_row_wise=True,
            n_jobs=1,
            verbosity=-1,
        )
        model.fit(np.concatenate(rows), np.concatenate(labels), group=groups)
        self._trees = model.booster_
        self._learn(log, items)

    def score(self, cases: Cases) -> Floats:
        """See `Ranker.score`."""
        assert self._frame is not None, "fit first"
        scores = []
        for batch in _batches(cases):
            total, looked = self._look(batch)
            low, high = total.min(axis=1, keepdims=True), total.max(axis=1, keepdims=True)
            ranked = (total - low) / np.maximum(high - low, 1e-9)  # 0 to 1: below all candidates
            for case, (chosen, features) in enumerate(looked):
                if len(chosen):
                    told = np.asarray(self._trees.predict(features, num_threads=1), np.float32)
                    ranked[case, chosen] = told - told.min() + 2
            scores.append(ranked)
        return np.concatenate([*scores, np.zeros((0, len(self._frame.items)), np.float32)]).astype(np.float32)

    def _folds(self, log: EventLog, items: ItemTable) -> Iterator[tuple[EventLog, Cases]]:
        """What the rankers may learn from, and the labels that are then fair."""
        rest, cases = earlier_steps(log, items, self._positives, self._steps)
        if self._cross_fit == "time":
            yield rest, cases
            return
        fold = np.random.default_rng(self._seed).permutation(len(log.users)) % _FOLDS
        for number in range(_FOLDS):
            mine = np.flatnonzero(fold[cases.user] == number)
            if len(mine):
                yield log.take(np.flatnonzero(fold[log.user] != number)), cases.take(mine)

    def _learn(self, log: EventLog, items: ItemTable) -> None:
        self._frame = Frame.of(log, items, self._positives)
        for part in self._parts:
            part.fit(log, items)

    def _look(self, cases: Cases) -> tuple[Floats, list[tuple[Rows, Floats]]]:
        """The sum of the standardised scores (b, m), and per case the candidates (c,) with their features (c, f)."""
        assert self._frame is not None, "fit first"
        frame = self._frame
        raw = [part.score(cases) for part in self._parts]
        even = [_filled(standardised(scores)) for scores in raw]
        total = np.asarray(sum(even), np.float32)
        seen = seen_items(cases, frame.log, frame.items) if self._leave_seen_out else None
        best = top(total, self._candidates, seen)
        popularity = np.log1p(frame.popularity()).astype(np.float32)
        looked = []
        for case, history in enumerate(frame.histories(cases)):
            chosen = best[case][best[case] >= 0]
            columns = [popularity[chosen], np.full(len(chosen), np.log1p(len(history)), np.float32)]
            for scores, standard in zip(raw, even, strict=True):
                place = np.empty(len(chosen), np.float32)
                place[np.argsort(-standard[case, chosen], kind="stable")] = np.arange(len(chosen))
                told = scores[case, chosen]
                columns += [np.where(np.isfinite(told), told, np.nan), standard[case, chosen], place]
            looked.append((chosen, np.stack([*columns, total[case, chosen]], axis=1)))
        return total, looked


def earlier_steps(log: EventLog, items: ItemTable, positives: Positives, steps: int) -> tuple[EventLog, Cases]:
    """Each person's last positive events as labels, and the log without them and what came after the first of them.

    Half of a person's events at most are labels. An event on an item that the person had before is no label.

    Args:
        log: what may be learned from.
        items: the catalogue.
        positives: the events that count.
        steps: labels per person, at most.

    Returns:
        The log that the rankers may learn from, and the cases, whose history is in the whole log.
    """
    frame = Frame.of(log, items, positives)
    keep = np.ones(len(log), np.bool_)
    user, label, history = [], [], []
    for person, mine in enumerate(log.of_user()):
        ends = np.flatnonzero(frame.good[mine])
        _, first = np.unique(frame.rows[mine[ends]], return_index=True)
        fresh = set(first.tolist())
        count = min(steps, len(ends) // 2)
        if not count:
            continue
        keep[mine[ends[-count] :]] = False
        for place in range(len(ends) - count, len(ends)):
            if place in fresh:
                user.append(person)
                label.append(mine[ends[place]])
                history.append(mine[: ends[place]])
    labels = np.array(label, np.intp)
    targets = tuple(frame.rows[labels][:, None])
    return log.take(np.flatnonzero(keep)), Cases(
        np.array(user, np.int64), log.time[labels], tuple(history), targets, log
    )


def _batches(cases: Cases) -> Iterator[Cases]:
    for start in range(0, len(cases), _BATCH):
        yield cases.take(np.arange(start, min(start + _BATCH, len(cases)), dtype=np.intp))


def _filled(scores: Floats) -> Floats:
    """The scores with each case's lowest in place of -inf."""
    low = np.where(np.isfinite(scores), scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    return np.where(np.isfinite(scores), scores, np.where(np.isfinite(low), low, 0)).astype(np.float32)
