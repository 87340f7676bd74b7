"""Small real spaces and small media for the tests: they load in milliseconds, need no weights, repeat exactly.

`tiny_space` has crude but true encoders: near contents get near vectors, within one modality.
`concept_space` also ties the modalities: a picture's hue, a sound's pitch and a word in a text name the same
concept, so that the texts, pictures and sounds of one concept are near. Everything is decoded from the content.
"""

import colorsys
import io
import wave
import zlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from encoders.decoding.decode import decode_audio, decode_image, decode_text
from encoders.decoding.limits import DecodeLimits
from encoders.encoder import Passages
from encoders.networks.passages import passages
from encoders.spaces.space import PairCalibration, Space, unit
from encoders.types import WHOLE, Audio, Content, Floats, Image, Modality, Prepared, Span, Text

CONCEPTS = ("bird", "piano", "car", "fish", "drum", "tree", "cat", "train", "flower", "bell", "dog", "rain")
"""Concept k has the hue k / 12 and the pitch 250 · 2^(k / 3) Hz (250 to 3175 Hz)."""

SAMPLE_RATE = 16_000
LONG_WORDS = 32
"""A text of more words is split."""
LONG_SECONDS, PASSAGE_SECONDS = 4.0, 2.0
"""A sound that is longer is split, and how long its passages are about."""
_GAP = 0.5
"""How far each modality's cone lies from the origin: a modality gap, as real spaces have."""
_OWN = 0.4
"""How much of a concept vector is the content's own."""


# Media ------------------------------------------------------------------------------------------------------


