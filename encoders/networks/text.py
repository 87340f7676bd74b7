"""Texts → sentence features, by one network or several."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from encoders.decoding.decode import decode_text
from encoders.decoding.limits import DEFAULT_LIMITS, DecodeLimits
from encoders.encoder import Passages, Prepares
from encoders.networks.known import MINILM, ModelSpec
from encoders.networks.network import Network
from encoders.networks.passages import Size, passages
from encoders.networks.tokens import cut, tokenizer_of
from encoders.networks.weights import find_weights
from encoders.types import WHOLE, Content, Floats, Ints, Modality, Prepared, Text

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
        self.limit = int(spec.input["max_tokens"])
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
        return self._cut(self._tokenize(decode_text(content, self._limits)))

    def prepare_passages(self, content: Content, most: int) -> Passages:
        """Split a text of more than `limit` tokens; see `encoders.encoder.PreparesPassages`."""
        tokens = self._tokenize(decode_text(content, self._limits))
        if len(tokens) <= self.limit:
            return {WHOLE: self._cut(tokens)}
        return split(self, content, self.size, self.limit, most)

    def size(self, text: str) -> int:
        """Tokens of a text, with those of its begin and end."""
        return len(self._tokenize(text))

    def _cut(self, tokens: Ints) -> Prepared:
        return Prepared(Modality.TEXT, cut(tokens, self.limit))

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
        self.limit = min(encoder.limit for encoder in encoders)

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

    def prepare_passages(self, content: Content, most: int) -> Passages:
        """Split a text that is too long for one of the networks; see `encoders.encoder.PreparesPassages`."""
        whole = self.prepare(content)
        if all(len(one.value) < encoder.limit for one, encoder in zip(whole.value, self.encoders, strict=True)):
            return {WHOLE: whole}
        return split(self, content, self.size, self.limit, most)

    def size(self, text: str) -> int:
        """Tokens of a text for the network that it fills most, of `limit`."""
        return max(math.ceil(encoder.size(text) * self.limit / encoder.limit) for encoder in self.encoders)

    def features(self, batch: Sequence[Prepared]) -> Floats:
        """Float32 (n, the sum of the networks' dimensions)."""
        found = [
            encoder.features([prepared.value[place] for prepared in batch])
            for place, encoder in enumerate(self.encoders)
        ]
        return np.concatenate(found, axis=1)


def split(encoder: Prepares, content: Content, size: Size, limit: int, most: int) -> Passages:
    """Prepare each passage of a text that has more tokens than `limit`; see `encoders.networks.passages`."""
    text = content.text if isinstance(content, Text) else ""
    spans = passages(text, size, limit, most)
    if len(spans) < 2:
        return {WHOLE: encoder.prepare(content)}
    return {(start, stop): encoder.prepare(Text(text[start:stop])) for start, stop in spans}


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
