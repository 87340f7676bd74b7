"""A cap on how many results may share a value of a payload field."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from engine.core.types import Json, Payload

Key = tuple[str, str]
"""A payload field, and one of its values."""


class Caps:
    """Counts the values of what was chosen. A list counts for each of its values; a missing value for none.

    Args:
        limits: at most so many results per value of a payload field.
        payloads: of all candidates.
    """

    def __init__(self, limits: Mapping[str, int], payloads: Sequence[Payload]) -> None:
        self._limits = limits
        self._keys = [list(_keys(limits, payload)) for payload in payloads] if limits else []
        self._rows: dict[Key, list[int]] = defaultdict(list)
        for row, keys in enumerate(self._keys):
            for key in keys:
                self._rows[key].append(row)
        self._taken: Counter[Key] = Counter()

    def take(self, row: int) -> list[int]:
        """Count a chosen candidate, and name those that must not be chosen any more."""
        if not self._limits:
            return []
        full: list[int] = []
        for key in self._keys[row]:
            self._taken[key] += 1
            if self._taken[key] == self._limits[key[0]]:
                full += self._rows[key]
        return full


def values_of(payload: Payload, field: str) -> Sequence[Json]:
    """The values of a field that a cap counts: those of a list, none if it is missing."""
    value = payload.get(field)
    return value if isinstance(value, list) else [] if value is None else [value]


def _keys(limits: Mapping[str, int], payload: Payload) -> Iterator[Key]:
    for field in limits:
        for key in dict.fromkeys(str(one) for one in values_of(payload, field)):
            yield field, key