def png_bytes(colour: tuple[int, int, int] | int = 0, size: int | tuple[int, int] = 32) -> bytes:
    """A PNG: of one colour, or smooth random blobs drawn from a seed. `size` is the side or (width, height)."""
    width, height = (size, size) if isinstance(size, int) else size
    if isinstance(colour, tuple):
        picture = Pillow.new("RGB", (width, height), colour)
    else:
        cells = np.random.default_rng(colour).integers(0, 256, (4, 4, 3), np.uint8)
        picture = Pillow.fromarray(cells).resize((width, height), Pillow.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def make_png(path: Path, colour: tuple[int, int, int] | int = 0, size: int | tuple[int, int] = 32) -> Path:
    """Write `png_bytes` to a path and return the path."""
    path.write_bytes(png_bytes(colour, size))
    return path


def wav_bytes(
    frequency: float = 440.0, seconds: float = 0.25, sample_rate: int = SAMPLE_RATE, noise: float = 0.0, seed: int = 0
) -> bytes:
    """A 16-bit mono WAV of a sine with an octave above it, and white noise where asked for."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    signal = 0.5 * np.sin(2 * np.pi * frequency * time) + 0.1 * np.sin(4 * np.pi * frequency * time)
    signal += noise * np.random.default_rng(seed).standard_normal(len(time))
    return wav_of(signal, sample_rate)


def wav_of(signal: npt.NDArray[np.floating], sample_rate: int = SAMPLE_RATE) -> bytes:
    """A 16-bit mono WAV of these samples."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((np.clip(signal, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def make_wav(path: Path, frequency: float = 440.0, seconds: float = 0.25, sample_rate: int = SAMPLE_RATE) -> Path:
    """Write `wav_bytes` to a path and return the path."""
    path.write_bytes(wav_bytes(frequency, seconds, sample_rate))
    return path


def concept_text(concept: str, seed: int = 0) -> Text:
    """A text that names a concept among words of no meaning."""
    words = np.random.default_rng([seed, CONCEPTS.index(concept)]).permutation(
        ["a", "small", "one", "with", "other", "things", "very", "near", "old", "nice"]
    )
    return Text(" ".join([*words[:2], concept, *words[2:4]]))


def concept_png(concept: str, seed: int = 0, size: int = 32) -> bytes:
    """A PNG whose dominant hue names a concept; its pattern comes from the seed."""
    generator = np.random.default_rng([seed, CONCEPTS.index(concept)])
    hue = CONCEPTS.index(concept) / len(CONCEPTS)
    cells = [
        colorsys.hsv_to_rgb(
            (hue + generator.normal(0, 0.008)) % 1, generator.uniform(0.6, 1), generator.uniform(0.4, 1)
        )
        for _ in range(16)
    ]
    picture = Pillow.fromarray((np.reshape(cells, (4, 4, 3)) * 255).astype(np.uint8))
    buffer = io.BytesIO()
    picture.resize((size, size), Pillow.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


def concept_wav(concept: str, seed: int = 0, seconds: float = 0.25) -> bytes:
    """A WAV whose pitch names a concept; length aside, its detuning and noise come from the seed."""
    generator = np.random.default_rng([seed, CONCEPTS.index(concept)])
    frequency = 250.0 * 2 ** ((CONCEPTS.index(concept) + generator.normal(0, 0.08)) / 3)
    return wav_bytes(frequency, seconds, noise=generator.uniform(0.002, 0.02), seed=seed)


def concept_image(concept: str, seed: int = 0) -> Image:
    """`concept_png` as a content."""
    return Image(concept_png(concept, seed))


def concept_audio(concept: str, seed: int = 0) -> Audio:
    """`concept_wav` as a content."""
    return Audio(concept_wav(concept, seed))


# Features: content → (f,) and content → concept weights (12,) ------------------------------------------------


def _text_features(text: str) -> Floats:
    """Hashed character 2-, 3- and 4-grams, log-scaled, float32 (512,)."""
    padded = f" {' '.join(text.lower().split())} "
    counts = np.zeros(512, np.float32)
    for n in (2, 3, 4):
        for at in range(len(padded) - n + 1):
            counts[zlib.crc32(padded[at : at + n].encode()) % 512] += 1
    return np.asarray(np.log1p(counts) / np.linalg.norm(np.log1p(counts)), np.float32)


def _text_concepts(text: str) -> Floats:
    words = text.lower().replace(",", " ").replace(".", " ").split()
    return np.asarray([concept in words or f"{concept}s" in words for concept in CONCEPTS], np.float32)


def _image_features(pixels: np.ndarray) -> Floats:
    """8×8 RGB around its mean grey, float32 (192,), from pixels uint8 (8, 8, 3)."""
    values = pixels.astype(np.float32).ravel() / 255 - 0.5
    return np.asarray(values + 1e-3, np.float32)


def _image_concepts(pixels: np.ndarray) -> Floats:
    hsv = np.asarray(Pillow.fromarray(pixels).convert("HSV"), np.float32).reshape(-1, 3) / 255
    centres = np.arange(len(CONCEPTS)) / len(CONCEPTS)
    apart = np.abs((hsv[:, :1] - centres + 0.5) % 1 - 0.5) * len(CONCEPTS)  # (64, 12), in concepts
    return np.asarray((np.exp(-4 * apart**2) * (hsv[:, 1] * hsv[:, 2])[:, None]).mean(axis=0), np.float32)


def _spectrum(samples: Floats) -> tuple[Floats, Floats]:
    """Frequencies and mean power of windows of 2048 samples, (1025,) each."""
    size = 2048
    padded = np.pad(samples, (0, -len(samples) % size))
    power = np.abs(np.fft.rfft(padded.reshape(-1, size) * np.hanning(size))) ** 2
    return np.fft.rfftfreq(size, 1 / SAMPLE_RATE).astype(np.float32), power.mean(axis=0).astype(np.float32)


def _audio_features(samples: Floats) -> Floats:
    """Log energies of 48 bands, equally wide in log frequency from 60 to 8000 Hz, float32 (48,)."""
    frequencies, power = _spectrum(samples)
    edges = np.geomspace(60, 8000, 49)
    bands = np.asarray([power[(frequencies >= low) & (frequencies < high)].sum() for low, high in pairwise(edges)])
    levels = np.log10(bands + 1e-4)
    levels -= levels.mean()
    return np.asarray(levels / (np.linalg.norm(levels) + 1e-6) + 1e-3, np.float32)


def _audio_concepts(samples: Floats) -> Floats:
    frequencies, power = _spectrum(samples)
    loudest = frequencies[1 + int(np.argmax(power[1:]))]
    apart = 3 * np.log2(loudest / 250.0) - np.arange(len(CONCEPTS))
    return np.asarray(np.exp(-2 * apart**2) * (power.max() > 1e-3), np.float32)


# Encoders ---------------------------------------------------------------------------------------------------


def words_of(text: str) -> int:
    """The size of a text for `TinyEncoder`."""
    return len(text.split())


class TinyEncoder:
    """An encoder of one modality: features through a fixed random projection, plus concepts where asked for."""

    def __init__(self, modality: Modality, dimension: int, *, concepts: bool, limits: DecodeLimits) -> None:
        self.modality = modality
        self.dimension = dimension
        self.identity = {
            "name": f"tiny-{modality}{'-concepts' if concepts else ''}",
            "revision": "1",
            "checksum": f"{dimension:032x}",
        }
        self._limits = limits
        self._concepts = concepts
        width = {Modality.TEXT: 512, Modality.IMAGE: 192, Modality.AUDIO: 48}[modality]
        self._projection = _gaussian(width, dimension, zlib.crc32(modality.encode()))
        self._gap = unit(_gaussian(1, dimension, zlib.crc32(modality.encode()) + 1))[0]
        self._basis = unit(_gaussian(len(CONCEPTS), dimension, 7))

    def prepare(self, content: Content) -> Prepared:
        features, concepts = self._features(content)
        return Prepared(self.modality, (features, concepts))

    def prepare_passages(self, content: Content, most: int) -> Passages:
        spans: list[Span] = []
        if isinstance(content, Text):
            text = decode_text(content, self._limits)
            if words_of(text) > LONG_WORDS:
                spans = passages(content.text, words_of, LONG_WORDS, most)
            contents: list[Content] = [Text(content.text[start:stop]) for start, stop in spans]
        elif isinstance(content, Audio):
            seconds = len(samples := decode_audio(content, self._limits, SAMPLE_RATE)) / SAMPLE_RATE
            count = min(most, round(seconds / PASSAGE_SECONDS)) if seconds > LONG_SECONDS else 0
            edges = [round(1000 * seconds * place / count) for place in range(count + 1)] if count else []
            spans = list(pairwise(edges))
            contents = [Audio(wav_of(samples[16 * start : 16 * stop])) for start, stop in spans]
        if not spans:
            return {WHOLE: self.prepare(content)}
        return dict(zip(spans, map(self.prepare, contents), strict=True))

    def forward(self, batch: Sequence[Prepared]) -> Floats:
        if not batch:
            return np.empty((0, self.dimension), np.float32)
        own = unit(np.stack([prepared.value[0] for prepared in batch]) @ self._projection)
        if not self._concepts:
            return unit(own + _GAP * self._gap)
        weights = np.stack([prepared.value[1] for prepared in batch])
        total = np.linalg.norm(weights, axis=1, keepdims=True)
        shared = np.divide(weights, total, out=np.zeros_like(weights), where=total > 1e-6) @ self._basis
        return unit(shared + _OWN * own + _GAP * self._gap)

    def _features(self, content: Content) -> tuple[Floats, Floats]:
        if self.modality is Modality.TEXT:
            text = decode_text(content, self._limits)
            return _text_features(text), _text_concepts(text)
        if self.modality is Modality.IMAGE:
            picture = decode_image(content, self._limits, 8).resize((8, 8), Pillow.Resampling.BOX)
            pixels = np.asarray(picture)
            return _image_features(pixels), _image_concepts(pixels)
        samples = decode_audio(content, self._limits, SAMPLE_RATE)
        return _audio_features(samples), _audio_concepts(samples)


def _gaussian(rows: int, columns: int, seed: int) -> Floats:
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


# Spaces -----------------------------------------------------------------------------------------------------


@lru_cache
def tiny_space(dimension: int = 64, *, limits: DecodeLimits = DecodeLimits()) -> Space:  # noqa: B008 (frozen)
    """A space of text, image and audio whose modalities know nothing of each other."""
    return _space(f"tiny-{dimension}", dimension, concepts=False, limits=limits)


@lru_cache
def concept_space(dimension: int = 64, *, limits: DecodeLimits = DecodeLimits()) -> Space:  # noqa: B008 (frozen)
    """A space in which a concept's texts, pictures and sounds are near each other."""
    return _space(f"concepts-{dimension}", dimension, concepts=True, limits=limits)


def _space(name: str, dimension: int, *, concepts: bool, limits: DecodeLimits) -> Space:
    encoders = {m: TinyEncoder(m, dimension, concepts=concepts, limits=limits) for m in Modality}
    makers = {Modality.TEXT: concept_text, Modality.IMAGE: concept_image, Modality.AUDIO: concept_audio}
    labels = np.asarray([k for k in range(len(CONCEPTS)) for _ in range(3)])
    vectors = {
        m: encoder.forward([encoder.prepare(makers[m](c, seed)) for c in CONCEPTS for seed in range(100, 103)])
        for m, encoder in encoders.items()
    }
    return Space(
        name,
        encoders,
        {(q, i): _calibrate(vectors[q], vectors[i], labels, q is i) for q, i in product(vectors, vectors)},
    )


def _calibrate(query: Floats, item: Floats, labels: np.ndarray, same: bool) -> PairCalibration:
    """Cosines of contents of different concepts against those of the same concept, itself left out."""
    cosines = query.astype(np.float64) @ item.T.astype(np.float64)  # (36, 36); its sums are rounded alike everywhere
    related = labels[:, None] == labels[None, :]
    mean, std = float(cosines[~related].mean()), float(cosines[~related].std())
    if same:
        related &= ~np.eye(len(labels), dtype=bool)
    weight = float((cosines[related].mean() - mean) / std)
    return PairCalibration(round(mean, 5), round(std, 5), round(max(weight, 0.1), 5))
