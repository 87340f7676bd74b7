"""More sources of candidates: what other distributions add to what the searches find.

A source names items; the pipeline leaves out the excluded and those that the query's filter or modalities refuse, and
scores the others like all candidates. So a source cannot show what must not be shown.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import structlog

from engine.core.deadline import Deadline
from engine.core.errors import CancelledError, DeadlineError
from engine.core.plugins import Parts
from engine.core.types import ItemId, Query, ReasonKind
from engine.query.resolve import QuerySignals
from engine.query.trace import UNTRACED, Trace
from engine.store.base import VectorStore


@runtime_checkable
class CandidateSource(Protocol):
    """Names items that may be shown. Any number of threads use it at once."""

    @property
    def reason(self) -> ReasonKind:
        """Why its items are shown to a user of whom nothing is known: `POPULAR`, `FRESH` or `LEARNED`."""

    def candidates(
        self, query: Query, signals: QuerySignals, store: VectorStore, deadline: Deadline
    ) -> Sequence[ItemId]:
        """Items to consider, the best first; excluded and unknown ones may be among them.

        Args:
            query: the request.
            signals: its parts and events, with their vectors.
            store: the catalogue.
            deadline: of the request.
        """


SOURCES: Parts[CandidateSource] = Parts("triveni.sources", "candidate source", CandidateSource)
"""What the settings `retrieve.sources` name."""


class Sources:
    """The sources of an engine.

    Args:
        sources: by name.
    """

    def __init__(self, sources: Mapping[str, CandidateSource]) -> None:
        self._sources = dict(sources)
        self._lock = threading.Lock()
        self._failed: set[str] = set()

    def candidates(
        self,
        query: Query,
        signals: QuerySignals,
        exclude: Sequence[ItemId],
        store: VectorStore,
        deadline: Deadline,
        trace: Trace = UNTRACED,
    ) -> dict[ItemId, ReasonKind]:
        """What all sources name, without the excluded, each item once with the reason of the first that names it.

        A source that fails is logged, once, and the others answer. Each source is noted with how many it named.

        Raises:
            DeadlineError: if the time is up.
            CancelledError: if the caller went away.
        """
        found: dict[ItemId, ReasonKind] = {}
        unwanted = set(exclude)
        for name, source in self._sources.items():
            named: list[ItemId] = []
            try:
                for item in source.candidates(query, signals, store, deadline):
                    if item not in unwanted:
                        named.append(item)
                        found.setdefault(item, source.reason)
            except (DeadlineError, CancelledError):
                raise
            except Exception as error:  # noqa: BLE001 (whatever it is, the searches answer)
                self._report(name, error)
            trace.passed(f"source {name}", len(named))
            deadline.check("searching")
        return found

    def _report(self, name: str, error: Exception) -> None:
        with self._lock:
            new = name not in self._failed
            self._failed.add(name)
        if new:
            structlog.get_logger("triveni.sources").error("candidate source failed", source=name, exc_info=error)
