"""The suite of candidate sources."""

from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor

from engine.core.deadline import Deadline
from engine.core.types import ItemId, Query, ReasonKind
from engine.query.sources import CandidateSource
from engine.store.base import VectorStore
from engine.testing.small import signals_of, small_queries, small_store


class CandidateSourceContract:
    """What every `CandidateSource` does."""

    @abstractmethod
    def source(self) -> CandidateSource:
        """The source."""

    def store(self) -> VectorStore:
        """The catalogue; `small_store` unless told."""
        return small_store()

    def test_it_is_a_source_with_a_reason(self) -> None:
        """One that needs no part or event of the query."""
        source = self.source()
        assert isinstance(source, CandidateSource)
        assert source.reason in {ReasonKind.POPULAR, ReasonKind.FRESH, ReasonKind.LEARNED}

    def test_it_names_items_each_once(self) -> None:
        """For every kind of query."""
        source, store = self.source(), self.store()
        for what, query in small_queries().items():
            named = self._named(source, query, store)
            assert all(isinstance(name, str) for name in named), f"for a query {what}: {named}"
            assert len(set(named)) == len(named), f"for a query {what}: {named}"

    def test_an_empty_catalogue_is_no_error(self) -> None:
        """Nor is one in which the history's items are gone."""
        store = small_store(())
        for query in small_queries().values():
            self._named(self.source(), query, store)

    def test_many_threads_may_ask(self) -> None:
        """All get what one gets."""
        source, store = self.source(), self.store()
        query = small_queries()["with a history"]
        with ThreadPoolExecutor(4) as pool:
            named = list(pool.map(lambda _: self._named(source, query, store), range(16)))
        assert all(one == named[0] for one in named)

    def _named(self, source: CandidateSource, query: Query, store: VectorStore) -> list[ItemId]:
        return list(source.candidates(query, signals_of(query, store), store, Deadline()))
