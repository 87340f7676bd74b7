"""What a picture looks like and a sound sounds like, apart from what it shows: so that a copy is known again.

A classifier's classes say what something shows. Two spoken words are one point to them, and a little noise in the
pauses of a sound moves it far away. A copy keeps what they pass over: which colour is where, which frequencies sound
how loud and how they swing. Such descriptors, standardised and projected at random, get a few axes of the shared
space that texts do not use (`encoders.fitting.starter.fit_text`), and a fixed share of every vector: with a = share,

    cosine of two pictures = (1 - a) cosine by what they show + a cosine by how they look

Cosines with texts, and between pictures and sounds, only shrink by a constant factor, which calibration takes out.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.encoder import Passages
from encoders.networks.audio import FRAMES, Patches
from encoders.networks.known import YAMNET
from encoders.spaces.calibration import HeadEncoder, checksum_of
from encoders.spaces.space import unit
from encoders.types import Content, Floats, Modality, Prepared

CELLS = 13
"""Cells on each side of the grid that a picture is averaged over."""
BANDS = 16
"""Bands of four mel frequencies whose swinging is described."""
SWINGS = 12
"""Swings within a patch: about 1 to 12 a second."""
PICTURE_GROUPS = (CELLS * CELLS, 2 * CELLS * CELLS)
SOUND_GROUPS = (64, 64, SWINGS * BANDS)
"""Sizes of the parts of a descriptor, each of which is scaled as one."""
FLOOR = 0.3
"""What is added to each deviation, in mean deviations of its part: what hardly varies must not count for much."""
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)

Describe = Callable[[Prepared], Floats]
"""A prepared content → its descriptor (p,)."""


def describe_picture(prepared: Prepared) -> Floats:
    """Mean luminance, then mean blue and red beyond it, of each cell of a grid: float32 (507,), 0 to 1 and -1 to 1.

    Args:
        prepared: a picture as `PictureEncoder` prepares it: cut to its content, on a white square.
    """
    pixels = prepared.value
    side = len(pixels) // CELLS
    cells = pixels[: side * CELLS, : side * CELLS].reshape(CELLS, side, CELLS, side, 3).mean((1, 3), np.float32) / 255
    luminance = cells @ _LUMINANCE
    return np.concatenate([luminance, cells[..., 2] - luminance, cells[..., 0] - luminance], axis=None)


def describe_sound(prepared: Prepared) -> Floats:
    """Mean and deviation of each mel frequency, and how strongly bands swing at each rate: float32 (320,).

    It does not matter when something sounds, and what is quiet counts little.

    Args:
        prepared: a sound as `SoundEncoder` prepares it.
    """
    patches: Patches = prepared.value
    offset = np.float32(YAMNET.input["log_offset"])
    loudness = np.sqrt(np.maximum(np.exp(patches.values[:, 0]) - offset, 0))  # (p, 96, 64)
    mean = patches.weights @ loudness.mean(axis=1)
    square = patches.weights @ np.square(loudness).mean(axis=1)
    bands = loudness.reshape(len(loudness), FRAMES, BANDS, -1).mean(axis=3)
    bands = (bands - bands.mean(axis=1, keepdims=True)) * np.hanning(FRAMES).astype(np.float32)[:, None]
    swings = np.abs(np.fft.rfft(bands, axis=1))[:, 1 : 1 + SWINGS] / FRAMES  # (p, SWINGS, BANDS)
    deviation = np.sqrt(np.maximum(square - np.square(mean), 0))
    return np.concatenate([mean, deviation, np.tensordot(patches.weights, swings, 1).ravel()]).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """Adds to where a content is placed by what it shows how it looks or sounds."""

    mean: Floats
    """(p,): the mean descriptor."""
    weight: Floats
    """(p, k): scales and projects."""
    axes: Floats
    """(k, d): orthonormal, and at right angles to whatever is placed by what it shows."""
    share: float
    """Of the appearance in a vector's squared length."""

    @property
    def checksum(self) -> str:
        """32 hex digits over all numbers."""
        return checksum_of(self.mean, self.weight, self.axes, np.array([self.share], np.float32))

    def __call__(self, placed: Floats, descriptors: Floats) -> Floats:
        """Unit vectors (n, d) and descriptors (n, p) → unit vectors float32 (n, d)."""
        looks = (descriptors - self.mean) @ self.weight  # (n, k)
        looks /= np.maximum(np.linalg.norm(looks, axis=1, keepdims=True), np.float32(1e-6))
        mixed = math.sqrt(1 - self.share) * placed + math.sqrt(self.share) * (looks @ self.axes)
        return unit(np.asarray(mixed, np.float32))

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """What is stored."""
        return {"mean": self.mean, "weight": self.weight, "axes": self.axes}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[np.generic]], share: float) -> "Appearance":
        """What `tensors` stored, with the share that the card names."""
        mean, weight, axes = (np.asarray(tensors[name], np.float32) for name in ("mean", "weight", "axes"))
        return cls(mean, weight, axes, share)


def fit_appearance(descriptors: Floats, groups: Sequence[int], axes: Floats, share: float, seed: int) -> Appearance:
    """Fit the scale of descriptors on any contents; no captions are needed.

    Args:
        descriptors: (n, p).
        groups: sizes of the descriptor's parts; they sum to p.
        axes: (k, d), free for the appearance.
        share: of the appearance in a vector's squared length.
        seed: of the random projection.
    """
    scales = []
    for part in np.split(descriptors, np.cumsum(groups)[:-1], axis=1):
        size = np.linalg.norm(part, axis=1).mean()
        deviation = part.std(axis=0) / size
        scales.append(size * (deviation + FLOOR * deviation.mean()))
    random = np.random.default_rng(seed).standard_normal((descriptors.shape[1], len(axes)))
    weight = np.linalg.qr(random)[0] / np.concatenate(scales)[:, None]
    return Appearance(
        descriptors.mean(axis=0).astype(np.float32), weight.astype(np.float32), axes.astype(np.float32), share
    )


class AppearanceEncoder:
    """An `Encoder` that places a content by what it shows and by how it looks or sounds."""

    def __init__(self, shown: HeadEncoder, appearance: Appearance, describe: Describe) -> None:
        self.shown, self.appearance, self._describe = shown, appearance, describe

    @property
    def modality(self) -> Modality:
        """The modality that it takes."""
        return self.shown.modality

    @property
    def dimension(self) -> int:
        """The dimension of the shared space."""
        return self.shown.dimension

    @property
    def identity(self) -> dict[str, str]:
        """The identity of the network and its head, and the checksum of the appearance."""
        return {**self.shown.identity, "appearance": self.appearance.checksum}

    def prepare(self, content: Content) -> Prepared:
        """Decode a content; see `Encoder.prepare`."""
        return self.shown.prepare(content)

    def prepare_passages(self, content: Content, most: int) -> Passages:
        """Split what the network cannot read as one; see `encoders.encoder.PreparesPassages`."""
        return self.shown.prepare_passages(content, most)

    def forward(self, batch: Sequence[Prepared]) -> Floats:
        """Unit vectors float32 (n, d) of prepared contents."""
        placed = self.shown.forward(batch)
        return self.appearance(placed, np.stack([self._describe(one) for one in batch])) if batch else placed
