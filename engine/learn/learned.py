"""The learned engine as a `Ranker`, so that it is evaluated beside the baselines."""

from collections.abc import Sequence

import numpy as np

from encoders.types import Floats
from engine.items import ItemTable
from engine.learn.dataset import CrossFit, Example, Situations
from engine.learn.fit import FitSettings, Fitted, fit
from engine.learn.log import EventLog
from engine.learn.ranker import Cases
from engine.learn.train import Report, logits_of
from engine.rerank.learned import worth


class LearnedRanker:
    """Trains a version on the log, then ranks the candidates that its sources find.

    Args:
        settings: what is learned, and how.
        cross_fit: "people" only where the protocol knows other people's later events too, as leave-last-out does.
        name: the name in reports.
        report: is told of the progress.
    """

    def __init__(
        self,
        settings: FitSettings,
        *,
        cross_fit: CrossFit = "time",
        name: str = "triveni",
        report: Report = lambda _: None,
    ) -> None:
        self._settings, self._cross_fit, self._name, self._report = settings, cross_fit, name, report
        self.fitted: Fitted | None = None

    @property
    def name(self) -> str:
        """The name in reports."""
        return self._name

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """Train."""
        self.fitted = fit(log, items, self._settings, cross_fit=self._cross_fit, report=self._report)
        made = self.fitted.version
        self._situations = Situations(log, items, made.scales, made.known, self._settings.taste)

    def score(self, cases: Cases) -> Floats:
        """(b, m): the worth of the candidates, -inf for all other items."""
        if self.fitted is None:
            raise RuntimeError("fit comes before score")
        made = self.fitted.version
        examples = self.examples(cases)
        found = np.full((len(cases), self._situations.size), -np.inf, np.float32)
        for row, logits in enumerate(logits_of(made.network, examples, self._situations.table)):
            found[row, examples[row].request.candidates] = worth(logits, made)
        return found

    def examples(self, cases: Cases) -> Sequence[Example]:
        """The cases as requests."""
        if self.fitted is None:
            raise RuntimeError("fit comes before score")
        found = []
        for history, now in zip(cases.history, cases.time.tolist(), strict=True):
            request = self._situations.request(self.fitted.version.statistics, history, now)
            none = np.zeros(len(request.candidates), np.intp)
            found.append(Example(request, none.astype(np.bool_), none.astype(np.bool_), none, 0, now, np.inf))
        return found
