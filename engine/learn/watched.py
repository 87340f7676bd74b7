"""A ranker that tells how many cases it has scored: judging one may take minutes."""

from collections.abc import Callable

from encoders.types import Floats
from engine.catalog.items import ItemTable
from engine.learn.log import EventLog
from engine.learn.ranker import Cases, Ranker


class Watched:
    """A ranker, watched.

    Args:
        ranker: does the work.
        scored: is told, after each call, of so many more cases.
    """

    def __init__(self, ranker: Ranker, scored: Callable[[int], None]) -> None:
        self._ranker, self._scored = ranker, scored

    @property
    def name(self) -> str:
        """The name in reports."""
        return self._ranker.name

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """See `Ranker.fit`."""
        self._ranker.fit(log, items)

    def score(self, cases: Cases) -> Floats:
        """See `Ranker.score`."""
        scores = self._ranker.score(cases)
        self._scored(len(cases))
        return scores
