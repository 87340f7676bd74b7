"""A shared space: the encoders whose vectors may meet, the calibration between them, and its fingerprint."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from encoders.encoder import Encoder, Passages, prepare_passages
from encoders.errors import SpaceError, VectorError
from encoders.types import WHOLE, Content, Floats, Modality, Prepared, by_modality

LOWEST_WEIGHT = 0.05
"""Least trust in a pair of modalities, so that an item that has no better one can still be found."""


@dataclass(frozen=True, slots=True)
class PairCalibration:
    """How cosines between two modalities are to be read.

    In every shared space the modalities lie in separate cones (Liang et al., "Mind the Gap", NeurIPS 2022),
    so that cosines of different pairs of modalities are not comparable. `z` makes them so.
    """

    mean: float
    """Mean cosine of unrelated contents."""
    std: float
    """Standard deviation of the cosine of unrelated contents."""
    weight: float
    """Mean z of related contents (d'): how much this pair of modalities can be trusted."""

    def z(self, cosine: Floats) -> Floats:
        """Standard deviations above the cosine of unrelated contents; any shape."""
        return (cosine - np.float32(self.mean)) / np.float32(self.std)


Calibration = Mapping[tuple[Modality, Modality], PairCalibration]
"""Keyed by (modality of the query, modality of the item)."""


@dataclass(frozen=True)
class SpaceManifest:
    """All that decides a space's vectors and scores, as plain data."""

    name: str
    dimension: int
    encoders: Mapping[Modality, Mapping[str, str]]
    calibration: Calibration

    def to_json(self) -> str:
        """The manifest as canonical JSON: sorted keys, calibration keyed "query->item"."""
        document = {
            "name": self.name,
            "dimension": self.dimension,
            "encoders": {str(m): dict(identity) for m, identity in self.encoders.items()},
            "calibration": {f"{q}->{i}": asdict(pair) for (q, i), pair in self.calibration.items()},
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"))

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits over the whole manifest. It is stamped on collections, checkpoints and responses."""
        return hashlib.blake2b(self.to_json().encode(), digest_size=16).hexdigest()


class Space:
    """The encoders of one shared space.

    Args:
        name: the setting that chose it, such as "starter".
        encoders: one encoder per modality, all of one dimension.
        calibration: for every ordered pair of the modalities.
    """

    def __init__(self, name: str, encoders: Mapping[Modality, Encoder], calibration: Calibration) -> None:
        dimensions = {encoder.dimension for encoder in encoders.values()}
        if len(dimensions) != 1:
            raise SpaceError(f"encoders of space {name} have dimensions {sorted(dimensions)}", "fit heads to one")
        missing = [f"{q}->{i}" for q in encoders for i in encoders if (q, i) not in calibration]
        if missing:
            raise SpaceError(f"space {name} has no calibration for {', '.join(missing)}", "rebuild the space")
        self._encoders = dict(encoders)
        self.manifest = SpaceManifest(
            name, dimensions.pop(), {m: e.identity for m, e in encoders.items()}, dict(calibration)
        )

    @property
    def dimension(self) -> int:
        """The dimension of every vector."""
        return self.manifest.dimension

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the manifest."""
        return self.manifest.fingerprint

    @property
    def calibration(self) -> Calibration:
        """How cosines are to be read, per (modality of the query, modality of the item)."""
        return self.manifest.calibration

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that the space has an encoder for."""
        return tuple(self._encoders)

    def encoder(self, modality: Modality) -> Encoder:
        """The encoder of a modality.

        Raises:
            SpaceError: if the space has none.
        """
        try:
            return self._encoders[modality]
        except KeyError:
            have = ", ".join(self._encoders)
            raise SpaceError(f"space {self.manifest.name} has no {modality} encoder, only {have}") from None

    def prepare(self, content: Content) -> Prepared:
        """Decode one content; see `Encoder.prepare`."""
        return self.encoder(content.modality).prepare(content)

    def prepare_passages(self, content: Content, most: int) -> Passages:
        """Decode one content; a long one is split into at most so many passages. See `PreparesPassages`."""
        if most < 2:
            return {WHOLE: self.prepare(content)}
        return prepare_passages(self.encoder(content.modality), content, most)

    def forward(self, batch: Sequence[Prepared]) -> Floats:
        """Encode prepared contents of any mix of modalities: unit vectors, float32 (n, dimension)."""
        vectors = np.empty((len(batch), self.dimension), np.float32)
        for modality, rows in by_modality([prepared.modality for prepared in batch]).items():
            vectors[rows] = self.encoder(modality).forward([batch[row] for row in rows])
        return vectors

    def encode(self, contents: Sequence[Content]) -> Floats:
        """Decode and encode contents of any mix of modalities, in one batch per modality.

        Returns:
            Unit vectors, float32 (n, dimension).

        Raises:
            ContentError: for the first content that cannot be read.
        """
        return self.forward([self.prepare(content) for content in contents])


def unit(vectors: Floats) -> Floats:
    """Scale each row of (n, d) to length 1.

    Raises:
        VectorError: if a row holds NaN or infinity, or is zero.
    """
    vectors = np.asarray(vectors, np.float32)
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not np.all(np.isfinite(norms)) or np.any(norms == 0):
        raise VectorError("vector holds NaN or infinity, or is all zeros", "send finite, non-zero numbers")
    return np.asarray(vectors / norms, np.float32)
