"""The rerank stage: its protocol."""

from typing import Protocol

from engine.core.types import Candidates, Query
from engine.query.resolve import QuerySignals


class Reranker(Protocol):
    """Gives candidates better scores, and may drop some; the policy orders them afterwards."""

    @property
    def version(self) -> str:
        """The version of the model, said in every response."""

    @property
    def tier(self) -> str:
        """The name of this stage where it decides the order, said in every response."""

    @property
    def seconds(self) -> float:
        """The time that it typically takes, measured; it is asked only where the deadline leaves more."""

    def rerank(self, query: Query, signals: QuerySignals, candidates: Candidates) -> Candidates:
        """Map candidates to candidates, all of them among those given."""
