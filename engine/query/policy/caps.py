"""A cap on how many items may share a value of a payload field."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from engine.core.filters import And, AnyOf, FieldKind, Filter, Not, Scalar, Schema
from engine.core.types import Json, Payload

_MATCHED = {FieldKind.KEYWORD: str, FieldKind.INTEGER: int, FieldKind.BOOL: bool}
"""The kinds of fields whose values a filter can leave out."""


class Caps:
    """Counts the values of items. A list counts for each of its values; a missing value for none.

    Args:
        limits: at most so many items per value of a payload field.
        schema: the fields that can be filtered on: items of their full values need not be read again.
    """

    def __init__(self, limits: Mapping[str, int], schema: Schema | None = None) -> None:
        self.limits = limits
        """At most so many items per value of a field."""
        self._schema = schema or {}
        self._taken: Counter[tuple[str, str]] = Counter()
        self._full: dict[str, dict[Scalar, None]] = {}

    def keys_of(self, payload: Payload) -> dict[tuple[str, str], Json]:
        """The values of an item that count, by field and name."""
        return {(field, str(value)): value for field in self.limits for value in _values_of(payload, field)}

    def fits(self, payload: Payload) -> bool:
        """Whether there is room for all values of an item."""
        return all(self._taken[key] < self.limits[key[0]] for key in self.keys_of(payload))

    def take(self, payload: Payload) -> list[tuple[str, str]]:
        """Count an item, and name the values that are full now."""
        full = []
        for key, value in self.keys_of(payload).items():
            field = key[0]
            self._taken[key] += 1
            if self._taken[key] == self.limits[field]:
                full.append(key)
                kind = self._schema.get(field)
                if kind is not None and type(value) is _MATCHED.get(kind):
                    self._full.setdefault(field, {})[value] = None  # type: ignore[index]
        return full

    @property
    def full(self) -> int:
        """How many values `narrowed` leaves out by now."""
        return sum(map(len, self._full.values()))

    def narrowed(self, filter_: Filter | None) -> Filter | None:
        """A filter that leaves out the items of full values too."""
        rest: list[Filter] = [Not(AnyOf(field, tuple(values))) for field, values in self._full.items()]
        if not rest:
            return filter_
        return And((*(() if filter_ is None else (filter_,)), *rest))


class CappedRows:
    """Caps over candidates in columns: which of them fall out as others are chosen.

    Args:
        limits: at most so many results per value of a payload field.
        payloads: of all candidates.
    """

    def __init__(self, limits: Mapping[str, int], payloads: Sequence[Payload]) -> None:
        self._caps, self._payloads = Caps(limits), payloads if limits else ()
        self._rows: dict[tuple[str, str], list[int]] = defaultdict(list)
        for row, payload in enumerate(self._payloads):
            for key in self._caps.keys_of(payload):
                self._rows[key].append(row)

    def take(self, row: int) -> list[int]:
        """Count a chosen candidate, and name those that must not be chosen any more."""
        if not self._rows:
            return []
        return [other for key in self._caps.take(self._payloads[row]) for other in self._rows[key]]


def _values_of(payload: Payload, field: str) -> Sequence[Json]:
    value = payload.get(field)
    return value if isinstance(value, list) else [] if value is None else [value]
