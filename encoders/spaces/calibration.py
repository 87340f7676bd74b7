"""Bringing a modality into a shared space through text: ridge heads, and the calibration between modalities.

The pivot: pictures with captions and sounds with captions never need to meet. Each is mapped to the vector of
its caption, and so to each other.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np
import numpy.typing as npt

from encoders.encoder import Passages, prepare_passages
from encoders.errors import SpaceError
from encoders.spaces.space import LOWEST_WEIGHT, PairCalibration, unit
from encoders.types import Content, Floats, Modality, Prepared, Rows

MIN_PAIRS = 20
"""Fewer pairs than this fit no head and measure no calibration."""

_LAMBDAS = tuple(10.0**exponent for exponent in range(-4, 4))
"""Tried ridge penalties, in units of the features' mean variance."""

Mask = npt.NDArray[np.bool_]


class FeatureExtractor(Protocol):
    """An encoder before its head: contents of one modality → features of a space of its own."""

    @property
    def modality(self) -> Modality:
        """The modality that it takes."""

    @property
    def identity(self) -> dict[str, str]:
        """What decides the features: name, revision, checksum of the weights."""

    def prepare(self, content: Content) -> Prepared:
        """Decode a content; raises ContentError."""

    def features(self, batch: Sequence[Prepared]) -> Floats:
        """Run the network: float32 (n, f)."""


class Head(Protocol):
    """A fitted map from features to the shared space."""

    @property
    def dimension(self) -> int:
        """The dimension of the shared space."""

    @property
    def checksum(self) -> str:
        """Hex digits over all of its numbers."""

    def __call__(self, features: Floats) -> Floats:
        """Features float32 (n, f) → unit vectors float32 (n, d)."""


@dataclass(frozen=True, slots=True, eq=False)
class RidgeHead:
    """A linear map into the shared space, centred: vector = unit((features - offset) @ weight)."""

    offset: Floats
    """(f,): the mean of the features it was fitted on."""
    weight: Floats
    """(f, d)."""

    def __call__(self, features: Floats) -> Floats:
        """Features float32 (n, f) → unit vectors float32 (n, d)."""
        return unit(np.asarray((features - self.offset) @ self.weight, np.float32))

    @property
    def dimension(self) -> int:
        """The dimension of the shared space."""
        return int(self.weight.shape[1])

    @property
    def checksum(self) -> str:
        """32 hex digits over offset and weight."""
        return checksum_of(self.offset, self.weight)


@dataclass(frozen=True, slots=True, eq=False)
class RidgeFit:
    """A fitted head, and how it did on pairs that it had not seen."""

    head: RidgeHead
    """Fitted on all pairs."""
    held_out: Floats
    """Unit vectors (k, d) of the held-out pairs, by a head that was fitted without them."""
    metrics: dict[str, float]
    """pairs, held_out, lambda; on the held-out pairs: mrr, recall_at_1, recall_at_10, cosine."""


class HeadEncoder:
    """A feature extractor and its head: an `Encoder` of the shared space."""

    def __init__(self, extractor: FeatureExtractor, head: Head) -> None:
        self.extractor = extractor
        self.head = head

    @property
    def modality(self) -> Modality:
        """The modality that the extractor takes."""
        return self.extractor.modality

    @property
    def dimension(self) -> int:
        """The dimension of the shared space."""
        return self.head.dimension

    @property
    def identity(self) -> dict[str, str]:
        """The extractor's identity and the checksum of the head."""
        return {**self.extractor.identity, "head": self.head.checksum}

    def prepare(self, content: Content) -> Prepared:
        """Decode a content; see `Encoder.prepare`."""
        return self.extractor.prepare(content)

    def prepare_passages(self, content: Content, most: int) -> Passages:
        """Split what the extractor cannot read as one; see `encoders.encoder.PreparesPassages`."""
        return prepare_passages(self.extractor, content, most)

    def forward(self, batch: Sequence[Prepared]) -> Floats:
        """Unit vectors, float32 (n, dimension)."""
        if not batch:
            return np.empty((0, self.dimension), np.float32)
        return self.head(self.extractor.features(batch))


