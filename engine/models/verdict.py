"""What the gate said of a version, as data: made by engine/learn/gate.py, kept by the version's card."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says, and from what."""

    promote: bool
    reason: str
    metric: str
    cases: int
    """Cases that both were judged on."""
    difference: float = 0.0
    """The challenger's mean minus the serving version's."""
    low: float = 0.0
    """The interval of the difference: from."""
    high: float = 0.0
    """The interval of the difference: to."""
    confidence: float = 0.95
