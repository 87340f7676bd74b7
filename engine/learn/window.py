"""The time that is learned from."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """The events that are learned from."""

    start: datetime | None
    """From; None means from the first."""
    end: datetime
    """Until, without it."""