def checksum_of(*arrays: Floats) -> str:
    """32 hex digits over shapes, dtypes and values of arrays."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def fit_ridge(features: Floats, targets: Floats, held_out: Mask) -> RidgeFit:
    """Fit a head by ridge regression; the penalty is the one that ranks the held-out pairs best.

    Of penalties that rank alike, the one whose vectors are nearest to the texts is taken.

    Args:
        features: float32 (n, f), one row per pair.
        targets: unit vectors (n, d): the text of each pair in the shared space. They are centred here.
        held_out: bool (n,), true for the pairs that choose the penalty.

    Returns:
        The head, its vectors of the held-out pairs, and its metrics on them.

    Raises:
        SpaceError: if there are fewer than `MIN_PAIRS` pairs, or none on one side of `held_out`.
    """
    if len(features) < MIN_PAIRS or held_out.all() or not held_out.any():
        raise SpaceError(
            f"a head needs {MIN_PAIRS} pairs, some held out: {len(features)} pairs, {int(held_out.sum())} held out",
            "give a larger captioned set",
        )
    x, y = features.astype(np.float64), targets.astype(np.float64)
    wanted = unit(np.asarray(targets - targets[~held_out].mean(axis=0), np.float32))[held_out]
    best: tuple[tuple[float, float], float, Floats] | None = None
    for penalty, head in _ridge_path(x[~held_out], y[~held_out], _LAMBDAS):
        vectors = head(features[held_out])
        score = round(retrieval_metrics(vectors, wanted)["mrr"], 3), _mean_cosine(vectors, wanted)
        if best is None or score > best[0]:
            best = score, penalty, vectors
    if best is None:  # pragma: no cover (there is always a penalty to try)
        raise SpaceError("no ridge penalty was tried")
    _, penalty, vectors = best
    metrics = {
        "pairs": float(len(x)),
        "held_out": float(held_out.sum()),
        "lambda": penalty,
        **retrieval_metrics(vectors, wanted),
        "cosine": _mean_cosine(vectors, wanted),
    }
    ((_, head),) = _ridge_path(x, y, (penalty,))
    return RidgeFit(head, vectors, {name: round(value, 6) for name, value in metrics.items()})


def _ridge_path(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], penalties: Sequence[float]
) -> list[tuple[float, RidgeHead]]:
    """Ridge solutions for several penalties from one eigendecomposition of the (f, f) covariance."""
    offset = x.mean(axis=0)
    centred = x - offset
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x))  # (f,), (f, f)
    values = np.maximum(values, 0)
    scale = float(values.mean()) or 1.0
    rotated = vectors.T @ (centred.T @ (y - y.mean(axis=0)) / len(x))  # (f, d)
    heads = []
    for penalty in penalties:
        weight = vectors @ (rotated / (values + penalty * scale)[:, None])
        heads.append((penalty, RidgeHead(offset.astype(np.float32), weight.astype(np.float32))))
    return heads


def _mean_cosine(vectors: Floats, wanted: Floats) -> float:
    return float(np.mean(np.sum(vectors * wanted, axis=1)))


def retrieval_metrics(queries: Floats, items: Floats) -> dict[str, float]:
    """How well each query (k, d) finds the item of its own row (k, d) among all: mrr, recall_at_1, recall_at_10."""
    scores = queries @ items.T
    own = np.diagonal(scores)[:, None]
    # Half of the ties stand before: constant vectors must not look perfect.
    ranks = 1 + (scores > own).sum(axis=1) + ((scores == own).sum(axis=1) - 1) / 2
    return {
        "mrr": float(np.mean(1 / ranks)),
        "recall_at_1": float(np.mean(ranks <= 1)),
        "recall_at_10": float(np.mean(ranks <= 10)),
    }


def measure_calibration(
    vectors: Mapping[Modality, Floats], rows: Mapping[Modality, Rows]
) -> dict[tuple[Modality, Modality], PairCalibration]:
    """Measure how cosines of every ordered pair of modalities are to be read.

    Contents of one example are related, those of different examples are not. Within one modality, where no
    example has two contents, the related one is the nearest by what the other modalities say.

    Args:
        vectors: per modality, unit vectors (n, d) of held-out contents.
        rows: per modality, the number of each vector's example, (n,), without repeats.

    Returns:
        One calibration for each ordered pair of the modalities, (query, item).

    Raises:
        SpaceError: if two modalities share fewer than `MIN_PAIRS` examples.
    """
    return {(q, i): _measure(q, i, vectors, rows) for q, i in product(vectors, vectors)}


def _measure(
    query: Modality, item: Modality, vectors: Mapping[Modality, Floats], rows: Mapping[Modality, Rows]
) -> PairCalibration:
    shared, left, right = np.intersect1d(rows[query], rows[item], assume_unique=True, return_indices=True)
    if len(shared) < MIN_PAIRS:
        raise SpaceError(
            f"calibration of {query} with {item} needs {MIN_PAIRS} held-out examples, {len(shared)} have both",
            "give a larger captioned set",
        )
    cosines = vectors[query][left] @ vectors[item][right].T  # (k, k)
    related = np.eye(len(shared), dtype=bool)
    unrelated = ~related
    if query == item:
        related = _nearest_elsewhere(query, shared, left, vectors, rows)
        unrelated &= ~related
    mean, std = float(cosines[unrelated].mean()), max(float(cosines[unrelated].std()), 1e-6)
    weight = max(float((cosines[related].mean() - mean) / std), LOWEST_WEIGHT)
    return PairCalibration(round(mean, 6), round(std, 6), round(weight, 6))


def _nearest_elsewhere(
    modality: Modality, shared: Rows, own: Rows, vectors: Mapping[Modality, Floats], rows: Mapping[Modality, Rows]
) -> Mask:
    """For each of (k,) examples the nearest other one in the other modalities, as a mask (k, k)."""
    total, seen = np.zeros((len(shared), len(shared)), np.float32), False
    for other in vectors:
        if other == modality:
            continue
        both, here, there = np.intersect1d(shared, rows[other], assume_unique=True, return_indices=True)
        if len(both) > 1:
            total[np.ix_(here, here)] += vectors[other][there] @ vectors[other][there].T
            seen = True
    if not seen:
        total = vectors[modality][own] @ vectors[modality][own].T
    np.fill_diagonal(total, -np.inf)
    mask = np.zeros(total.shape, bool)
    mask[np.arange(len(shared)), total.argmax(axis=1)] = True
    return mask
