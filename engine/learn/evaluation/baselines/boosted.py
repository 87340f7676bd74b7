"""Gradient-boosted trees over what other rankers and the counts say of candidates, by the library LightGBM."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from encoders.types import Floats, Rows
from engine.catalog.items import ItemTable
from engine.core.extras import load
from engine.learn.evaluation.baselines.combined import standardised
from engine.learn.evaluation.baselines.matrix import Frame, seen_items
from engine.learn.evaluation.metrics import top
from engine.learn.log import EventLog
from engine.learn.ranker import Cases, Ranker, Reads
from engine.learn.rows.dataset import CrossFit
from engine.learn.rows.point_in_time import Known, PointInTimeFeatures
from engine.learn.splits import ALL_POSITIVES, Positives
from engine.models.errors import TooLittleDataError
from engine.rerank.fields import FieldUse, fit_scales
from engine.rerank.statistics import count
from engine.rerank.table import STANDARD_TOKENS, TokenKinds

_CELLS = 1 << 24
"""Scores of all rankers that are held at once."""
_FOLDS = 5


class LambdaMart:
    """LambdaMART (Burges, 2010) over all that is known of candidates but their vectors.

    A candidate's features are those that the engine's own reranker reads (`FEATURES`: counts with several lags,
    linear models, recent popularity, likeness by each modality and category, numbers, age), and what each other
    ranker says of it. So what the trained engine has beyond it comes from its network and its learned query vector.

    Each person's last `steps` positive events are labels, with all that the person did before each as its history.
    What is said of them comes from rankers and counts that have not seen them (`cross_fit`):

    - `time`: they learn from the log without everybody's labels and what came after.
    - `users`: the people are cut into folds, and for each fold they learn from the other people. So other people's
      later events are in it, which is fair only where the evaluation has them too, as leave-last-out does.

    Then they learn from the whole log, and the trees rank by what they say.

    Args:
        parts: the rankers; each is fitted with it, several times.
        fields: payload fields that are features: "category" (one value or a list) or "number".
        cross_fit: see above.
        steps: events per person that are labels.
        candidates: items per case that the trees look at, besides those that the engine's sources find: those with
            the largest sum of standardised scores. The others come after them, by that sum.
        negatives: candidates of a label that training sees beside it, drawn at random.
        leaves: of a tree.
        rounds: trees.
        learning_rate: of learning.
        columns: the share of the features that a tree may use, drawn anew for each.
        seed: of LightGBM and of the negatives.
        positives: the events that count.
        leave_seen_out: whether items of the history are no candidates; as the evaluation does it.
        kinds: the kinds of events that features read.
    """

    name = "lambdamart"

    def __init__(
        self,
        parts: Sequence[Ranker],
        *,
        fields: Mapping[str, FieldUse] | None = None,
        cross_fit: CrossFit = "time",
        steps: int = 16,
        candidates: int = 200,
        negatives: int = 100,
        leaves: int = 15,
        rounds: int = 300,
        learning_rate: float = 0.03,
        columns: float = 0.3,
        seed: int = 0,
        positives: Positives = ALL_POSITIVES,
        leave_seen_out: bool = True,
        kinds: TokenKinds = STANDARD_TOKENS,
    ) -> None:
        self._parts, self._fields = tuple(parts), fields or {}
        self._cross_fit, self._steps, self._candidates, self._negatives = cross_fit, steps, candidates, negatives
        self._trees_as = {
            "n_estimators": rounds,
            "num_leaves": leaves,
            "learning_rate": learning_rate,
            "colsample_bytree": columns,
            "random_state": seed,
        }
        self._seed, self._positives, self._leave_seen_out = seed, positives, leave_seen_out
        self._kinds = kinds
        self._frame: Frame | None = None
        self._trees: Any = None

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """See `Ranker.fit`.

        Raises:
            TooLittleDataError: if no label is among the candidates.
            TrainingError: if LightGBM is not installed.
        """
        lightgbm = load("lightgbm")
        self._scales = fit_scales(items.payloads, self._fields)
        random = np.random.default_rng([self._seed, 1])
        rows, labels, groups = [], [], []
        for rest, cases, scale in self._folds(log, items):
            self._learn(rest, items, scale)
            for batch in self._batches(cases):
                for targets, (chosen, features) in zip(batch.targets, self._look(batch)[1], strict=True):
                    label = np.isin(chosen, targets)
                    if label.any():
                        drawn = random.permutation(len(chosen))[: self._negatives]
                        kept = np.union1d(np.flatnonzero(label), drawn)
                        rows.append(features[kept])
                        labels.append(label[kept])
                        groups.append(len(kept))
        if not groups:
            raise TooLittleDataError("lambdamart found no label among its candidates", "give it longer histories")
        model = lightgbm.LGBMRanker(
            objective="lambdarank",
            **self._trees_as,
            deterministic=True,
            force_row_wise=True,
            n_jobs=1,
            verbosity=-1,
        )
        model.fit(np.concatenate(rows), np.concatenate(labels), group=groups)
        self._trees = model.booster_
        self._learn(log, items)

    def read(self, items: ItemTable) -> None:
        """See `Reads.read`."""
        assert self._frame is not None, "fit first"
        for part in self._parts:
            if isinstance(part, Reads):
                part.read(items)
        self._lay(self._frame.log, items)

    def score(self, cases: Cases) -> Floats:
        """See `Ranker.score`."""
        assert self._frame is not None, "fit first"
        scores = []
        for batch in self._batches(cases):
            total, looked = self._look(batch)
            low, high = total.min(axis=1, keepdims=True), total.max(axis=1, keepdims=True)
            ranked = (total - low) / np.maximum(high - low, 1e-9)  # 0 to 1: below all candidates
            for case, (chosen, features) in enumerate(looked):
                if len(chosen):
                    told = np.asarray(self._trees.predict(features, num_threads=1), np.float32)
                    ranked[case, chosen] = told - told.min() + 2
            scores.append(ranked)
        return np.concatenate([*scores, np.zeros((0, len(self._frame.items)), np.float32)]).astype(np.float32)

    def _folds(self, log: EventLog, items: ItemTable) -> Iterator[tuple[EventLog, Cases, float]]:
        """What may be learned from, the labels that are then fair, and what counts are multiplied by."""
        rest, cases = earlier_steps(log, items, self._positives, self._steps)
        if self._cross_fit == "time":
            yield rest, cases, 1.0
            return
        fold = np.random.default_rng(self._seed).permutation(len(log.users)) % _FOLDS
        for number in range(_FOLDS):
            mine = np.flatnonzero(fold[cases.user] == number)
            if len(mine):
                others = np.flatnonzero(fold[log.user] != number)
                yield log.take(others), cases.take(mine), _FOLDS / (_FOLDS - 1)

    def _learn(self, log: EventLog, items: ItemTable, scale: float = 1.0) -> None:
        self._frame = Frame.of(log, items, self._positives)
        for part in self._parts:
            part.fit(log, items)
        self._acted = self._frame.popularity() > 0
        self._lay(log, items)
        self._known = Known(count(self._laid[1].sequences(), len(items), scale=scale))

    def _lay(self, log: EventLog, items: ItemTable) -> PointInTimeFeatures:
        """Lay a log over the items."""
        self._items = items
        made = PointInTimeFeatures(log, items, self._scales, self._acted, self._positives, kinds=self._kinds)
        self._laid = (log, made)
        return made

    def _batches(self, cases: Cases) -> Iterator[Cases]:
        size = max(1, min(256, _CELLS // max(len(self._parts) * len(self._items), 1)))
        return cases.batches(size)

    def _look(self, cases: Cases) -> tuple[Floats, list[tuple[Rows, Floats]]]:
        """The sum of the standardised scores (b, m), and per case the candidates (c,) with their features (c, f)."""
        assert self._frame is not None, "fit first"
        log = self._frame.log if cases.log is None else cases.log
        point_in_time = self._laid[1] if log is self._laid[0] else self._lay(log, self._items)
        told = np.stack([_filled(standardised(part.score(cases))) for part in self._parts])  # (parts, b, m)
        total = told.sum(axis=0, dtype=np.float32)
        best = top(total, self._candidates, seen_items(cases, log, self._items) if self._leave_seen_out else None)
        looked = []
        for case, (history, now) in enumerate(zip(cases.history, cases.time.tolist(), strict=True)):
            request = point_in_time.ranking_input(self._known, history, now, shown=best[case][best[case] >= 0])
            chosen = request.candidates
            columns = (request.dense, told[:, case, chosen].T, total[case, chosen, None])
            looked.append((chosen, np.concatenate(columns, axis=1).astype(np.float32)))
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
    for number, mine in enumerate(log.of_user()):
        ends = np.flatnonzero(frame.good[mine])
        _, first = np.unique(frame.rows[mine[ends]], return_index=True)
        fresh = set(first.tolist())
        count = min(steps, len(ends) // 2)
        if not count:
            continue
        keep[mine[ends[-count] :]] = False
        for position in range(len(ends) - count, len(ends)):
            if position in fresh:
                user.append(number)
                label.append(mine[ends[position]])
                history.append(mine[: ends[position]])
    labels = np.array(label, np.intp)
    targets = tuple(frame.rows[labels][:, None])
    return log.take(np.flatnonzero(keep)), Cases(
        np.array(user, np.int64), log.time[labels], tuple(history), targets, log
    )


def _filled(scores: Floats) -> Floats:
    """The scores with each case's lowest in place of -inf."""
    low = np.where(np.isfinite(scores), scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    return np.where(np.isfinite(scores), scores, np.where(np.isfinite(low), low, 0)).astype(np.float32)
