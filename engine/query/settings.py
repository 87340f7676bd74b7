"""Settings of how a request is answered."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, FiniteFloat, field_validator

from engine.core.kinds import STANDARD_KINDS
from engine.core.section import Section, Share


class FuseSettings(Section):
    """How a history becomes query vectors, without training."""

    weights: Mapping[str, FiniteFloat] = STANDARD_KINDS.weights
    """The weight of each kind of event, those of `[events.kinds]` too; negative ones push away. Kinds that are not
    named keep their default."""

    @field_validator("weights", mode="after")
    @classmethod
    def _keep_defaults(cls, weights: Mapping[str, float]) -> Mapping[str, float]:
        return {**STANDARD_KINDS.weights, **weights}

    half_life_days: float = Field(default=30.0, gt=0)
    """An event this old counts half."""
    max_interests: int = Field(default=4, gt=0)
    """At most so many query vectors for one person."""
    query_weight: Share = 0.75
    """The part of the explicit query, beside a history."""
    max_events: int = Field(default=200, gt=0)
    """Only the newest events are used."""
    related: float = Field(default=1.0, ge=0)
    """Two things are related from this similarity on, in standard deviations above unrelated ones: interests are
    grouped by it, and only what is more related than this to something disliked is pushed away."""
    correlation: Share = 0.5
    """How much several signs for one item (its text and its picture, two events of one interest) say the same:
    0 counts them as independent, 1 as repetitions."""

    words: bool = True
    """Whether the words of a text query count beside its meaning."""


class RetrieveSettings(Section):
    """How many candidates are fetched."""

    candidates: int = Field(default=100, gt=0)
    """Per interest, where there are so many; more where the limit asks for it."""
    overfetch: float = Field(default=2.0, ge=1)
    """Candidates per result asked for."""
    max_limit: int = Field(default=1000, gt=0)
    """The largest limit of a request."""
    popularity_field: str = "popularity"
    """A payload number that orders items for a person without history; newest first where no item has it."""
    sources: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    """By name the settings of more sources of candidates, which other distributions add."""


class PolicySettings(Section):
    """What may be shown."""

    diversity: Share = 0.1
    """0 ranks by score alone, 1 by difference alone, among the best 1 + 2 d times as many items as there are
    positions."""
    explore: Share = 0.0
    """How probably a position of a recommendation shows another candidate at random, of those that are not like
    something disliked: the log then tells what the order never shows. Searches, lists with caps, and lists for which
    there are fewer others than positions do not explore."""
    max_per_value: Mapping[str, int] = Field(default_factory=dict)
    """By payload field: at most so many results with the same value of it."""
    min_score: float | None = None
    """Results that score lower are left out."""
    max_false_positive_rate: float | None = Field(default=None, gt=0, le=1)
    """Results are left out that fit a query no better than an unrelated item would with a higher probability: with
    0.01, one in a hundred queries that nothing fits finds something all the same."""
    rules: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    """By name the settings of rules that other distributions add; they are applied in this order."""
