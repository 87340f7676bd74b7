"""A candidate source: the items that came into the catalogue last."""

from collections.abc import Sequence

from engine.catalog.ingest import INDEXED_AT
from engine.core.deadline import Deadline
from engine.core.section import Section
from engine.core.types import ItemId, Query, ReasonKind
from engine.query.resolve import QuerySignals
from engine.store.base import VectorStore


class NewestSettings(Section):
    """How many items are named."""

    count: int = 50


class Newest:
    """Names the newest items, so that a reranker or a rule can show what nothing in the history is like.

    Args:
        settings: how many.
    """

    Settings = NewestSettings
    reason = ReasonKind.FRESH

    def __init__(self, settings: NewestSettings) -> None:
        self._count = settings.count

    def candidates(
        self, query: Query, signals: QuerySignals, store: VectorStore, deadline: Deadline
    ) -> Sequence[ItemId]:
        """See `CandidateSource.candidates`."""
        page = store.scroll(filter_=query.filter, limit=self._count, with_payload=False, order_by=INDEXED_AT)
        return [point.id for point in page.points]
