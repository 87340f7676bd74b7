"""Sounds → features and class probabilities: YAMNet over log-mel patches of torchaudio."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from encoders.decoding.decode import decoding_audio
from encoders.decoding.limits import DEFAULT_LIMITS, DecodeLimits
from encoders.encoder import Passages
from encoders.networks.known import YAMNET, ModelSpec
from encoders.networks.network import Network
from encoders.networks.weights import find_weights
from encoders.types import WHOLE, Content, Floats, Modality, Prepared

WINDOW, HOP = 400, 160
"""Samples of one frame and between frames: 25 and 10 ms at 16 kHz."""
FRAMES = 96
"""Frames of a patch: 0.96 s."""
TRANSFORM = 512
"""Points of the Fourier transform; the window stands in the middle of them."""
PATCH_SAMPLES = TRANSFORM + (FRAMES - 1) * HOP
PATCH_HOP = 24 * HOP
"""Samples between patches: 0.24 s."""
SILENCE = 0.02
"""What is quieter than this share of the peak is cut from both ends."""
LOUDNESS = 0.1
"""Root mean square that every sound is brought to; a full scale sine has 0.7."""
LONG_SECONDS = 30.0
"""A sound that is longer is split, where it may be: of longer ones not all patches are read."""
PASSAGE_SECONDS = 10.0
"""Length of its passages, but where that makes too many; see `benchmarks/long.py`."""
_BLOCK = 1 << 16
"""Samples that are squared at a time."""
_BATCH = 64
"""Patches in one run of the network."""


@dataclass(frozen=True, slots=True)
class Patches:
    """A sound as the network takes it."""

    values: Floats
    """(p, 1, 96, 64): log-mel patches."""
    weights: Floats
    """(p,): the share of each patch, by loudness; they sum to 1."""

    @property
    def nbytes(self) -> int:
        """Bytes of both arrays."""
        return self.values.nbytes + self.weights.nbytes


class SoundEncoder:
    """YAMNet: a sound → 1024 pooled features and the mean probabilities of 521 AudioSet classes.

    It runs in ONNX Runtime on the CPU, also where there is a GPU: it is a MobileNet of 3.7 million weights.

    Args:
        cache: folder of translated networks.
        limits: bounds on what is decoded.
        threads: threads of ONNX Runtime, None for one per core.
        source: where the weights are; see `find_weights`.

    Raises:
        WeightsError: if the weights are missing or altered.
    """

    spec: ModelSpec = YAMNET

    def __init__(
        self,
        cache: Path,
        limits: DecodeLimits = DEFAULT_LIMITS,
        threads: int | None = None,
        source: str | None = None,
    ) -> None:
        archive = find_weights(self.spec, source) / self.spec.files[0].path
        self._limits = limits
        self._network = Network(self.spec, archive, cache, threads=threads)

    @property
    def modality(self) -> Modality:
        """Audio."""
        return Modality.AUDIO

    @property
    def identity(self) -> dict[str, str]:
        """Name, revision, licence, and the checksums of the weights."""
        return self.spec.identity

    def prepare(self, content: Content) -> Prepared:
        """Decode a sound into `Patches`, 1 ≤ p ≤ 128.

        Silence at both ends is cut off and the loudness levelled, since networks of this kind take a quiet sound
        for silence. A patch is 0.96 s, one starts every 0.24 s; a shorter sound is repeated. Of a sound longer
        than about half a minute 128 patches are taken at even distances, so that memory is bounded.

        Raises:
            ContentError: if it is corrupt, empty, of no known format, or over a limit.
        """
        with decoding_audio(content, self._limits, self._rate) as samples:
            return Prepared(Modality.AUDIO, self._patches(level(samples)))

    def prepare_passages(self, content: Content, most: int) -> Passages:
        """Split a sound of more than `LONG_SECONDS` into equal passages; see `encoders.encoder.PreparesPassages`.

        First comes the whole, by which a track is like another. Each passage is prepared as a sound of its own; those
        that are silent beside the others are left out. Where there would be more than `most`, they are longer.
        """
        with decoding_audio(content, self._limits, self._rate) as samples:
            first, last = sounding(samples)
            seconds = (last - first) / self._rate
            count = min(math.ceil(seconds / PASSAGE_SECONDS), most - 1) if seconds > LONG_SECONDS else 1
            edges = [first + round(place * (last - first) / count) for place in range(count + 1)]
            faintest = SILENCE * _peak(samples)
            spans = [(a, b) for a, b in pairwise(edges) if _peak(samples[a:b]) > faintest]
            found = {WHOLE: Prepared(Modality.AUDIO, self._patches(level(samples)))}
            if len(spans) > 1:
                for a, b in spans:
                    span = 1000 * a // self._rate, 1000 * b // self._rate
                    found[span] = Prepared(Modality.AUDIO, self._patches(level(samples[a:b])))
            return found

    @cached_property
    def _rate(self) -> int:
        return int(self.spec.input["sample_rate"])

    @cached_property
    def _mel(self) -> Any:
        return _mel_transform(self._rate)

    def _patches(self, samples: Floats) -> Patches:
        import torch

        if len(samples) < PATCH_SAMPLES:
            samples = np.resize(samples, PATCH_SAMPLES)  # repeats it
        starts = np.arange(0, len(samples) - PATCH_SAMPLES + 1, PATCH_HOP)
        limit = int(self.spec.input["max_patches"])
        if len(starts) > limit:
            starts = starts[np.linspace(0, len(starts) - 1, limit).round().astype(int)]
        windows = np.stack([samples[start : start + PATCH_SAMPLES] for start in starts])  # (p, 15712)
        with torch.inference_mode():
            mel = self._mel(torch.from_numpy(windows))  # (p, 64, 96)
            patches = torch.log(mel + self.spec.input["log_offset"]).transpose(1, 2)  # (p, 96, 64)
        loudness = np.sqrt(np.square(windows).mean(axis=1)) + 1e-6
        return Patches(
            np.asarray(patches.unsqueeze(1).contiguous().numpy(), np.float32),
            np.asarray(loudness / loudness.sum(), np.float32),
        )

    def features(self, batch: Sequence[Prepared]) -> Floats:
        """Features, then class probabilities, each the mean over patches by loudness: float32 (n, 1024 + 521)."""
        found = np.zeros((len(batch), self.spec.dimension), np.float32)
        for row, prepared in enumerate(batch):
            patches: Patches = prepared.value
            for start in range(0, len(patches.values), _BATCH):
                part = slice(start, start + _BATCH)
                pooled, logits = self._network(audio=patches.values[part])
                probabilities = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
                found[row] += patches.weights[part] @ np.concatenate([pooled, probabilities], axis=1)
        return found


def sounding(samples: Floats) -> tuple[int, int]:
    """Where a sound (n,) begins and ends without the silence around it; all of it, if it is pure silence."""
    loud = np.abs(samples) > SILENCE * _peak(samples)
    return (int(loud.argmax()), len(loud) - int(loud[::-1].argmax())) if loud.any() else (0, len(loud))


def _peak(samples: Floats) -> float:
    return max(float(samples.max()), -float(samples.min()), 1e-6)


def level(samples: Floats) -> Floats:
    """Cut silence off both ends of a sound (n,) and bring it to `LOUDNESS`; pure silence stays as it is."""
    first, last = sounding(samples)
    samples = samples[first:last]
    blocks = (samples[start : start + _BLOCK] for start in range(0, len(samples), _BLOCK))
    loudness = math.sqrt(sum(float(np.square(block, dtype=np.float64).sum()) for block in blocks) / len(samples))
    return np.asarray(samples * np.float32(LOUDNESS / max(loudness, 1e-4)), np.float32)


def class_names(folder: Path) -> list[str]:
    """The 521 AudioSet class names of YAMNet, in the order of its outputs.

    Args:
        folder: as found by `find_weights`.
    """
    with (folder / YAMNET.files[1].path).open(newline="") as file:
        return [row["display_name"] for row in csv.DictReader(file)]


def _mel_transform(sample_rate: int) -> Any:
    import torchaudio  # slow to import

    return torchaudio.transforms.MelSpectrogram(
        sample_rate=sample_rate,
        n_fft=TRANSFORM,
        win_length=WINDOW,
        hop_length=HOP,
        f_min=125.0,
        f_max=7500.0,
        n_mels=64,
        power=1.0,
        center=False,
        mel_scale="htk",
        norm=None,
    )
