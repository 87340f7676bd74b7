"""A small catalogue, queries, and what some people did with it: what the suites run on."""

from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np

from encoders.spaces.space import SpaceManifest, unit
from encoders.types import Modality
from engine.catalog.ingest import INDEXED_AT, rfc3339
from engine.catalog.items import ItemTable, read_items
from engine.core.deadline import Deadline
from engine.core.filters import FieldKind, Match
from engine.core.types import Event, EventKind, ItemId, Json, Query, UserId
from engine.encode.encoding import Encoded, EncodedPassages
from engine.events.types import UserEvent
from engine.learn.log import event_log
from engine.learn.ranker import Split
from engine.learn.splits import leave_last_out
from engine.query.resolve import QuerySignals, resolve
from engine.query.settings import FuseSettings
from engine.store.base import Point, VectorStore
from engine.store.memory import MemoryStore

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MANIFEST = SpaceManifest("small", 8, {Modality.TEXT: {}, Modality.IMAGE: {}}, {})
ITEMS = tuple(ItemId(f"item-{number}") for number in range(24))
COLOURS = ("red", "blue", "green")


class _NoEncoder:
    """For queries without contents."""

    def encode(self, contents: object, deadline: Deadline) -> list[Encoded]:
        raise AssertionError("these queries have no contents")

    def encode_passages(self, contents: object, most: object, deadline: Deadline) -> list[EncodedPassages]:
        raise AssertionError("these queries have no contents")


def small_store(items: tuple[ItemId, ...] = ITEMS) -> MemoryStore:
    """A store of items with a text vector, every third without a picture's, in three colours.

    Their payload has `colour`, `title`, `popularity` and the time of indexing.
    """
    store = MemoryStore(fingerprint=MANIFEST.fingerprint, dimension=8, modalities=tuple(MANIFEST.encoders))
    store.index_fields({"colour": FieldKind.KEYWORD, "popularity": FieldKind.INTEGER, INDEXED_AT: FieldKind.DATETIME})
    random = np.random.default_rng(0)
    points = []
    for number, name in enumerate(items):
        text, image = unit(random.standard_normal((2, 8)).astype(np.float32))
        vectors = {Modality.TEXT: text} if number % 3 == 2 else {Modality.TEXT: text, Modality.IMAGE: image}
        colour = COLOURS[number % 3]
        time = rfc3339(NOW - timedelta(days=len(items) - number))
        own: dict[str, Json] = {
            "colour": colour,
            "title": f"a {colour} thing",
            "popularity": number % 7,
            INDEXED_AT: time,
        }
        points.append(Point(name, vectors, own))
    store.upsert(points)
    return store


def small_queries() -> dict[str, Query]:
    """Queries by what is special about them; none has a content."""
    liked = partial(Event, EventKind.LIKE, time=NOW - timedelta(days=1))
    return {
        "of nobody": Query(limit=5),
        "with a history": Query(history=tuple(liked(item=name) for name in ITEMS[:3]), limit=5, user=UserId("ann")),
        "with an item that is gone": Query(history=(liked(item=ItemId("gone")),), limit=5),
        "with a filter": Query(history=(liked(item=ITEMS[0]),), filter=Match("colour", "red"), limit=1),
        "of pictures": Query(modalities=(Modality.IMAGE,), limit=100),
    }


def signals_of(query: Query, store: VectorStore) -> QuerySignals:
    """What a query of items and events says."""
    return resolve(query, _NoEncoder(), MANIFEST, store, FuseSettings(), NOW, Deadline())


def small_items() -> ItemTable:
    """The items of `small_store` in columns."""
    return read_items(small_store())


def small_split() -> Split:
    """Thirty people who walk through the items of one colour, and their last step to be predicted."""
    random = np.random.default_rng(1)
    events = []
    for user in range(30):
        own = ITEMS[user % 3 :: 3]
        start = int(random.integers(len(own)))
        for step in range(6):
            item = own[(start + step) % len(own)] if random.random() < 0.8 else own[int(random.integers(len(own)))]
            time = NOW - timedelta(days=30 - step, minutes=user)
            events.append(UserEvent(UserId(f"user-{user}"), Event(EventKind.CLICK, item, time=time)))
    return leave_last_out(event_log(events), small_items())
