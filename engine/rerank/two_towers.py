"""The learned query vector: two towers that meet in one space.

    user:    tokens ── contents, id, kind, value, time until the next ──▶ causal Transformer ──▶ user embedding
    item:    contents, id ──▶ item embedding                            score = dot product / temperature

Contents are the vectors of the modalities that an item or upload has, each projected, and averaged; a missing one is
left out. After every token stands the user embedding of that moment, so that one pass trains all steps of a history
(Kang and McAuley, SASRec, ICDM 2018). Ids are dropped at random in training, so that items without one are placed by
what they are (Volkovs et al., DropoutNet, NIPS 2017). Attention knows how far back a token is by a learned bias per
distance (Raffel et al., T5, JMLR 2020), and so a history may begin anywhere.

Shapes: b histories, h tokens, n items, r rows of the table that the batch uses, m modalities, d width, t embedding.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from encoders.types import Bools, Floats, Rows
from engine.rerank.model import KindEmbedding
from engine.rerank.table import GAPS, KINDS, MAX_TOKENS, Table, Tokens
from engine.rerank.tower_collate import Histories, gather, histories

SHAPE, WEIGHTS = "taste.json", "taste.safetensors"
_RENAMED = {
    "taste": "embedding",
    "to_taste": "to_user_embedding",
    "item_to_taste": "to_item_embedding",
    "far": "distance_bias",
}
"""What was called otherwise in versions written before: keys of the shape, modules, and weights of modules."""


@dataclass(frozen=True, slots=True)
class TwoTowerConfig:
    """The shape of the two towers; part of a version's card."""

    modalities: tuple[str, ...]
    dimension: int
    """Of the space's vectors."""
    items: int
    """Items with an id of their own; 0 knows items by their contents alone."""
    embedding: int = 64
    """Of the space that both towers meet in."""
    width: int = 64
    heads: int = 2
    layers: int = 2
    dropout: float = 0.2
    id_dropout: float = 0.3
    """How often an item's id is left out in training; that of the reranker is `learn.id_dropout`."""
    kinds: int = len(KINDS)
    """Of events; see `TokenKinds`."""


class Contents(nn.Module):
    """Rows of the table become vectors of width d: the modalities that a row has, projected and averaged."""

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        m, d = len(config.modalities), config.width
        self.centre = nn.Buffer(torch.zeros(m, config.dimension))  # of the training items, see `fit`
        self.scale = nn.Buffer(torch.ones(m))
        self.projections = nn.ModuleList(nn.Linear(config.dimension, d) for _ in config.modalities)
        self.missing = nn.Parameter(torch.zeros(d))

    def forward(self, vectors: Tensor, present: Tensor) -> Tensor:
        """(r, m, dimension), (r, m) → (r, d)."""
        x = (vectors - self.centre) * self.scale[:, None]  # (r, m, dimension)
        projected = torch.stack([p(x[:, i]) for i, p in enumerate(self.projections)], 1)  # (r, m, d)
        kept = projected.masked_fill(~present[..., None], 0.0)  # (r, m, d)
        count = present.sum(1, keepdim=True)  # (r, 1)
        return torch.where(count > 0, kept.sum(1) / count.clamp(min=1), self.missing)  # (r, d)

    def fit(self, vectors: Tensor, present: Tensor) -> None:
        """Fix what contents are measured from: the mean of each modality, and the deviation from it.

        The vectors of a space lie in a narrow cone; what tells items apart is where they are within it.
        """
        for i in range(present.shape[1]):
            some = vectors[:, i][present[:, i]]  # (k, dimension)
            if len(some) > 1:
                self.centre[i] = some.mean(0)
                self.scale[i] = 1 / (some - some.mean(0)).std().clamp(min=1e-6)


