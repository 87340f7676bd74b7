"""Heads: from the features of a network to vectors of the starter space, through text.

A picture or sound is placed at Σ p(class) · text(class), its classifier's classes read as texts (ConSE, Norouzi et
al., ICLR 2014). Pictures get a second opinion: kernel ridge regression from features to the texts of captioned
drawings. Each counts for as much as it is sure: the sum over classes is short where they have little in common, the
regression where nothing that was drawn looks like the picture. All of it is numpy, float32.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.spaces.calibration import checksum_of
from encoders.spaces.drawings import KernelRidge
from encoders.spaces.space import unit
from encoders.types import Floats

Tensors = Mapping[str, npt.NDArray[np.generic]]
"""What is stored of a head, by name."""


@dataclass(frozen=True, slots=True, eq=False)
class TextHead:
    """Centres and half-whitens sentence vectors: unit((v - mean) @ weight).

    Sentence vectors share a large mean and a few strong directions that say little of the content (Mu and
    Viswanath, "All-but-the-Top", ICLR 2018); a mild whitening takes them down.
    """

    mean: Floats
    """(f,): the mean of many texts."""
    weight: Floats
    """(f, d)."""

    @property
    def dimension(self) -> int:
        """The dimension of the shared space."""
        return int(self.weight.shape[1])

    @property
    def checksum(self) -> str:
        """32 hex digits over mean and weight."""
        return checksum_of(self.mean, self.weight)

    def __call__(self, features: Floats) -> Floats:
        """Sentence vectors float32 (n, f) → unit vectors float32 (n, d)."""
        return _safe_unit((features - self.mean) @ self.weight)

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """What is stored."""
        return {"mean": self.mean, "weight": self.weight.astype(np.float16)}

    @classmethod
    def from_tensors(cls, tensors: Tensors) -> "TextHead":
        """The head that `tensors` stored."""
        return cls(_float(tensors["mean"]), _float(tensors["weight"]))


@dataclass(frozen=True, slots=True, eq=False)
class ClassTexts:
    """ConSE: the classes of a classifier, placed in the space as texts."""

    vectors: Floats
    """(c, d): one unit vector per class."""
    mean: Floats
    """(d,): the mean placement of many contents, taken off so that contents spread around the origin."""

    def __call__(self, shares: Floats) -> Floats:
        """Shares of classes (n, c), each row summing to 1 → vectors (n, d), the longer the surer."""
        return np.asarray(shares @ self.vectors - self.mean, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class ImageHead:
    """Places a picture by its ImageNet classes and by the captions of drawings that look like it."""

    classes: ClassTexts
    drawings: KernelRidge
    mean: Floats
    """(d,): the mean of many pictures, taken off at the end."""
    temperature: float
    """Of the softmax over classes."""
    top: int
    """Classes that count."""
    class_factor: float
    """What the vector of the classes is taken times before that of the drawings is added."""

    @property
    def dimension(self) -> int:
        """The dimension of the shared space."""
        return int(self.mean.shape[0])

    @property
    def checksum(self) -> str:
        """32 hex digits over all tensors and settings."""
        settings = np.array([self.temperature, self.top, self.class_factor, self.drawings.width], np.float32)
        return checksum_of(settings, *(_float(tensor) for _, tensor in sorted(self.tensors().items())))

    def __call__(self, features: Floats) -> Floats:
        """Pooled features and logits float32 (n, 1280 + 1000) → unit vectors float32 (n, d)."""
        pooled, logits = np.split(features, [self.drawings.step.shape[0]], axis=1)
        by_class = self.classes(softmax_top(logits, self.temperature, self.top))
        return _safe_unit(_safe_unit(self.class_factor * by_class + self.drawings(pooled)) - self.mean)

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """What is stored."""
        support = self.drawings.support
        return {
            "classes": self.classes.vectors.astype(np.float16),
            "class_mean": self.classes.mean,
            "support": (support[:, ::2] << 4) | support[:, 1::2],  # two levels in a byte
            "step": self.drawings.step,
            "coefficients": self.drawings.coefficients,
            "scale": self.drawings.scale,
            "mean": self.mean,
        }

    @classmethod
    def from_tensors(cls, tensors: Tensors, settings: Mapping[str, float]) -> "ImageHead":
        """The head that `tensors` stored, with the settings of its card."""
        packed = np.asarray(tensors["support"], np.uint8)
        support = np.empty((packed.shape[0], packed.shape[1] * 2), np.uint8)
        support[:, ::2], support[:, 1::2] = packed >> 4, packed & 15
        drawings = KernelRidge(
            support,
            _float(tensors["step"]),
            np.asarray(tensors["coefficients"], np.int8),
            _float(tensors["scale"]),
            settings["width"],
        )
        classes = ClassTexts(_float(tensors["classes"]), _float(tensors["class_mean"]))
        return cls(
            classes,
            drawings,
            _float(tensors["mean"]),
            settings["temperature"],
            int(settings["top"]),
            settings["class_factor"],
        )


@dataclass(frozen=True, slots=True, eq=False)
class AudioHead:
    """Places a sound by its AudioSet classes, common ones such as "Music" counting for less."""

    classes: ClassTexts
    prior: Floats
    """(521,): the mean probability of each class over many sounds."""
    prior_power: float
    """Probabilities are divided by prior ** prior_power."""

    @property
    def dimension(self) -> int:
        """The dimension of the shared space."""
        return int(self.classes.mean.shape[0])

    @property
    def checksum(self) -> str:
        """32 hex digits over all tensors and settings."""
        settings = np.array([self.prior_power], np.float32)
        return checksum_of(settings, *(_float(tensor) for _, tensor in sorted(self.tensors().items())))

    def __call__(self, features: Floats) -> Floats:
        """Pooled features and probabilities float32 (n, 1024 + 521) → unit vectors float32 (n, d)."""
        return _safe_unit(self.classes(self.shares(features[:, -len(self.prior) :], self.prior, self.prior_power)))

    @staticmethod
    def shares(probabilities: Floats, prior: Floats, power: float) -> Floats:
        """Probabilities (n, c) → shares (n, c) that sum to 1."""
        shares = np.maximum(probabilities, 1e-9) / prior**power
        return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """What is stored."""
        return {
            "classes": self.classes.vectors.astype(np.float16),
            "class_mean": self.classes.mean,
            "prior": self.prior,
        }

    @classmethod
    def from_tensors(cls, tensors: Tensors, settings: Mapping[str, float]) -> "AudioHead":
        """The head that `tensors` stored, with the settings of its card."""
        classes = ClassTexts(_float(tensors["classes"]), _float(tensors["class_mean"]))
        return cls(classes, _float(tensors["prior"]), settings["prior_power"])


def softmax_top(logits: Floats, temperature: float, top: int) -> Floats:
    """Softmax of logits (n, c) over each row's `top` largest; the others get 0."""
    scaled = np.exp((logits - logits.max(axis=1, keepdims=True)) / np.float32(temperature))
    if top < logits.shape[1]:
        least = np.partition(scaled, -top, axis=1)[:, -top][:, None]
        scaled = np.where(scaled >= least, scaled, 0)
    return np.asarray(scaled / scaled.sum(axis=1, keepdims=True), np.float32)


def _safe_unit(vectors: npt.NDArray[np.floating]) -> Floats:
    """Unit vectors (n, d); a vector of zeros, which no real content gives, becomes the first axis."""
    vectors = np.array(vectors, np.float32)
    vectors[np.linalg.norm(vectors, axis=1) < 1e-12, 0] = 1.0
    return unit(vectors)


def _float(tensor: npt.NDArray[np.generic]) -> Floats:
    return np.asarray(tensor, np.float32)
