"""The cross-attention reranker.

    history:     tokens ── vectors per modality, projected; id; kind; gap; value ──▶ Transformer layers ──▶ memory
    candidates:  vectors per modality, projected; id; dense features ──▶ attend to the memory ──▶ attend to each
                 other once ──▶ a logit per outcome, beside a linear path from the dense features

The history is encoded once per request, however many candidates there are. Candidates see each other once, so the
model is listwise (Pang et al., SetRank, SIGIR 2020). Ids are dropped at random in training, so that items without one
are ranked by what they are (Volkovs et al., DropoutNet, NIPS 2017).

Shapes: b requests, h tokens, c candidates, r rows of the table that the batch uses, m modalities, d width.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from engine.rerank.table import GAPS, KINDS, MAX_TOKENS

OUTCOMES = ("positive", "negative")
"""What may follow when an item is shown: a click, like, purchase or rating; a dislike or skip."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The shape of the network; part of a version's card."""

    modalities: tuple[str, ...]
    dimension: int
    """Of the space's vectors."""
    items: int
    """Items with an id of their own."""
    dense: int
    """Dense features of a candidate."""
    width: int
    history_layers: int
    candidate_layers: int
    """Layers in which the candidates see each other; 0 ranks each for itself."""
    dropout: float
    id_dropout: float
    """How often an item's id is left out in training."""
    heads: int = 4
    kinds: int = len(KINDS)
    """Of events; see `TokenKinds`."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests as tensors."""

    vectors: Tensor
    """(r, m, dimension) float32."""
    present: Tensor
    """(r, m) bool."""
    token_rows: Tensor
    """(b, h) int64, into the r rows."""
    token_ids: Tensor
    """(b, h) int64, 0 for an item without an id."""
    kinds: Tensor
    """(b, h) int64."""
    gaps: Tensor
    """(b, h) int64."""
    values: Tensor
    """(b, h) float32, 0 where none."""
    tokens: Tensor
    """(b, h) bool: which tokens there are."""
    candidate_rows: Tensor
    """(b, c) int64, into the r rows."""
    candidate_ids: Tensor
    """(b, c) int64."""
    dense: Tensor
    """(b, c, f) float32."""
    candidates: Tensor
    """(b, c) bool: which candidates there are."""


class Items(nn.Module):
    """Rows of the table become vectors of width d: the modalities that a row has, projected and averaged."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Linear(config.dimension, config.width) for _ in config.modalities)
        self.missing = nn.Parameter(torch.zeros(config.width))

    def forward(self, vectors: Tensor, present: Tensor) -> Tensor:
        """(r, m, dimension), (r, m) → (r, d)."""
        projected = torch.stack([p(vectors[:, i]) for i, p in enumerate(self.projections)], 1)  # (r, m, d)
        kept = projected.masked_fill(~present[..., None], 0.0)
        count = present.sum(1, keepdim=True)  # (r, 1)
        return torch.where(count > 0, kept.sum(1) / count.clamp(min=1), self.missing)


class KindEmbedding(nn.Embedding):
    """A vector for each kind of events, and behind them zeros, which say nothing, for a kind that is not known."""

    def forward(self, kinds: Tensor) -> Tensor:
        """(b, h) → (b, h, d)."""
        return F.embedding(kinds, F.pad(self.weight, (0, 0, 0, 1)))


class CrossAttentionReranker(nn.Module):
    """Requests → logits (b, c, outcomes)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config, d = config, config.width
        self.items = Items(config)
        self.identity = nn.Embedding(config.items + 1, d, padding_idx=0)
        self.kind = KindEmbedding(config.kinds, d)
        self.gap = nn.Embedding(GAPS, d)
        self.position = nn.Embedding(MAX_TOKENS, d)
        self.value = nn.Linear(1, d, bias=False)
        self.nobody = nn.Parameter(torch.zeros(1, 1, d))  # something to attend to where there is no history
        self.history = nn.ModuleList(_layer(config) for _ in range(config.history_layers))
        self.memory_norm = nn.LayerNorm(d)

        self.dense_mean = nn.Buffer(torch.zeros(config.dense))
        self.dense_scale = nn.Buffer(torch.ones(config.dense))
        self.features = nn.Sequential(
            nn.Linear(config.dense, 2 * d), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(2 * d, d)
        )
        self.cross_norm = nn.LayerNorm(d)
        self.cross = nn.MultiheadAttention(d, config.heads, config.dropout, batch_first=True)
        self.listwise = nn.ModuleList(_layer(config) for _ in range(config.candidate_layers))
        self.head = nn.Sequential(
            nn.LayerNorm(d), nn.Linear(d, d), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(d, len(OUTCOMES))
        )
        self.wide = nn.Linear(config.dense, len(OUTCOMES))
        for table in (self.identity, self.kind, self.gap, self.position):
            nn.init.normal_(table.weight, std=0.02)
        with torch.no_grad():
            self.identity.weight[0].zero_()

    def forward(self, batch: Batch) -> Tensor:
        """(b, c, outcomes): logits."""
        items = self.items(batch.vectors, batch.present)  # (r, d)
        memory, padding = self.encode(batch, items)  # (b, 1 + h, d), (b, 1 + h)

        dense = (batch.dense - self.dense_mean) / self.dense_scale  # (b, c, f)
        x = (
            self.features(dense) + F.embedding(batch.candidate_rows, items) + self._ids(batch.candidate_ids)
        )  # (b, c, d)
        attended, _ = self.cross(self.cross_norm(x), memory, memory, key_padding_mask=padding, need_weights=False)
        x = x + attended  # (b, c, d)
        for layer in self.listwise:
            x = layer(x, src_key_padding_mask=~batch.candidates)  # (b, c, d)
        logits: Tensor = self.head(x) + self.wide(dense)  # (b, c, outcomes)
        return logits

    def encode(self, batch: Batch, items: Tensor) -> tuple[Tensor, Tensor]:
        """(b, 1 + h, d): the history, behind a token for nobody; (b, 1 + h): where there is none of it."""
        size, length = batch.token_rows.shape
        position = torch.arange(length, device=items.device).flip(0)  # the newest token has position 0
        x = (
            F.embedding(batch.token_rows, items)
            + self._ids(batch.token_ids)
            + self.kind(batch.kinds)
            + self.gap(batch.gaps)
            + self.value(batch.values[..., None])
            + self.position(position)
        )  # (b, h, d)
        x = torch.cat([self.nobody.expand(size, 1, -1), x], 1)  # (b, 1 + h, d)
        padding = torch.cat([torch.zeros_like(batch.tokens[:, :1]), ~batch.tokens], 1)  # (b, 1 + h)
        for layer in self.history:
            x = layer(x, src_key_padding_mask=padding)
        return self.memory_norm(x), padding

    def _ids(self, known: Tensor) -> Tensor:
        """(b, k) → (b, k, d): the id embeddings, dropped at random in training."""
        if self.training and self.config.id_dropout:
            dropped = torch.rand(known.shape, device=known.device) < self.config.id_dropout
            known = known.masked_fill(dropped, 0)
        found: Tensor = self.identity(known)
        return found


def _layer(config: ModelConfig) -> nn.TransformerEncoderLayer:
    """A pre-norm Transformer layer."""
    return nn.TransformerEncoderLayer(
        config.width,
        config.heads,
        2 * config.width,
        config.dropout,
        activation="gelu",
        batch_first=True,
        norm_first=True,
    )
