"""Pictures → features and class logits: EfficientNet-Lite2 (Tan and Le, ICML 2019)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from encoders.decoding.decode import decoding_image
from encoders.decoding.limits import DEFAULT_LIMITS, DecodeLimits
from encoders.networks.known import EFFICIENTNET_LITE2, ModelSpec
from encoders.networks.network import Network
from encoders.networks.weights import find_weights
from encoders.types import Content, Floats, Modality, Prepared

DECODED_SIDE = 400
"""Pixels of the shorter side that a picture is decoded to at least, so that its empty margins can be cut off."""
MARGIN = 0.05
"""White around the content of a picture, in lengths of its longer side."""
_INK = 250
"""A pixel is content where its brightness is below this."""
_BATCH = 16
"""Pictures in one run of the network; more are no faster on a CPU."""


class PictureEncoder:
    """EfficientNet-Lite2 at 260 pixels: a picture → 1280 pooled features and 1000 ImageNet logits.

    Args:
        cache: folder of translated networks.
        limits: bounds on what is decoded.
        device: "auto", "cpu" or a torch device.
        threads: threads of ONNX Runtime, None for one per core.
        source: where the weights are; see `find_weights`.

    Raises:
        WeightsError: if the weights are missing or altered.
    """

    spec: ModelSpec = EFFICIENTNET_LITE2

    def __init__(
        self,
        cache: Path,
        limits: DecodeLimits = DEFAULT_LIMITS,
        device: str = "auto",
        threads: int | None = None,
        source: str | None = None,
    ) -> None:
        weights = find_weights(self.spec, source) / self.spec.files[0].path
        self._limits = limits
        self._network = Network(self.spec, weights, cache, device, threads)

    @property
    def modality(self) -> Modality:
        """Image."""
        return Modality.IMAGE

    @property
    def identity(self) -> dict[str, str]:
        """Name, revision, licence, and the checksums of the weights."""
        return self.spec.identity

    def prepare(self, content: Content) -> Prepared:
        """Decode a picture, cut off its white margins and fit it into a white square: uint8 (260, 260, 3).

        Raises:
            ContentError: if it is corrupt, of no known format, or over a limit.
        """
        with decoding_image(content, self._limits, DECODED_SIDE) as picture:
            return Prepared(Modality.IMAGE, fit_square(picture, int(self.spec.input["side"])))

    def features(self, batch: Sequence[Prepared]) -> Floats:
        """Pooled features, then logits, float32 (n, 1280 + 1000)."""
        found = np.empty((len(batch), self.spec.dimension), np.float32)
        mean, scale = np.float32(self.spec.input["mean"]), np.float32(self.spec.input["scale"])
        for start in range(0, len(batch), _BATCH):
            pixels = np.stack([prepared.value for prepared in batch[start : start + _BATCH]])  # (b, 260, 260, 3)
            scaled = (pixels.transpose(0, 3, 1, 2).astype(np.float32) - mean) / scale  # (b, 3, 260, 260)
            outputs = self._network(pixels=np.ascontiguousarray(scaled))
            found[start : start + len(pixels)] = np.concatenate(outputs, axis=1)
        return found


def fit_square(picture: Pillow.Image, side: int) -> Any:
    """Cut a picture to its content, centre it on a white square with a small margin, and scale it.

    Args:
        picture: RGB, any size.
        side: pixels of the square.

    Returns:
        uint8 (side, side, 3).
    """
    ink = np.asarray(picture.convert("L")) < _INK
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if len(rows) >= 4 and len(columns) >= 4:  # else it is blank: keep it whole
        picture = picture.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))
    longer = max(picture.size)
    scale = side / (longer * (1 + 2 * MARGIN))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    square = Pillow.new("RGB", (side, side), (255, 255, 255))
    square.paste(picture.resize(size, Pillow.Resampling.BICUBIC), ((side - size[0]) // 2, (side - size[1]) // 2))
    return np.asarray(square)
