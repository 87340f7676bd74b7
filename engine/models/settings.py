"""Settings of model versions and of serving them."""

from pathlib import Path

from pydantic import Field

from engine.core.section import Section


class ModelSettings(Section):
    """The versions of the trained model."""

    path: Path = Path("var/trained")
    """The folder of the registry."""
    keep: int = Field(default=5, ge=0)
    """Versions that are kept beside the one that serves, the one before it and the challenger; older ones are retired
    when a new one is made."""
    standby: bool = True
    """Whether the version that served before stays loaded, so that going back takes no loading."""
    on_request: int = Field(default=1, ge=0)
    """So many versions are loaded besides because a request asks for them; one more takes the place of the one that
    was loaded first, and with 0 a request gets only what is loaded anyway."""
    candidate_share: float = Field(default=0.1, gt=0, le=1)
    """The share of people who get a challenger, a version that is tried, unless the command says another."""
    deadline_share: float = Field(default=0.5, gt=0, le=1)
    """A reranker is asked if it typically takes at most this part of the time that a request has left."""
    min_cases: int = Field(default=100, gt=0)
    """The gate judges on at least so many people."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Of the interval that has to lie above zero for a version to be promoted."""
