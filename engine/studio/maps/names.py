"""What the items of a map are called and coloured by, read from the catalogue as it is now."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.catalog.ingest import TEXT, own_fields
from engine.core.filters import FieldKind, Schema
from engine.core.types import ItemId, Payload
from engine.store.base import VectorStore
from engine.store.match import values
from engine.studio.kept import Kept
from engine.studio.maps.file import BITS, Map

COLOURS = 12
"""Values of a field that get a colour of their own; the rest is grey."""
NAMED = 40
"""Clusters that get a name, the largest."""
TYPICAL = 0.5
"""A value names a cluster if it is of at least this share of its items."""

OTHER = 255
"""The category of what has none."""
MODALITY = "modality"
"""What else than a field can colour: an item's sound, else its picture, else its text."""

_WORD = re.compile(r"[^\W\d_]{3,}")
_KEEP_SECONDS = 60.0
_PAGE = 1024


@dataclass(frozen=True, slots=True)
class Words:
    """What m items say of themselves."""

    titles: tuple[str, ...]
    fields: dict[str, tuple[str, ...]]
    """By keyword field the first value of each item, "" for none."""


@dataclass(frozen=True, slots=True)
class Colouring:
    """What colours the points."""

    legend: tuple[tuple[str, int], ...]
    """Values and how many items have them; the first is category 0."""
    categories: npt.NDArray[np.uint8]
    """(m,): indexes of the legend, or `OTHER`."""


class Naming:
    """Reads the words of a map's items, and remembers them for a while.

    Args:
        store: the catalogue.
    """

    def __init__(self, store: VectorStore) -> None:
        self._store = store
        self._kept: Kept[Words] = Kept(_KEEP_SECONDS)

    def words(self, made: Map, version: int) -> Words:
        """The words of a map's items, at most a minute old."""
        return self._kept.get(lambda: _words(self._store, made), version)


def title_of(item_id: str, payload: Payload) -> str:
    """What an item is called: its title or name, how its text begins, or its id."""
    told = [payload.get("title"), payload.get("name"), payload.get(TEXT)]
    return next((one.strip()[:200] for one in told if isinstance(one, str) and one.strip()), item_id)


def colour(made: Map, words: Words, by: str) -> Colouring:
    """The category of each item.

    Args:
        made: the map.
        words: of its items.
        by: `MODALITY`, or one of the fields of the words.
    """
    if by == MODALITY:
        kinds = list(BITS)
        highest = np.select([made.has & BITS[kind] > 0 for kind in reversed(kinds)], [2, 1, 0], OTHER)
        counts = np.bincount(highest, minlength=OTHER)
        return Colouring(
            tuple((str(kind), int(counts[at])) for at, kind in enumerate(kinds)), highest.astype(np.uint8)
        )
    held = words.fields[by]
    most = Counter(value for value in held if value).most_common(COLOURS)
    rank = {value: at for at, (value, _) in enumerate(most)}
    return Colouring(tuple(most), np.fromiter((rank.get(value, OTHER) for value in held), np.uint8, len(held)))


def named(made: Map, words: Words) -> Iterator[tuple[str, float, float, float, int]]:
    """The largest clusters: what each is called, its middle, how far it reaches, and its items."""
    everything = {field: Counter(held) for field, held in words.fields.items()}
    given: set[str] = set()
    all_words = Counter(word for title in words.titles for word in _split(title))
    for cluster in range(min(NAMED, int(made.clusters.max(initial=-1)) + 1)):
        rows = np.flatnonzero(made.clusters == cluster)
        x, y = np.median(made.positions[rows], axis=0).tolist()
        listed = rows.tolist()
        typical, common = _typical(listed, words.fields, everything), _common(listed, words.titles, all_words)
        name = (common or typical) if typical in given else (typical or common)
        if name:
            given.add(name)
            reach = float(np.quantile(np.abs(made.positions[rows] - (x, y)).max(axis=1), 0.9))
            yield name, x, y, reach, len(rows)


def _words(store: VectorStore, made: Map) -> Words:
    schema: Schema = {
        name: kind for name, kind in store.schema.items() if kind is FieldKind.KEYWORD and not name.startswith("_")
    }
    titles = list(made.ids)
    fields = {name: [""] * len(titles) for name in schema}
    cursor: str | None = None
    while True:
        page = store.scroll(cursor=cursor, limit=_PAGE)
        for point in page.points:
            row = made.row_of.get(point.id)
            if row is None:
                continue
            titles[row] = title_of(point.id, point.payload)
            for name in schema:
                fields[name][row] = next(
                    (str(value) for value in values(own_fields(point.payload), name, schema)), ""
                )
        if (cursor := page.next_cursor) is None:
            return Words(tuple(titles), {name: tuple(held) for name, held in fields.items() if any(held)})


def _typical(rows: Sequence[int], fields: dict[str, tuple[str, ...]], everything: dict[str, Counter[str]]) -> str:
    """The value that most of a cluster has and few others have; "" if there is none."""
    best, name = 0.0, ""
    for field, held in fields.items():
        value, count = Counter(held[row] for row in rows).most_common(1)[0]
        share = count / len(rows)
        worth = share * math.log(share * len(held) / everything[field][value]) if value and share >= TYPICAL else 0.0
        if worth > best:
            best, name = worth, value
    return name


def _common(rows: Sequence[int], titles: Sequence[str], everything: Counter[str]) -> str:
    """The two words that a cluster's titles have more often than others."""
    here = Counter(word for row in rows for word in _split(titles[row]))
    share = len(rows) / max(len(titles), 1)
    worth = {word: count * math.log(count / (everything[word] * share)) for word, count in here.items() if count > 1}
    best = sorted((word for word, value in worth.items() if value > 0), key=lambda word: -worth[word])
    return ", ".join(best[:2])


def _split(title: str) -> set[str]:
    return set(_WORD.findall(title.lower()))


def titles_of(store: VectorStore, made: Map, rows: Sequence[int]) -> list[tuple[int, ItemId, str]]:
    """The row, id and title of some items; those that are gone are left out."""
    ids = [ItemId(made.ids[row]) for row in rows]
    found = zip(rows, store.retrieve(ids, with_vectors=False, once=True), strict=True)
    return [(row, point.id, title_of(point.id, point.payload)) for row, point in found if point is not None]