class Layer(nn.Module):
    """A pre-norm causal Transformer layer with a bias per distance."""

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        d = config.width
        self.heads, self.dropout = config.heads, config.dropout
        self.norm = nn.LayerNorm(d)
        self.qkv = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)
        self.distance_bias = nn.Parameter(torch.zeros(config.heads, MAX_TOKENS + 1))
        self.forward_part = nn.Sequential(
            nn.LayerNorm(d), nn.Linear(d, 2 * d), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(2 * d, d)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, h, d) → (b, h, d)."""
        b, h, d = x.shape
        position = torch.arange(h, device=x.device)
        back = position[:, None] - position[None]  # (h, h): how far behind
        bias = self.distance_bias[:, back.clamp(0, MAX_TOKENS)].masked_fill(back < 0, float("-inf"))  # (heads, h, h)
        q, k, v = (
            self.qkv(self.norm(x)).view(b, h, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        )  # each (b, heads, h, -1)
        drop = self.dropout if self.training else 0.0
        seen = F.scaled_dot_product_attention(q, k, v, bias[None].to(q.dtype), drop)  # (b, heads, h, -1)
        x = x + F.dropout(self.out(seen.transpose(1, 2).reshape(b, h, d)), drop)  # (b, h, d)
        return x + F.dropout(self.forward_part(x), drop)  # (b, h, d)


class TwoTowers(nn.Module):
    """Histories and items → unit vectors of one space."""

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        self.config, d = config, config.width
        self.contents = Contents(config)
        self.identity = nn.Embedding(config.items + 1, d, padding_idx=0)  # of both towers
        self.kind = KindEmbedding(config.kinds, d)
        self.wait = nn.Embedding(GAPS, d)
        self.value = nn.Linear(2, d, bias=False)
        self.nobody = nn.Parameter(torch.zeros(1, 1, d))  # where a history begins: all there is of a new person
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.to_user_embedding = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, config.embedding))

        self.item_contents = Contents(config)
        self.to_item_embedding = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, config.embedding))
        self.log_temperature = nn.Parameter(torch.tensor(0.1).log())
        for table in (self.identity, self.kind, self.wait):
            nn.init.normal_(table.weight, std=0.02)
        with torch.no_grad():
            self.identity.weight[0].zero_()

    def user_embeddings(self, batch: Histories) -> Tensor:
        """(b, 1 + h, t): the user embedding before the first token, and after each."""
        x = (
            F.embedding(batch.rows, self.contents(batch.vectors, batch.present))
            + self.identity(self._dropped(batch.ids))
            + self.kind(batch.kinds)
            + self.wait(batch.waits)
            + self.value(batch.values)
        )  # (b, h, d)
        x = F.dropout(x, self.config.dropout if self.training else 0.0)
        x = torch.cat([self.nobody.expand(len(x), 1, -1), x], 1)  # (b, 1 + h, d)
        for layer in self.layers:
            x = layer(x)  # (b, 1 + h, d)
        return F.normalize(self.to_user_embedding(x), dim=-1)  # (b, 1 + h, t)

    def item_embeddings(self, vectors: Tensor, present: Tensor, ids: Tensor) -> Tensor:
        """(n, m, dimension), (n, m), (n,) → (n, t)."""
        x = self.item_contents(vectors, present) + self.identity(self._dropped(ids))  # (n, d)
        return F.normalize(self.to_item_embedding(x), dim=-1)  # (n, t)

    @property
    def temperature(self) -> Tensor:
        """What dot products are divided by."""
        return self.log_temperature.exp().clamp(min=0.01)

    def _dropped(self, ids: Tensor) -> Tensor:
        """Ids, some of them 0 in training."""
        if not self.training or not self.config.id_dropout:
            return ids
        return ids.masked_fill(torch.rand(ids.shape, device=ids.device) < self.config.id_dropout, 0)


class TwoTowerModel:
    """The towers at work, on the CPU.

    Args:
        network: trained.
    """

    def __init__(self, network: TwoTowers) -> None:
        self.network = network.to("cpu").eval()

    @property
    def dimension(self) -> int:
        """t."""
        return self.network.config.embedding

    @property
    def temperature(self) -> float:
        """What dot products of a person and items are divided by."""
        return float(self.network.temperature.detach())

    def user_embedding(self, tokens: Tokens, table: Table) -> Floats:
        """(t,): the user embedding of a history at the moment of the request; of nobody's if it is empty."""
        vector: Floats = self.user_embeddings([tokens], table)[0]
        return vector

    @torch.inference_mode()
    def user_embeddings(self, users: Sequence[Tokens], table: Table, *, batch: int = 256) -> Floats:
        """(b, t): the user embeddings of histories; the newest `MAX_TOKENS` tokens of each count."""
        found = [np.zeros((0, self.dimension), np.float32)]
        for start in range(0, len(users), batch):
            some = histories([one.newest() for one in users[start : start + batch]], table)
            found.append(self.network.user_embeddings(some)[torch.arange(len(some.lengths)), some.lengths].numpy())
        return np.concatenate(found)

    @torch.inference_mode()
    def item_embeddings(
        self, table: Table, rows: Rows | None = None, *, new: bool = False, batch: int = 4096
    ) -> Floats:
        """(n, t): the item embeddings of rows of the table, by default of all.

        Args:
            table: the contents, and the ids that the model knows; id 0 places an item by its contents alone.
            rows: (n,), of the table.
            new: whether all are taken for new, as if none had an id.
            batch: rows at once.
        """
        wanted = np.arange(len(table.identity), dtype=np.intp) if rows is None else rows
        found = [np.zeros((0, self.dimension), np.float32)]
        for start in range(0, len(wanted), batch):
            some = wanted[start : start + batch]
            ids = torch.from_numpy(table.identity[some] * (not new))
            found.append(self.network.item_embeddings(*gather(table, some), ids).numpy())
        return np.concatenate(found)

    def scores(self, items: Floats, user: Floats, known: Bools) -> Floats:
        """(n,): how much a user embedding (t,) speaks for items, by their vectors (n, t); 0 for new ones.

        Of items that training saw, the towers know the contents by heart; what they say of others is not comparable.

        Args:
            items: their embeddings.
            user: the user embedding.
            known: (n,), the items that training saw acted on.
        """
        return np.where(known, np.asarray(items @ user / self.temperature, np.float32), np.float32(0))

    def save(self, folder: Path) -> None:
        """Write `taste.json` and `taste.safetensors` into a folder that is there."""
        shape = {name: value for name, value in asdict(self.network.config).items() if name != "kinds"}
        (folder / SHAPE).write_text(json.dumps(shape), encoding="utf-8")
        save_file(
            {name: value.contiguous().clone() for name, value in self.network.state_dict().items()}, folder / WEIGHTS
        )

    @classmethod
    def load(cls, folder: Path, kinds: int = len(KINDS)) -> "TwoTowerModel":
        """Read what `save` wrote.

        Args:
            folder: where.
            kinds: the kinds of events that it knows.

        Raises:
            Exception: of any kind, if it is something else; whoever loads says which version it is.
        """
        written: dict[str, Any] = json.loads((folder / SHAPE).read_text(encoding="utf-8"))
        shape = {_RENAMED.get(name, name): value for name, value in written.items()}
        network = TwoTowers(TwoTowerConfig(**{**shape, "modalities": tuple(shape["modalities"]), "kinds": kinds}))
        weights = {_new_name(name): value for name, value in load_file(folder / WEIGHTS).items()}
        network.load_state_dict(weights)
        return cls(network)


class TowerScores:
    """Towers laid over the items of a table: what they say of each.

    Args:
        model: the towers.
        table: the contents, and the ids that the model knows.
        known: (m,) bool, the items that its training saw acted on; they are the first rows.
    """

    def __init__(self, model: TwoTowerModel, table: Table, known: Bools) -> None:
        self.model = model
        self._items = model.item_embeddings(table, np.arange(len(known), dtype=np.intp))  # (m, t)
        self._known = known

    def scores(self, user: Floats, withheld: Rows | None = None) -> Floats:
        """(m,): how much a user embedding (t,) speaks for items; 0 for new ones, and for `withheld` ones."""
        found = self.model.scores(self._items, user, self._known)
        if withheld is not None:
            found[withheld] = 0
        return found


def _new_name(weight: str) -> str:
    """The name of a weight, which may be that of a version written before."""
    return ".".join(_RENAMED.get(step, step) for step in weight.split("."))
