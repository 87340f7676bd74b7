"""The learned engine as a `Ranker`, so that it is evaluated beside the baselines."""

from collections.abc import Sequence

import numpy as np

from encoders.types import Doubles, Floats
from engine.catalog.items import ItemTable
from engine.events.types import Impression
from engine.learn.fit import FitSettings, Fitted, fit
from engine.learn.log import EventLog
from engine.learn.network.train import logits_of
from engine.learn.network.trainer import Report, Run
from engine.learn.ranker import Cases
from engine.learn.rows.dataset import CrossFit, Example
from engine.learn.rows.point_in_time import Known, PointInTimeFeatures
from engine.learn.splits import Positives
from engine.rerank.content import ContentScorer
from engine.rerank.learned import expected_utility, promote_new
from engine.rerank.statistics import over
from engine.rerank.two_towers import TowerScores
from engine.rerank.version import Version


class VersionRanker:
    """A version that is there already, as a `Ranker`: `fit` only tells it of the people and the items.

    Args:
        version: the version.
        positives: which events speak for an item.
        content: gives the engine's own opinion of items; as in training.
        name: the name in reports.
        recount: None takes the version's own counts, which may know what is to be predicted. Else `fit` counts anew,
            from the log and these served lists: with what was known at one moment, all versions are judged alike.
    """

    def __init__(
        self,
        version: Version,
        positives: Positives,
        content: ContentScorer | None = None,
        *,
        name: str = "triveni",
        recount: Sequence[Impression] | None = None,
    ) -> None:
        self.version, self._positives, self._content, self._name = version, positives, content, name
        self._recount = recount

    @property
    def name(self) -> str:
        """The name in reports."""
        return self._name

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """Lay the log over the items; nothing is learned, but it may be counted anew."""
        made, position = self.version, {name: row for row, name in enumerate(self.version.items)}
        rows = np.array([position.get(name, -1) for name in items.ids], np.intp)
        known = (rows >= 0) & made.known[rows]
        self.point_in_time = PointInTimeFeatures(
            log,
            items,
            made.scales,
            known,
            self._positives,
            self._content,
            self._recount or (),
            made.features,
            made.token_kinds,
        )
        self._counts = over(made.statistics, rows) if self._recount is None else self.point_in_time.counts()
        # The network's ids are numbered over the version's own items.
        numbers = np.cumsum(made.known) * made.known
        self.point_in_time.table.identity[: len(items)] = np.where(rows >= 0, numbers[rows], 0)
        self._towers = None if made.towers is None else TowerScores(made.towers, self.point_in_time.table, known)

    def read(self, items: ItemTable) -> None:
        """See `Reads.read`."""
        self.fit(self.point_in_time.log, items)

    def score(self, cases: Cases) -> Floats:
        """(b, m): the worth of the candidates, -inf for all other items."""
        examples = self.examples(cases)
        found = np.full((len(cases), self.point_in_time.size), -np.inf, np.float32)
        for row, logits in enumerate(logits_of(self.version.network, examples, self.point_in_time.table)):
            request = examples[row].request
            scores = expected_utility(logits, self.version)
            share = self.version.utility.new_share
            found[row, request.candidates] = promote_new(scores, request.ids == 0, share)
        return found

    def likely(self, cases: Cases) -> list[Doubles]:
        """Per case (s,), how probable a favourable answer to each item of `cases.shown` is."""
        examples, (slope, intercept) = self.examples(cases), self.version.calibration[0]
        found = []
        for logits, one, shown in zip(
            logits_of(self.version.network, examples, self.point_in_time.table),
            examples,
            cases.shown or (),
            strict=True,
        ):
            positions = np.searchsorted(one.request.candidates, shown)
            found.append(1 / (1 + np.exp(-(slope * logits[positions, 0].astype(np.float64) + intercept))))
        return found

    def examples(self, cases: Cases) -> list[Example]:
        """The cases as requests."""
        found = []
        known = Known(self._counts, self._towers)
        nothing = (np.zeros(0, np.intp),) * len(cases)
        users = self.point_in_time.user_embeddings(known, cases.history, cases.time.tolist())
        rows = zip(cases.history, cases.time.tolist(), users, cases.shown or nothing, strict=True)
        for history, now, embedding, shown in rows:
            request = self.point_in_time.ranking_input(known, history, now, embedding=embedding, shown=shown)
            none = np.zeros(len(request.candidates), np.intp)
            found.append(Example(request, none.astype(np.bool_), none.astype(np.bool_), none, 0, now, np.inf))
        return found


class LearnedRanker:
    """Trains a version on the log, then ranks the candidates that its sources find.

    Args:
        settings: what is learned, and how.
        cross_fit: "users" only where the protocol knows other people's later events too, as leave-last-out does.
        name: the name in reports.
        impressions: lists that were served, all before what is to be predicted.
        report: is told of the progress.
    """

    def __init__(
        self,
        settings: FitSettings,
        *,
        cross_fit: CrossFit = "time",
        name: str = "triveni",
        impressions: Sequence[Impression] = (),
        report: Report = lambda _: None,
    ) -> None:
        self._impressions = impressions
        self.settings, self._cross_fit, self._name, self._report = settings, cross_fit, name, report
        self.fitted: Fitted | None = None

    @property
    def name(self) -> str:
        """The name in reports."""
        return self._name

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """Train a version on the log."""
        run = Run(report=self._report)
        self.fitted = fit(log, items, self.settings, run, impressions=self._impressions, cross_fit=self._cross_fit)
        self.ranker = VersionRanker(
            self.fitted.version, self.settings.positives, self.settings.content, name=self._name
        )
        self.ranker.fit(log, items)

    def read(self, items: ItemTable) -> None:
        """See `Reads.read`."""
        self.ranker.read(items)

    def score(self, cases: Cases) -> Floats:
        """(b, m): the worth of the candidates, -inf for all other items."""
        return self.ranker.score(cases)
