"""How large a simulated world is, and how its people behave."""

from dataclasses import dataclass, fields
from typing import Literal

from engine.learn.simulate.errors import SimulationError

Look = Literal["power", "log", "always"]

MIN_ITEMS = 20
"""A catalogue of fewer items leaves nothing to choose from."""


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """The numbers of a world. Equal numbers over an equal catalogue make the same world.

    Raises:
        SimulationError: if a number is out of range, naming it.
    """

    users: int = 300
    days: float = 30.0
    """The length of the period. Tastes go on drifting after it."""
    seed: int = 0
    start: float = 1_767_225_600.0
    """When the period begins, seconds since 1970; by default the first of January 2026, UTC."""
    positions: int = 10
    """Items of a list."""

    topics: int = 40
    """Groups of like items that tastes are chosen from; more people share a taste where there are few."""
    max_tastes: int = 4
    """A person has 1 to so many tastes."""
    personal: float = 0.5
    """How much of a taste is the person's own, 0 to 1; the rest is the topic's."""
    drift: float = 0.3
    """How far a taste turns in 30 days, in radians, half to one and a half times as far for each; it stops where it
    has become another topic."""
    modality_focus: float = 1.0
    """The concentration of the Dirichlet distribution that each person's weights of pictures, sounds and texts are
    drawn from: small, and most people care about one only; large, and all care about all alike."""

    base_rate: float = 0.05
    """The mean probability of a click on a random item that is looked at."""
    affinity: float = 1.2
    """What a standard deviation of nearness to a taste adds to the log-odds of a click."""
    quality: float = 0.7
    """What a standard deviation of the items' base appeal adds."""
    dislike: float = 1.5
    """What a standard deviation of nearness to something disliked, beyond the first, takes away."""

    new_users: float = 0.3
    """The share of the people who first come during the period."""
    new_items: float = 0.1
    """The share of the items that come into the catalogue during the period."""

    look: Look = "power"
    """How the probability that a position is looked at falls: "power" is 1 / position^eta (Joachims et al., *Unbiased
    learning-to-rank with biased feedback*, WSDM 2017), "log" is 1 / log2(position + 1) (the discount of DCG),
    "always" is no bias."""
    eta: float = 1.0
    """The exponent of "power"."""

    like: float = 0.5
    """After a click with probability p of which nothing else came, a like follows with this times p."""
    purchase: float = 0.25
    """After a click with probability p, a purchase follows with this times p."""
    skip: float = 0.1
    """The probability that what was looked at and not clicked is waved away."""
    annoyed: float = 0.2
    """The most probable a dislike of something disliked gets, where it was looked at and not clicked."""
    searches: float = 0.1
    """Searches per visit, of the title of something that is near a taste."""
    uploads: float = 0.03
    """Uploads per visit, of a picture, sound or text near one that is near a taste."""

    def __post_init__(self) -> None:
        for name in ("users", "positions", "topics", "max_tastes"):
            self._refuse(name, getattr(self, name) < 1, "set it to 1 or more")
        for name in ("days", "modality_focus"):
            self._refuse(name, not 0 < getattr(self, name) < float("inf"), "set it above 0")
        for name in ("drift", "affinity", "quality", "dislike", "eta", "seed", "start"):
            self._refuse(name, not 0 <= getattr(self, name) < float("inf"), "set it to 0 or more")
        for name in ("personal", "new_users", "new_items", *_PROBABILITIES):
            self._refuse(name, not 0 <= getattr(self, name) <= 1, "set it to 0 to 1")
        self._refuse("base_rate", not 0 < self.base_rate < 1, "set it between 0 and 1")
        self._refuse("look", self.look not in {"power", "log", "always"}, "use power, log or always")

    def _refuse(self, name: str, wrong: bool, remedy: str) -> None:
        if wrong:
            raise SimulationError(f"{name} of a simulation is {getattr(self, name)!r}", remedy, field=name)

    @property
    def end(self) -> float:
        """When the period ends, seconds since 1970."""
        return self.start + self.days * 86400.0

    def said(self) -> str:
        """All numbers in one line, for names that must differ where they differ."""
        return " ".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))


_PROBABILITIES = ("like", "purchase", "skip", "annoyed", "searches", "uploads")
