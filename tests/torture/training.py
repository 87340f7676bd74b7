"""A training from the recorded events to a version in the registry."""

import random
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import torch

from engine import opening
from engine.catalog.items import read_items, save_items
from engine.config.settings import Settings
from engine.core.types import ItemId
from engine.events.settings import EventSettings
from engine.learn.jobs import job
from engine.learn.settings import LearnSettings
from engine.learn.window import TimeWindow
from engine.models.registry import Registry
from engine.models.settings import ModelSettings
from engine.rerank.version import load_version
from engine.store.base import Point
from engine.store.memory import MemoryStore
from tests.learn.logs import START, crowd
from tests.tiny import CONCEPTS, concept_space, concept_text
from tests.torture.striking import Tell, Told, strike

_LEARN = LearnSettings(epochs=3, tower_epochs=1, width=16, steps=5, compiled=False)
_ITEMS = 40


class Training:
    """No version is half there; a training that was killed goes on, and ends with the weights of an undisturbed one.

    Args:
        folder: an empty one.
        users: people to learn from.
    """

    def __init__(self, folder: Path, users: int = 20) -> None:
        self._folder, self._users = folder, users
        self._round = 0
        self._whole: dict[str, torch.Tensor] = {}
        space = concept_space()
        store = MemoryStore(fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities)
        texts = [concept_text(CONCEPTS[row % len(CONCEPTS)], row) for row in range(_ITEMS)]
        vectors = space.encode(texts)
        store.upsert(
            [Point(ItemId(f"i{row}"), {texts[row].modality: vectors[row]}, {}) for row in range(_ITEMS)]  # type: ignore[dict-item]
        )
        save_items(read_items(store), folder / "items.npz")
        events = opening.open_events(self._settings)
        events.record(crowd(users, _ITEMS))
        events.close()

    def prepare(self, chance: random.Random) -> None:
        """A registry of its own, so that the training is not held against another."""
        self._round += 1

    def work(self, tell: Tell) -> None:
        """Train with the same seed as ever."""
        opening.open_space = lambda settings, limits=None: concept_space()
        job.git_commit = lambda _: "the same code"  # who commits meanwhile would have it begin anew
        torch.set_num_threads(1)
        last = ""

        def progress(part: float, stage: str) -> None:
            nonlocal last
            if stage != last:
                tell(stage)
            last = stage

        window = TimeWindow(None, START + timedelta(days=365))
        card = job.train_version(self._settings, self._folder / "items.npz", progress, lambda: False, window, 1)
        tell("version", card.version)

    def check(self, told: Sequence[Told]) -> None:
        """What is listed is whole, and the rest of the training makes the same."""
        made = {name for one in told for name in one.names}
        self._look(made)
        if not made:
            rest = strike(self, None)
            assert not rest.killed
            made = {name for one in rest.told for name in one.names}
            done, again = (_epochs(heard) for heard in (told, rest.told))
            assert not [epoch for epoch in again if epoch < max(done, default=0)], f"{again} came again after {done}"
        registry = self._look(made)
        for name in made:
            weights = load_version(registry.path / name).network.state_dict()
            self._whole = self._whole or weights
            assert all(torch.equal(weights[part], value) for part, value in self._whole.items()), "other weights"

    def _look(self, wanted: set[str]) -> Registry:
        registry = opening.registry(self._settings)
        cards, wrong = registry.scan()
        assert not wrong, wrong
        assert wanted <= {card.version for card in cards}
        for card in cards:
            registry.verified(card.version, concept_space().fingerprint)
        return registry

    @property
    def _settings(self) -> Settings:
        return Settings(
            events=EventSettings(url=f"sqlite:///{self._folder / 'events.db'}"),
            learn=_LEARN,
            models=ModelSettings(path=self._folder / f"models-{self._round}", min_cases=5),
        )


def _epochs(told: Sequence[Told]) -> list[int]:
    """The epochs of the network that began."""
    return [int(one.step.split()[1]) for one in told if one.step.startswith("epoch")]
