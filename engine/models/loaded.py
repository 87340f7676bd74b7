"""The versions of the model that are loaded, each closed when the last request that uses it has ended."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import structlog

from encoders.errors import TriveniError
from engine.core.types import ItemId
from engine.models.card import ModelCard
from engine.models.errors import CheckpointError
from engine.models.registry import Registry
from engine.query.models import ServedModel
from engine.query.refcounted import RefCounted

Loader = Callable[[Path, ModelCard], ServedModel]
"""Loads the version in a folder, whose files were compared with their checksums. It may take seconds: requests are
answered by the version before meanwhile."""


class LoadedModels:
    """Loads versions, and lets go of them. One thread at a time loads and drops; any number may `get`.

    Args:
        registry: the versions.
        loaders: by the kind that a card says, what loads it.
        fingerprint: the space that versions have to be of.
    """

    def __init__(self, registry: Registry, loaders: Mapping[str, Loader], fingerprint: str) -> None:
        self._registry, self._loaders, self._fingerprint = registry, loaders, fingerprint
        self._log = structlog.get_logger("triveni.models")
        self._held: dict[str, RefCounted] = {}

    def get(self, version: str) -> RefCounted | None:
        """A version, if it is loaded."""
        return self._held.get(version)

    def load(self, version: str) -> RefCounted:
        """A version that is loaded already, or is now.

        Raises:
            NotFoundError: if there is no such version.
            CheckpointError: if it cannot be loaded.
        """
        if version in self._held:
            return self._held[version]
        folder, card = self._registry.verified(version, self._fingerprint)
        loader = self._loaders.get(card.kind)
        if loader is None:
            known = ", ".join(sorted(self._loaders)) or "none"
            raise CheckpointError(
                f"model version {version} is of kind {card.kind!r}, this release loads {known}",
                "serve with the release that trained it, or train again",
            )
        try:
            model = loader(folder, card)
        except TriveniError:
            raise
        except Exception as error:
            raise CheckpointError(
                f"model version {version} cannot be loaded ({type(error).__name__}: {error})", "train it again"
            ) from error
        held = self._held[version] = RefCounted(model, self._log)
        return held

    def drop(self, keep: Collection[str]) -> None:
        """Let go of all versions but these."""
        for version in self._held.keys() - set(keep):
            self._held.pop(version).retire()

    def changed(self, ids: Sequence[ItemId]) -> None:
        """Tell the models that items were written or deleted."""
        for held in tuple(self._held.values()):
            try:
                held.model.changed(ids)
            except Exception as error:  # noqa: BLE001 (the items are written, and what is remembered ages)
                self._log.error("model not told of changes", version=held.model.version, exc_info=error)
