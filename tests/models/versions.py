"""A small but real model: its weights are one direction of the space, and items that lie in it come first."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from encoders.errors import TriveniError
from encoders.spaces.space import Space
from encoders.types import Floats, Text
from engine.core.types import Candidates, EventKind, ItemId, Query
from engine.models.card import CardDraft, ModelCard
from engine.models.registry import Registry
from engine.query.models import Contribution
from engine.query.resolve import QuerySignals
from engine.rerank.features import feature_names
from engine.rerank.fields import FieldScales
from engine.rerank.model import CrossAttentionReranker, ModelConfig
from engine.rerank.served import LearnedModel
from engine.rerank.statistics import Sequences, count
from engine.rerank.table import KINDS, STANDARD_TOKENS, TokenKinds
from engine.rerank.version import Utility, Version
from engine.store.base import VectorStore
from tests.tiny import concept_space

KIND = "direction"
FILE = "model.safetensors"


class Direction:
    """Scores by the cosine with the direction, in the modality where it is largest."""

    def __init__(self, model: "DirectionModel", weights: Floats, tier: str = "full", seconds: float = 0.0) -> None:
        self._model, self._weights = model, weights
        self.version, self.tier, self.seconds = model.version, tier, seconds

    def rerank(self, query: Query, signals: QuerySignals, candidates: Candidates) -> Candidates:
        assert not self._model.closed, "used after it was closed"
        columns = [
            np.where(candidates.present[m], candidates.vectors[m] @ self._weights, -1.0) for m in candidates.vectors
        ]
        return Candidates(
            candidates.ids,
            np.max(columns, axis=0).astype(np.float32),
            candidates.vectors,
            candidates.present,
            candidates.payloads,
        )


class DirectionModel:
    """One tier."""

    def __init__(self, version: str, fingerprint: str, weights: Floats) -> None:
        self.version, self.fingerprint = version, fingerprint
        self._closed = threading.Event()
        self.told: list[ItemId] = []
        self.contribution = Contribution((Direction(self, weights),))

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    def contribute(self, query: Query, signals: QuerySignals, exclude: Sequence[ItemId]) -> Contribution:
        return self.contribution

    def changed(self, ids: Sequence[ItemId]) -> None:
        self.told += ids

    def close(self) -> None:
        assert not self.closed, "closed twice"
        self._closed.set()


def load_direction(folder: Path, card: ModelCard) -> DirectionModel:
    return DirectionModel(card.version, card.fingerprint, load_file(folder / FILE)["direction"])


def weights_of(concept: str, space: Space) -> Floats:
    found = space.encode([Text(concept)])[0]
    assert not isinstance(found, TriveniError)
    return np.asarray(found, np.float32)


def write_direction(concept: str, space: Space | None = None):
    """Writes the files of a version that likes a concept."""
    return lambda folder: save_file({"direction": weights_of(concept, space or concept_space())}, folder / FILE)


def draft(**said: object) -> CardDraft:
    return CardDraft(**{"kind": KIND, "fingerprint": concept_space().fingerprint, **said})  # type: ignore[arg-type]


def make(registry: Registry, concept: str, version: str = "", **said: object) -> ModelCard:
    """A version that puts items of a concept first."""
    return registry.create(draft(**said), write_direction(concept), version=version)


LOADERS = {KIND: load_direction}


def load_untaught(folder: Path, card: ModelCard, store: VectorStore) -> LearnedModel:
    """A version that `untaught` makes, loaded."""
    return LearnedModel(untaught(store), card.version, card.fingerprint, store)


def untaught(store: VectorStore, *declared: str) -> Version:
    """The real reranker over the items of a store with the payload field `price`, its weights drawn at random.

    It knows the standard kinds of events, and behind them those that are declared.
    """
    tokens = TokenKinds((*KINDS, *declared), STANDARD_TOKENS.negative)
    items = tuple(point.id for point in store.scroll(limit=256).points)
    scales = FieldScales({}, {"price": (5.0, 2.0)})
    features = feature_names(store.modalities, scales)
    shape = ModelConfig(
        tuple(store.modalities), store.dimension, 0, len(features), width=8,
        history_layers=1, candidate_layers=1, dropout=0.0, id_dropout=0.0, kinds=len(tokens.names),
    )  # fmt: skip
    torch.manual_seed(0)
    network = CrossAttentionReranker(shape)
    for weights in network.parameters():  # parts begin with zeros, which would hide what they are given
        torch.nn.init.normal_(weights, std=0.3)
    counts = count(Sequences((np.arange(len(items)),), (np.arange(len(items), dtype=np.float64),)), len(items))
    return Version(
        network.eval(),
        counts,
        items,
        np.zeros(len(items), np.bool_),
        scales,
        Utility(1.0, -1.0, 0.0),
        ((1.0, 0.0), (1.0, 0.0)),
        frozenset({EventKind.LIKE}),
        {},
        features,
        token_kinds=tokens,
    )
