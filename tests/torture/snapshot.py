"""Snapshots of a store that changes, and putting them back."""

import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.core.types import ItemId
from engine.store.base import Point
from tests.indexers.catalogs import everything
from tests.store.implementations import open_edge, open_memory, point
from tests.torture.striking import Tell, Told

_ITEMS, _VERSIONS = 300, 6


class Snapshot:
    """The file is whole at every moment, of one version of the catalogue; a restore that was cut short is completed.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "backup" / "items.parquet"
        self._restore = True
        self._kept = 0

    def prepare(self, chance: random.Random) -> None:
        """Change the catalogue some more, or put an older state of it back."""
        self._restore = not self._restore

    def work(self, tell: Tell) -> None:
        """Write versions and take a snapshot of each; or restore the last."""
        store = open_edge(self._folder / "store")
        if self._restore:
            store.delete([ItemId(f"{row}") for row in range(0, _ITEMS, 7)])
            store.upsert([point(f"new {row}", row) for row in range(50)])
            tell("changed")
            store.restore(self._path)
            tell("restored")
        else:
            for _ in range(_VERSIONS):
                version = time.monotonic_ns()
                store.upsert(_points(version))
                tell("written")
                store.snapshot(self._path)
                tell("snapshot", str(version))
        store.close()

    def check(self, told: Sequence[Told]) -> None:
        """The file holds the last version that was acknowledged, or the next one."""
        if self._path.exists():
            memory = open_memory()
            memory.restore(self._path)
            found = everything(memory)
            versions = {int(str(one.payload["version"])) for one in found.values()}
            assert len(found) == _ITEMS and len(versions) == 1, "half of one version and half of another"
            (version,) = versions
            acknowledged = [int(one.names[0]) for one in told if one.step == "snapshot"]
            assert max(acknowledged, default=self._kept) <= version
            self._kept = version
        store = open_edge(self._folder / "store")
        if self._path.exists():
            store.restore(self._path)
            _assert_same(everything(store), {one.id: one for one in _points(self._kept)})
        store.snapshot(self._path)
        store.close()
        assert [*self._path.parent.iterdir()] == [self._path], "what was begun is left"


def _points(version: int) -> list[Point]:
    return [point(f"{row}", version + row, payload={"version": version}) for row in range(_ITEMS)]


def _assert_same(have: dict[ItemId, Point], want: dict[ItemId, Point]) -> None:
    assert have.keys() == want.keys()
    for item, one in want.items():
        assert have[item].payload["version"] == one.payload["version"]
        assert have[item].vectors.keys() == one.vectors.keys()
        for modality, vector in one.vectors.items():
            np.testing.assert_allclose(have[item].vectors[modality], vector, atol=1e-5)
