"""The suite of baselines, and of everything else that ranks in an evaluation."""

from abc import abstractmethod
from dataclasses import replace

import numpy as np

from encoders.types import Floats
from engine.catalog.items import ItemTable
from engine.core.types import ItemId
from engine.learn.ranker import Cases, Ranker, Split
from engine.testing.small import small_items, small_split


class RankerContract:
    """What every `Ranker` does."""

    @abstractmethod
    def ranker(self) -> Ranker:
        """An unfitted one."""

    def split(self) -> Split:
        """What is learned from, and what is to be predicted."""
        return small_split()

    def items(self) -> ItemTable:
        """The catalogue."""
        return small_items()

    def test_scores_repeat_and_do_not_depend_on_the_batch(self) -> None:
        """They are float32 (b, m), and one that is fitted anew gives the same."""
        split = self.split()
        first, second = self._fitted(), self._fitted()
        scores = first.score(split.cases)
        self._check(scores, len(split.cases), len(self.items()))
        np.testing.assert_array_equal(scores, second.score(split.cases))
        some = np.array([7, 3])
        np.testing.assert_allclose(first.score(split.cases.take(some)), scores[some], rtol=1e-4, atol=1e-5)

    def test_it_does_not_look_at_what_it_has_to_predict(self) -> None:
        """Other targets change nothing."""
        cases, ranker = self.split().cases, self._fitted()
        others = tuple(np.zeros_like(rows) for rows in cases.targets)
        np.testing.assert_array_equal(ranker.score(cases), ranker.score(replace(cases, targets=others)))

    def test_a_user_without_history_and_an_item_without_events_are_scored(self) -> None:
        """Both are there in every catalogue."""
        items, split = self.items(), self.split()
        new = [*range(len(items)), 0]  # the first item once more, under a name that nobody acted on
        more = ItemTable(
            (*items.ids, ItemId("never seen")),
            {modality: matrix[new] for modality, matrix in items.vectors.items()},
            {modality: mask[new] for modality, mask in items.present.items()},
            tuple(items.payloads[row] for row in new),
            items.indexed_at[new],
        )
        ranker = self.ranker()
        ranker.fit(split.train, more)
        cases = split.cases
        nobody = Cases(cases.user[:1], cases.time[:1], (np.zeros(0, np.intp),), cases.targets[:1])
        self._check(ranker.score(nobody), 1, len(more))

    def test_it_has_a_name_without_blanks(self) -> None:
        """Which reports show and the command line takes."""
        name = self.ranker().name
        assert name
        assert " " not in name

    def _fitted(self) -> Ranker:
        ranker = self.ranker()
        ranker.fit(self.split().train, self.items())
        return ranker

    def _check(self, scores: Floats, cases: int, items: int) -> None:
        assert scores.shape == (cases, items)
        assert scores.dtype == np.float32
        assert not np.isnan(scores).any()
