"""Versions that are made, promoted and taken back, whose item vectors go into the store meanwhile."""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from structlog.testing import capture_logs

from encoders.types import Modality
from engine.learn.rows.point_in_time import table_of
from engine.models import serving as serving_module
from engine.models.card import CardDraft
from engine.models.registry import Registry
from engine.models.serving import Serving
from engine.rerank.fields import fit_scales
from engine.rerank.loaders import load
from engine.rerank.tower_index import PREFIX, drop_others, vector_name
from engine.rerank.two_towers import TwoTowerConfig, TwoTowerModel, TwoTowers
from engine.rerank.version import KIND, Version, load_version, save_version
from engine.store.base import Point
from engine.store.edge import EdgeStore
from tests.indexers.catalogs import everything
from tests.learn.world import catalogue
from tests.models.versions import untaught
from tests.torture.striking import Tell, Told

ITEMS = catalogue()
FINGERPRINT = "0123456789abcdef" * 2
_STEPS = 5
_SECONDS = 60.0


class Promotion:
    """The pointer names a version that loads, no version is half there, and items and item vectors are whole.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._round = 0
        store = self._open()
        store.upsert(_points())
        store.close()

    def prepare(self, chance: random.Random) -> None:
        """Versions of other names."""
        self._round += 1

    def work(self, tell: Tell) -> None:
        """Make versions and let each serve; every third time go back."""
        store, registry = self._open(), Registry(self._folder / "models")
        serving = self._serving(store, registry)
        serving.start()
        for step in range(_STEPS):
            version = f"v{self._round:03d}-{step}-{time.monotonic_ns()}"
            made = replace(untaught(store), towers=towers(step))
            registry.create(_draft(), partial(_write, made), version=version)
            tell("made", version)
            tell("promoting", version)
            serving.promote(version)
            tell("promoted", version)
            wait_for(lambda: ready(serving))
            tell("item vectors written", version)
            if step % 3 == 2:
                tell("promoting", registry.pointer().previous[-1])
                serving.rollback()
                tell("promoted", serving.version)
            registry.prune(2)
        serving.close()
        store.close()

    def check(self, told: Sequence[Told]) -> None:
        """Look at the registry, then let a new process serve from it."""
        registry = Registry(self._folder / "models")
        cards, wrong = registry.scan()
        assert not wrong, wrong
        for card in cards:
            registry.verified(card.version, FINGERPRINT)
        serves = registry.pointer().serving
        said = [one for one in told if one.step in ("promoting", "promoted")]
        if said:
            promoted = [one.names[0] for one in said if one.step == "promoted"]
            assert serves in {*promoted[-1:], said[-1].names[0]} or not promoted, "a promotion is lost"
        with closing(self._open()) as store:
            with closing(self._serving(store, registry)) as serving:
                self._serve(serving, store, serves)
            self._look(store, serves)
        assert not [*registry.path.glob(".new-*"), *registry.path.glob(".gone-*")], "a half version is left"

    def _serve(self, serving: Serving, store: EdgeStore, serves: str) -> None:
        """The version loads, and its item vectors are completed."""
        with capture_logs() as logs:
            serving.start()
        assert not [line for line in logs if line["log_level"] == "error"], logs
        assert serving.version == serves
        if serves:
            wait_for(lambda: ready(serving))
            _assert_vectors(store, serving.registry, serves)

    def _look(self, store: EdgeStore, serves: str) -> None:
        """The items are there as they were, and nothing of other versions."""
        drop_others(store, {serves})
        assert {name for name in store.vectors if name.startswith(PREFIX)} <= {vector_name(serves)}
        _assert_same(everything(store))

    def _open(self) -> EdgeStore:
        return EdgeStore(
            self._folder / "store",
            fingerprint=FINGERPRINT,
            dimension=16,
            modalities=(Modality.TEXT, Modality.IMAGE),
            optimize_after=0,
        )

    def _serving(self, store: EdgeStore, registry: Registry) -> Serving:
        serving_module.GRACE_SECONDS = 0.02
        loaders = {KIND: partial(load, KIND, store)}
        return Serving(registry, loaders, FINGERPRINT, poll_seconds=0.01, kept=partial(drop_others, store))


def towers(seed: int) -> TwoTowerModel:
    """Towers that nobody trained."""
    torch.manual_seed(seed)
    return TwoTowerModel(TwoTowers(TwoTowerConfig(("text", "image"), 16, items=0, embedding=8, width=16)))


def ready(serving: Serving) -> bool:
    """Whether the item vectors of the version that serves are written."""
    with serving.use("") as lease:
        return lease.model is not None and lease.model.ready  # type: ignore[attr-defined]


def wait_for(true: Callable[[], bool]) -> None:
    """Wait until it is."""
    until = time.monotonic() + _SECONDS
    while not true():
        assert time.monotonic() < until, "item vectors are not written"
        time.sleep(0.005)


def _draft() -> CardDraft:
    return CardDraft(kind=KIND, fingerprint=FINGERPRINT)


def _write(version: Version, folder: Path) -> None:
    save_version(version, folder)


def _points() -> list[Point]:
    return [
        Point(
            item,
            {one: ITEMS.vectors[one][row] for one in ITEMS.vectors if ITEMS.present[one][row]},
            ITEMS.payloads[row],
        )
        for row, item in enumerate(ITEMS.ids)
    ]


def _assert_vectors(store: EdgeStore, registry: Registry, version: str) -> None:
    """Each item has the vector that the towers of its version make."""
    found, there = store.read_vectors(vector_name(version), ITEMS.ids)
    assert there.all()
    table = table_of(ITEMS, fit_scales(ITEMS.payloads, {}), np.zeros(len(ITEMS), np.bool_))
    model = load_version(registry.path / version).towers
    assert model is not None
    want = model.item_embeddings(table, np.arange(len(ITEMS)))
    np.testing.assert_allclose(found, want, atol=1e-4)


def _assert_same(have: dict[str, Point]) -> None:
    want = {point.id: point for point in _points()}
    assert have.keys() == want.keys()
    for item, point in want.items():
        assert dict(point.payload).items() <= dict(have[item].payload).items()
        assert have[item].vectors.keys() == point.vectors.keys()
        for modality, vector in point.vectors.items():
            np.testing.assert_allclose(have[item].vectors[modality], vector, atol=1e-5)
