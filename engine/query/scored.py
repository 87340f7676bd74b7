"""Candidates with scores, and what the scores mean: what the stages hand on, whoever made it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from encoders.types import Bools, Doubles, Floats, Rows
from engine.core.types import Candidates, Reason, ReasonKind

Explain = Callable[[Candidates, Rows], Sequence[tuple[Reason, ...]]]
"""Reasons for results: k candidates, and their rows in the pool (k,)."""

LEARNED = (Reason(ReasonKind.LEARNED),)


class Meaning(StrEnum):
    """What a score is."""

    SIMILARITY = "similarity"
    """Calibrated similarity to what the request says."""
    UTILITY = "utility"
    """What a trained model expects of showing the item."""
    ORDER = "order"
    """Only a position in an order: by popularity or age."""


@dataclass(frozen=True, slots=True)
class Scored:
    """n candidates of a pool of m, with their scores."""

    candidates: Candidates
    """n, with the scores that order them."""
    pool: Candidates
    """m: what a reranker chooses from; what is more than the candidates is for a trained model to judge."""
    rows: Rows
    """(n,): where the candidates are in the pool."""
    meaning: Meaning
    tier: str
    """The stage that gave the scores, as the answer names it."""
    interest: Rows
    """(n,): the interest that each is for; all 0 where the scores weigh the interests already."""
    shares: Doubles
    """(c,): the weight of each interest."""
    similarity: Floats | None
    """(m,): what `min_score` is held against, and what tells whether the similarity speaks for an item; None where no
    threshold applies."""
    related: float
    """The similarity from which on the request's own similarity speaks for an item."""
    unwanted: Bools
    """(m,): which are like something disliked: they may be shown, but not to try them out."""
    explain: Explain
    relevance: Floats | None = None
    """(m,): how sure it is that an item fits the query, 0 to 1; see `Background`. None without a query."""

    @classmethod
    def of(
        cls,
        candidates: Candidates,
        meaning: Meaning,
        tier: str,
        explain: Explain,
        *,
        interest: Rows | None = None,
        shares: Doubles | None = None,
        similarity: Floats | None = None,
        related: float = 0.0,
        unwanted: Bools | None = None,
        pool: Candidates | None = None,
        relevance: Floats | None = None,
    ) -> "Scored":
        """What a way to get candidates found.

        Args:
            candidates: n, scored; the first ones of the pool.
            meaning: of the scores.
            tier: the stage.
            explain: gives the reasons.
            interest: (n,); None where there is only one.
            shares: (c,); None where there is only one interest.
            similarity: (m,), see `Scored`.
            related: see `Scored`.
            unwanted: (m,), see `Scored`; None if there is nothing like that.
            pool: m, the candidates and more; None if there are no more.
            relevance: (m,), see `Scored`.
        """
        rows = np.arange(len(candidates))
        interest = np.zeros(len(rows), np.intp) if interest is None else interest
        shares = np.ones(1) if shares is None else shares
        pool = candidates if pool is None else pool
        unwanted = np.zeros(len(pool), np.bool_) if unwanted is None else unwanted
        told = interest, shares, similarity, related, unwanted, explain, relevance
        return cls(candidates, pool, rows, meaning, tier, *told)

    def take(self, chosen: Rows) -> "Scored":
        """Some of the candidates, by their rows among them, in this order."""
        return replace(
            self,
            candidates=self.candidates.take(chosen),
            rows=self.rows[chosen],
            interest=self.interest[chosen],
        )

    def rescored(self, scores: Floats) -> "Scored":
        """The same candidates with other scores (n,); the threshold and the reasons stay with the similarity."""
        return replace(self, candidates=self.candidates.scored(scores))

    def above(self, threshold: float | None) -> "Scored":
        """Those whose similarity reaches a threshold; all where none is set, or none applies."""
        if threshold is None or self.similarity is None:
            return self
        return self.take(np.flatnonzero(self.similarity[self.rows] >= threshold))

    def fitting(self, max_false_positive_rate: float | None) -> "Scored":
        """Those that fit the query surely enough; all where no rate is set, or there is no query."""
        if max_false_positive_rate is None or self.relevance is None:
            return self
        return self.take(np.flatnonzero(self.relevance[self.rows] >= 1 - max_false_positive_rate))

    def reranked(self, ranked: Candidates, tier: str) -> "Scored":
        """What a trained model makes of the pool. Its scores weigh the interests, and need no threshold of their own.

        Args:
            ranked: some of the pool, with the model's scores.
            tier: the model's stage.
        """
        row_of = {name: row for row, name in enumerate(self.pool.ids)}
        rows = np.fromiter(map(row_of.__getitem__, ranked.ids), np.intp, len(ranked))
        return replace(
            self,
            candidates=replace(ranked, parts=self.pool.parts and self.pool.parts.take(rows)),
            rows=rows,
            meaning=Meaning.UTILITY,
            tier=tier,
            interest=np.zeros(len(ranked), np.intp),
            shares=np.ones(1),
            explain=self._explain_learned,
        )

    def _explain_learned(self, results: Candidates, rows: Rows) -> list[tuple[Reason, ...]]:
        """The found reasons where the similarity speaks for an item, else that it was learned."""
        reasons = self.explain(results, rows)
        if self.similarity is None:
            return list(reasons)
        speaks = self.similarity[rows] >= self.related
        return [one if enough else LEARNED for one, enough in zip(reasons, speaks.tolist(), strict=True)]

    def relevance_of_each(self) -> list[float | None]:
        """How sure it is that each candidate fits the query, (n,)."""
        return [None] * len(self.rows) if self.relevance is None else list(self.relevance[self.rows].tolist())

    def reasons(self) -> Sequence[tuple[Reason, ...]]:
        """Why each candidate is shown, (n,)."""
        return self.explain(self.candidates, self.rows)
