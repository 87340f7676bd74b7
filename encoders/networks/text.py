"""Texts → sentence features: a BERT whose states are averaged."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from encoders.decoding.decode import decode_text
from encoders.decoding.limits import DEFAULT_LIMITS, DecodeLimits
from encoders.networks.known import MINILM, ModelSpec
from encoders.networks.network import Network
from encoders.networks.tokens import tokenizer_of
from encoders.networks.weights import find_weights
from encoders.types import Content, Floats, Modality, Prepared

_CELLS = 4096
"""Tokens of one run of the network, padding included."""


class SentenceEncoder:
    """A sentence network: the first tokens of a text → a vector.

    Args:
        cache: folder of translated networks.
        limits: bounds on what is decoded.
        device: "auto", "cpu" or a torch device.
        threads: threads of ONNX Runtime, None for one per core.
        source: where the weights are; see `find_weights`.
        spec: the network.

    Raises:
        WeightsError: if the weights are missing or altered.
    """

    def __init__(
        self,
        cache: Path,
        limits: DecodeLimits = DEFAULT_LIMITS,
        device: str = "auto",
        threads: int | None = None,
        source: str | None = None,
        spec: ModelSpec = MINILM,
    ) -> None:
        self.spec = spec
        folder = find_weights(self.spec, source)
        self._limits = limits
        self._tokenize = tokenizer_of(self.spec, folder)
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
        """Check and tokenize a text: token ids, int64 (t,), t ≤ `max_tokens` of the network.

        Raises:
            ContentError: if it is blank, malformed or over a limit.
        """
        return Prepared(Modality.TEXT, self._tokenize(decode_text(content, self._limits)))

    def features(self, batch: Sequence[Prepared]) -> Floats:
        """Float32 (n, dimension of the network); see `encoders.networks.sentences`."""
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


class JointEncoder:
    """Several sentence networks over one text: their features side by side.

    Args:
        encoders: in the order of their features.
    """

    def __init__(self, encoders: Sequence[SentenceEncoder]) -> None:
        self.encoders = tuple(encoders)

    @property
    def modality(self) -> Modality:
        """Text."""
        return Modality.TEXT

    @property
    def identity(self) -> dict[str, str]:
        """Names, revisions, licences and checksums of the networks, with " + " between them."""
        several = [encoder.identity for encoder in self.encoders]
        return {key: " + ".join(identity[key] for identity in several) for key in several[0]}

    def prepare(self, content: Content) -> Prepared:
        """Check a text and tokenize it for each network.

        Raises:
            ContentError: if it is blank, malformed or over a limit.
        """
        return Prepared(Modality.TEXT, tuple(encoder.prepare(content) for encoder in self.encoders))

    def features(self, batch: Sequence[Prepared]) -> Floats:
        """Float32 (n, the sum of the networks' dimensions)."""
        found = [
            encoder.features([prepared.value[place] for prepared in batch])
            for place, encoder in enumerate(self.encoders)
        ]
        return np.concatenate(found, axis=1)


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
