"""What is remembered of items: read once, again after a while or a change, and never one item's for another's."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from encoders.types import Modality
from engine.core.types import ItemId
from engine.rerank import itemcache
from engine.rerank.fields import FieldScales
from engine.rerank.itemcache import MAX_AGE, ItemCache
from engine.store.base import Point
from engine.store.memory import MemoryStore

SCALES = FieldScales({}, {"price": (0.0, 1.0)})


class Counting(MemoryStore):
    """Remembers which items were read from it."""

    def __init__(self) -> None:
        super().__init__(fingerprint="f", dimension=2, modalities=(Modality.TEXT,))
        self.read: list[ItemId] = []

    def retrieve(self, ids: Sequence[ItemId], **options: bool) -> list[Point | None]:
        self.read += ids
        return super().retrieve(ids, **options)


def put(store: MemoryStore, **prices: float) -> None:
    vector = {Modality.TEXT: np.array([1, 0], np.float32)}
    store.upsert([Point(ItemId(name), vector, {"price": price}) for name, price in prices.items()])


def prices(cache: ItemCache, *names: str) -> list[float]:
    rows = cache.rows([ItemId(name) for name in names])
    return [float(price) for price in cache.fields(rows).numbers["price"]]


def test_items_are_read_once_and_again_after_a_while_or_a_change() -> None:
    store, now = Counting(), [0.0]
    put(store, a=1, b=2)
    cache = ItemCache(store, SCALES, {}, np.zeros(0, np.intp), lambda: now[0])
    assert prices(cache, "a", "b", "a") == [1, 2, 1]
    put(store, a=3, b=4)
    assert prices(cache, "a", "b") == [1, 2]
    cache.forget([ItemId("a"), ItemId("never asked for")])
    assert prices(cache, "a", "b") == [3, 2]
    assert store.read == ["a", "b", "a"]
    assert cache.uses == (3, 3)
    store.delete([ItemId("a")])
    cache.forget([ItemId("a")])
    assert np.isnan(prices(cache, "a")[0])
    now[0] = MAX_AGE + 1
    assert prices(cache, "b") == [4]


def test_no_item_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row -1 is no item, also where all rows of the columns are taken."""
    monkeypatch.setattr(itemcache, "_CHUNK", 2)
    store = Counting()
    vector = {Modality.TEXT: np.array([1, 0], np.float32)}
    own = {"price": 3.0, "group": "g", "_indexed_at": "2026-01-01T00:00:00Z"}
    store.upsert([Point(ItemId(name), vector, own) for name in "ab"])
    scales = FieldScales({"group": ("g",)}, {"price": (0.0, 1.0)})
    cache = ItemCache(store, scales, {ItemId("a"): 0, ItemId("b"): 1}, np.array([1, 2]))
    rows = np.array([-1, cache.rows([ItemId("a"), ItemId("b")])[1]])
    fields = cache.fields(rows)
    assert fields.categories["group"].tolist() == [[0.0], [1.0]]
    assert np.isnan(fields.numbers["price"]).tolist() == np.isnan(cache.since(rows)).tolist() == [True, False]
    assert (cache.count_rows(rows).tolist(), cache.identity(rows).tolist()) == ([-1, 1], [0, 2])


def test_a_full_cache_gives_the_oldest_rows_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(itemcache, "MAX_ITEMS", 5)
    store = Counting()
    named = {f"i{row}": float(row) for row in range(20)}
    put(store, **named)
    cache = ItemCache(store, SCALES, {}, np.zeros(0, np.intp))
    random = np.random.default_rng(0)
    for _ in range(200):  # a request may ask for an item whose row is given away by that very request
        asked = random.choice(list(named), 4, replace=False).tolist()
        assert prices(cache, *asked) == [named[name] for name in asked]
    assert len(cache._rows) == 5


def test_many_ask_while_items_change() -> None:
    """Whoever asks after a change was told sees what was written, also if others were just reading the item."""
    store = MemoryStore(fingerprint="f", dimension=2, modalities=(Modality.TEXT,))
    put(store, a=0)
    cache = ItemCache(store, SCALES, {}, np.zeros(0, np.intp))
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            prices(cache, "a")

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        try:
            for price in range(1, 200):
                put(store, a=price)
                cache.forget([ItemId("a")])
                assert prices(cache, "a") == [price]
        finally:
            done.set()
        for one in asking:
            one.result(10)
