"""Texts → sentence features: MiniLM (Wang et al., NeurIPS 2020) as sentence-transformers trained it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from encoders.decoding.decode import decode_text
from encoders.decoding.limits import DEFAULT_LIMITS, DecodeLimits
from encoders.networks.known import MINILM, ModelSpec
from encoders.networks.network import Network
from encoders.networks.weights import find_weights
from encoders.types import Content, Floats, Modality, Prepared

_CELLS = 4096
"""Tokens of one run of the network, padding included."""


class SentenceEncoder:
    """MiniLM: the first 256 tokens of a text → 384 numbers.

    Args:
        cache: folder of translated networks.
        limits: bounds on what is decoded.
        device: "auto", "cpu" or a torch device.
        threads: threads of ONNX Runtime, None for one per core.
        source: where the weights are; see `find_weights`.

    Raises:
        WeightsError: if the weights are missing or altered.
    """

    spec: ModelSpec = MINILM

    def __init__(
        self,
        cache: Path,
        limits: DecodeLimits = DEFAULT_LIMITS,
        device: str = "auto",
        threads: int | None = None,
        source: str | None = None,
    ) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer

        folder = find_weights(self.spec, source)
        self._limits = limits
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(int(self.spec.input["max_tokens"]))
        self._network = Network(self.spec, folder, cache, device, threads)

    @property
    def modality(self) -> Modality:
        """Text."""
        return Modality.TEXT

    @property
    def identity(self) -> dict[str, str]:
        """Name, revision, licence, and the checksums of the weights."""
        return self.spec.identity

    def prepare(self, content: Content) -> Prepared:
        """Check and tokenize a text: token ids, int64 (t,), t ≤ 256.

        Raises:
            ContentError: if it is blank, malformed or over a limit.
        """
        text = decode_text(content, self._limits)
        return Prepared(Modality.TEXT, np.array(self._tokenizer.encode(text).ids, np.int64))

    def features(self, batch: Sequence[Prepared]) -> Floats:
        """Unit vectors, float32 (n, 384)."""
        vectors = np.empty((len(batch), self.spec.dimension), np.float32)
        for rows in _by_length([len(prepared.value) for prepared in batch]):
            longest = len(batch[rows[-1]].value)
            ids = np.zeros((len(rows), longest), np.int64)
            mask = np.zeros((len(rows), longest), np.int64)
            for place, row in enumerate(rows):
                tokens = batch[row].value
                ids[place, : len(tokens)] = tokens
                mask[place, : len(tokens)] = 1
            vectors[rows] = self._network(ids=ids, mask=mask)[0]
        return vectors


def _by_length(lengths: Sequence[int]) -> list[list[int]]:
    """Rows in batches of like length, shortest first, each of at most `_CELLS` tokens with its padding."""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if (
            batches
            and (len(batches[-1]) + 1) * lengths[row] <= _CELLS
            and lengths[row] <= 2 * lengths[batches[-1][0]]
        ):
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches
