"""The suite of policy rules."""

from abc import abstractmethod
from dataclasses import replace

import numpy as np

from engine.core.types import Reason, ReasonKind, Tier
from engine.query.policy.rules import PolicyRule
from engine.query.scored import Meaning, Scored
from engine.testing.small import ITEMS, small_queries, small_store


class PolicyRuleContract:
    """What every `PolicyRule` does."""

    @abstractmethod
    def rule(self) -> PolicyRule:
        """The rule."""

    def scored(self) -> Scored:
        """Candidates with falling scores and payloads; those of `small_store` unless told."""
        return _scored(len(ITEMS))

    def test_it_is_a_rule(self) -> None:
        """It has all members of the protocol."""
        assert isinstance(self.rule(), PolicyRule)

    def test_it_leaves_some_of_the_candidates_in_step(self) -> None:
        """Each once, with a finite score, and at its row of the pool."""
        rule, before = self.rule(), self.scored()
        for query in small_queries().values():
            after = rule.apply(query, before)
            ids = after.candidates.ids
            assert set(ids) <= set(before.candidates.ids)
            assert len(set(ids)) == len(ids)
            assert tuple(after.pool.ids[row] for row in after.rows) == ids
            assert len(after.interest) == len(after.candidates.scores) == len(ids)
            assert after.candidates.scores.dtype == np.float32
            assert np.isfinite(after.candidates.scores).all()
            assert len(after.reasons()) == len(ids)

    def test_it_changes_nothing_in_place(self) -> None:
        """What it was given is as before, and it does the same again."""
        rule, given, untouched = self.rule(), self.scored(), self.scored()
        query = small_queries()["with a history"]
        first = rule.apply(query, given)
        np.testing.assert_array_equal(given.candidates.scores, untouched.candidates.scores)
        assert given.candidates.payloads == untouched.candidates.payloads
        second = rule.apply(query, given)
        assert first.candidates.ids == second.candidates.ids
        np.testing.assert_array_equal(first.candidates.scores, second.candidates.scores)

    def test_no_candidates_are_no_error(self) -> None:
        """A filter may have left none."""
        assert len(self.rule().apply(small_queries()["of nobody"], _scored(0)).candidates) == 0

    def test_it_says_whether_it_reads_payloads(self) -> None:
        """Without payloads one that reads none does the same."""
        rule, given = self.rule(), self.scored()
        if rule.reads_payloads:
            return
        bare = replace(given.candidates, payloads=({},) * len(given.candidates))
        query = small_queries()["with a history"]
        assert (
            rule.apply(query, given).candidates.ids
            == rule.apply(query, replace(given, candidates=bare)).candidates.ids
        )


def _scored(count: int) -> Scored:
    candidates = small_store().candidates(ITEMS[:count])
    scores = np.linspace(5, 0, count, dtype=np.float32)
    return Scored.of(
        candidates.scored(scores),
        Meaning.SIMILARITY,
        Tier.RETRIEVAL,
        lambda results, _: [(Reason(ReasonKind.LEARNED),)] * len(results),
        similarity=scores,
    )
