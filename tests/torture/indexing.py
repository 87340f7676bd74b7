"""Bulk indexing of a catalogue that changes from round to round, with the search graphs at its end."""

import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.core.types import ItemId
from engine.store import edge
from engine.store.base import Point
from engine.store.edge import EdgeStore
from indexers.catalog import Catalog
from indexers.pipeline import index
from tests.indexers.catalogs import assert_same, everything, mixed_rows, plain, write_jsonl
from tests.tiny import make_png, tiny_space
from tests.torture.striking import Tell, Told

_ITEMS = 56


class Telling(EdgeStore):
    """Tells what it has acknowledged."""

    tell: Tell

    def upsert(self, points: Sequence[Point]) -> None:
        super().upsert(points)
        self.tell("written", *(point.id for point in points))


class Indexing:
    """The store ends as if nothing had happened: compared point by point with what each row makes by itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: list[dict[str, Any]] = mixed_rows(folder, _ITEMS)
        self._round = 0

    def prepare(self, chance: random.Random) -> None:
        """Change some items, take some out and put others back; now and then begin with an empty store."""
        self._round += 1
        if chance.random() < 0.3:
            shutil.rmtree(self._folder / "store", ignore_errors=True)
        for row in chance.sample(self._rows, _ITEMS // 3):
            row["price"] = self._round
            if "text" in row and chance.random() < 0.7:
                row["text"] = f"{row['id']} of round {self._round}"
            if "image" in row and chance.random() < 0.3:
                make_png(self._folder / row["image"], chance.randrange(1 << 20))
        gone = {row["id"] for row in chance.sample(self._rows, _ITEMS // 6)}
        broken = {"id": "broken", "image": "media/none.png"}
        write_jsonl(self._catalog, [*(row for row in self._rows if row["id"] not in gone), broken])

    def work(self, tell: Tell) -> None:
        """Index it, and build the search graphs."""
        edge.GRAPH_FROM_BYTES = 1
        store = self._open(Telling)
        store.tell = tell
        index(Catalog(self._catalog), store, tiny_space(), batch=4, prune=True, dead_letters=self._letters)
        tell("indexed")
        store.optimize()
        tell("optimized")
        store.close()

    def check(self, told: Sequence[Told]) -> None:
        """What was acknowledged is there; another run completes the rest."""
        store, catalog = self._open(EdgeStore), Catalog(self._catalog)
        want, have = plain(catalog, tiny_space()), everything(store)
        written = {ItemId(name) for one in told if one.step == "written" for name in one.names}
        assert_same({item: have[item] for item in written}, {item: want[item] for item in written})
        report = index(catalog, store, tiny_space(), batch=4, prune=True, dead_letters=self._letters)
        assert_same(everything(store), want)
        assert store.count() == len(want) == report.stored
        assert self._letters.read_text().count("\n") == 1
        store.close()
        assert len([*(self._folder / "store").glob("*shard*")]) == 1, "an unfinished search graph is left"

    @property
    def _catalog(self) -> Path:
        return self._folder / "items.jsonl"

    @property
    def _letters(self) -> Path:
        return self._folder / "dead.jsonl"

    def _open(self, kind: type[EdgeStore]) -> Any:
        space = tiny_space()
        return kind(
            self._folder / "store",
            fingerprint=space.fingerprint,
            dimension=space.dimension,
            modalities=space.modalities,
            optimize_after=0,
        )
