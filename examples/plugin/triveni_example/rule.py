"""A policy rule: items whose payload says that they must not be shown are left out."""

import numpy as np

from engine.core.section import Section
from engine.core.types import Query
from engine.query.scored import Scored


class LeaveOutSettings(Section):
    """Which items are left out."""

    field: str
    """A payload field; a list counts for each of its values."""
    values: tuple[str, ...]


class LeaveOut:
    """Leaves out the items that have one of the values.

    Args:
        settings: the field and the values.
    """

    Settings = LeaveOutSettings
    reads_payloads = True

    def __init__(self, settings: LeaveOutSettings) -> None:
        self._field, self._values = settings.field, frozenset(settings.values)

    def apply(self, query: Query, scored: Scored) -> Scored:
        """See `PolicyRule.apply`."""
        found = (payload.get(self._field) for payload in scored.candidates.payloads)
        values = [one if isinstance(one, list) else [one] for one in found]
        return scored.take(np.flatnonzero([self._values.isdisjoint(map(str, some)) for some in values]))
