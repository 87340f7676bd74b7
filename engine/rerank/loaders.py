"""What loads the versions of each kind of model: Triveni's own, and those of other distributions."""

from collections.abc import Callable
from pathlib import Path

from engine.core.plugins import Plugins
from engine.models.card import ModelCard
from engine.query.models import ServedModel
from engine.rerank.version import KIND
from engine.store.base import VectorStore

MODELS: Plugins[Callable[[Path, ModelCard, VectorStore], ServedModel]] = Plugins(
    "triveni.models", "kind of model", {KIND: "engine.rerank.served:load_model"}
)
"""By the kind that a card says."""


def load(kind: str, store: VectorStore, folder: Path, card: ModelCard) -> ServedModel:
    """Load a version from its folder, whose files were compared with their checksums.

    Raises:
        PluginError: if the distribution that adds the kind is broken.
    """
    model = MODELS.load(kind)(folder, card, store)
    if not isinstance(model, ServedModel):
        raise MODELS.broken(kind, f"makes a {type(model).__name__}, which is no ServedModel")
    return model
