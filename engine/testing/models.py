"""The suite of models that are served."""

from abc import abstractmethod

import numpy as np

from engine.core.types import ItemId, Query
from engine.query.models import Contribution, ServedModel
from engine.store.base import VectorStore
from engine.testing.small import ITEMS, signals_of, small_queries, small_store


class ServedModelContract:
    """What every `ServedModel` does, and the rerankers that it reads a request into."""

    @abstractmethod
    def model(self, store: VectorStore) -> ServedModel:
        """The model, loaded anew for a catalogue."""

    def store(self) -> VectorStore:
        """The catalogue; `small_store` unless told."""
        return small_store()

    def test_it_says_what_it_is(self) -> None:
        """A version of the catalogue's space."""
        store = self.store()
        model = self.model(store)
        assert isinstance(model, ServedModel)
        assert model.version
        assert model.fingerprint == store.fingerprint
        model.close()

    def test_rerankers_give_candidates_finite_scores(self) -> None:
        """All of them among those given, each once; those of no candidates are none."""
        store = self.store()
        model = self.model(store)
        for query in small_queries().values():
            contribution = self._contribution(model, query, store)
            for reranker in contribution.rerankers:
                assert reranker.version == model.version
                assert reranker.tier
                assert reranker.seconds >= 0
                for count in (len(ITEMS), 1, 0):
                    candidates = store.candidates(ITEMS[:count])
                    ranked = reranker.rerank(query, signals_of(query, store), candidates)
                    assert set(ranked.ids) <= set(candidates.ids)
                    assert len(set(ranked.ids)) == len(ranked.ids) == len(ranked.scores)
                    assert np.isfinite(ranked.scores).all()
        model.close()

    def test_excluded_items_are_not_named(self) -> None:
        """Neither as its own, nor by another way."""
        store = self.store()
        model = self.model(store)
        for query in small_queries().values():
            assert ITEMS[5] not in self._contribution(model, query, store, (ITEMS[5],)).items
        model.close()

    def test_it_hears_of_changes(self) -> None:
        """Of items that are there, and of others; afterwards it goes on."""
        store = self.store()
        model = self.model(store)
        store.delete([ITEMS[3]])
        model.changed([ITEMS[3], ItemId("never there")])
        self._contribution(model, small_queries()["with a history"], store)
        model.close()

    def _contribution(
        self, model: ServedModel, query: Query, store: VectorStore, exclude: tuple[ItemId, ...] = ()
    ) -> Contribution:
        return model.contribute(query, signals_of(query, store), exclude)
