"""What the catalogue's fields hold, for filters to choose from: their kinds, and the values met most often."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from engine.core.filters import FieldKind
from engine.store.base import VectorStore
from engine.store.match import values
from engine.studio.kept import Kept

SAMPLE = 4096
"""Items that are looked at, at the most."""
VALUES = 50
"""Values that are told of a field, at the most."""
CHARACTERS = 200
"""Of a value; longer ones are not told."""

_PAGE = 1024
_COUNTED = (FieldKind.KEYWORD, FieldKind.BOOL)
_ORDERED = (FieldKind.INTEGER, FieldKind.FLOAT, FieldKind.DATETIME)


@dataclass(frozen=True, slots=True)
class Facet:
    """A field that can be filtered on, as far as the sample tells."""

    field: str
    kind: FieldKind
    items: int
    """Items of the sample that have a value."""
    distinct: int
    """Different values in the sample."""
    values: tuple[tuple[str | bool, int], ...]
    """Of keywords and truth values those met most often, with their counts, most first."""
    least: float | None = None
    """Of numbers and times (seconds since 1970)."""
    most: float | None = None


class Facets:
    """Looks at the catalogue, and remembers for a while what it saw; any number of threads may ask.

    Args:
        store: the catalogue.
        keep_seconds: how long an answer is taken for true.
    """

    def __init__(self, store: VectorStore, keep_seconds: float = 30.0) -> None:
        self._store = store
        self._kept: Kept[tuple[tuple[Facet, ...], int]] = Kept(keep_seconds)

    def read(self) -> tuple[tuple[Facet, ...], int]:
        """The fields that can be filtered on and have values, and how many items were looked at."""
        return self._kept.get(self._look)

    def _look(self) -> tuple[tuple[Facet, ...], int]:
        schema = {name: kind for name, kind in self._store.schema.items() if not name.startswith("_")}
        found: dict[str, list[Any]] = {name: [] for name in schema}
        items: Counter[str] = Counter()
        seen, cursor = 0, None
        while seen < SAMPLE:
            page = self._store.scroll(cursor=cursor, limit=min(_PAGE, SAMPLE - seen))
            for point in page.points:
                for name in schema:
                    held = list(values(point.payload, name, schema))
                    items[name] += bool(held)
                    found[name] += held
            seen += len(page.points)
            cursor = page.next_cursor
            if cursor is None:
                break
        facets = (_facet(name, kind, items[name], found[name]) for name, kind in schema.items())
        return tuple(facet for facet in facets if facet.items), seen


def _facet(name: str, kind: FieldKind, items: int, held: list[Any]) -> Facet:
    if kind in _COUNTED:
        counts = Counter(held)
        short = [(value, count) for value, count in counts.most_common() if len(str(value)) <= CHARACTERS]
        return Facet(name, kind, items, len(counts), tuple(short[:VALUES]))
    if kind in _ORDERED and held:
        return Facet(name, kind, items, len(set(held)), (), float(min(held)), float(max(held)))
    return Facet(name, kind, items, 0, ())
