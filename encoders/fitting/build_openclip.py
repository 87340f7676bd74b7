"""Building a space around an OpenCLIP model, with text as the pivot."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from encoders.decoding.limits import DEFAULT_LIMITS, DecodeLimits
from encoders.errors import ContentError, SpaceError
from encoders.spaces.calibration import MIN_PAIRS, FeatureExtractor, fit_ridge, measure_calibration
from encoders.spaces.folder import AUDIO, LONG_TEXT, SpaceParts, assemble, save_space
from encoders.spaces.openclip import OpenClip, OpenClipImage, OpenClipText, load_openclip
from encoders.spaces.space import Space, unit
from encoders.types import Audio, Content, Floats, Image, Modality, Prepared, Rows, Text

HELD_OUT = 0.25
"""The share of examples that chooses penalties and measures calibration."""

Tower = tuple[Callable[[Content], Prepared], Callable[[Sequence[Prepared]], Floats]]
"""The two steps of an encoder before its head: prepare, and run on a batch, float32 (n, ·)."""


@dataclass(frozen=True, slots=True)
class Example:
    """A caption with the picture or the sound, or both, that it names."""

    caption: str
    image: Image | None = None
    audio: Audio | None = None


def build_space(
    name: str,
    clip: OpenClip,
    examples: Iterable[Example],
    out: Path,
    *,
    long_text: FeatureExtractor | None = None,
    audio: FeatureExtractor | None = None,
    card: Mapping[str, Any] | None = None,
    seed: int = 0,
    batch: int = 32,
    progress: Callable[[int], None] = lambda done: None,
) -> Space:
    """Fit means, heads and calibration on captioned examples and save them as a folder.

    Args:
        name: the name of the space.
        clip: the model that gives text and image.
        examples: captioned pictures and sounds, read once. Those that cannot be decoded are skipped and counted.
        out: the folder to write; see `encoders.spaces.folder`.
        long_text: features of texts of any length, for those beyond the model's context.
        audio: features of sounds. Without it the space has no audio.
        card: facts for people (data, licence, command); metrics, seed and counts are added.
        seed: chooses which examples are held out.
        batch: examples encoded at a time.
        progress: called with the number of examples done.

    Returns:
        The space, as `load_space_folder` will give it.

    Raises:
        SpaceError: if too few examples have a picture, or, with `audio`, a sound.
    """
    texts, images = OpenClipText(clip), OpenClipImage(clip)
    towers: dict[str, Tower] = {
        Modality.TEXT.value: (texts.prepare, texts.raw),
        Modality.IMAGE.value: (images.prepare, images.raw),
    }
    extractors: dict[str, FeatureExtractor] = {}
    if long_text is not None:
        extractors[LONG_TEXT] = long_text
    if audio is not None:
        extractors[AUDIO] = audio
    for head, extractor in extractors.items():
        towers[_features_of(head)] = (extractor.prepare, extractor.features)
    data = _encode(examples, towers, batch, progress)
    return _fit(name, clip, data, out, extractors, dict(card or {}), seed)


@dataclass(frozen=True, slots=True, eq=False)
class _Encoded:
    """What the towers gave: per tower the vectors (n, ·) and the numbers of their examples (n,)."""

    vectors: dict[str, Floats]
    rows: dict[str, Rows]
    examples: int
    skipped: int


def _features_of(head: str) -> str:
    return f"{head}.features"


def _encode(
    examples: Iterable[Example],
    towers: Mapping[str, Tower],
    batch: int,
    progress: Callable[[int], None],
) -> _Encoded:
    vectors: dict[str, list[Floats]] = {tower: [] for tower in towers}
    rows: dict[str, list[int]] = {tower: [] for tower in towers}
    done = skipped = 0
    source = iter(examples)
    while chunk := list(islice(source, batch)):
        waiting: dict[str, list[Prepared]] = {tower: [] for tower in towers}
        for number, example in enumerate(chunk, done):
            try:
                prepared = {tower: prepare(content) for tower, prepare, content in _contents(example, towers)}
            except ContentError:
                skipped += 1
                continue
            for tower, value in prepared.items():
                waiting[tower].append(value)
                rows[tower].append(number)
        for tower, (_, forward) in towers.items():
            if waiting[tower]:
                vectors[tower].append(forward(waiting[tower]))
        done += len(chunk)
        progress(done)
    have = {tower: np.concatenate(parts) for tower, parts in vectors.items() if parts}
    return _Encoded(have, {tower: np.asarray(rows[tower], np.intp) for tower in have}, done, skipped)


def _contents(
    example: Example,
    towers: Mapping[str, Tower],
) -> Iterator[tuple[str, Callable[[Content], Prepared], Content]]:
    caption = Text(example.caption)
    given: dict[str, Content | None] = {
        Modality.TEXT.value: caption,
        Modality.IMAGE.value: example.image,
        _features_of(LONG_TEXT): caption,
        _features_of(AUDIO): example.audio,
    }
    for tower, (prepare, _) in towers.items():
        content = given[tower]
        if content is not None:
            yield tower, prepare, content


def _fit(
    name: str,
    clip: OpenClip,
    data: _Encoded,
    out: Path,
    extractors: Mapping[str, FeatureExtractor],
    card: dict[str, Any],
    seed: int,
) -> Space:
    held_out = (
        np.random.default_rng(seed).random(data.examples) < HELD_OUT
    )  # by example: modalities are held out alike
    text, image = Modality.TEXT.value, Modality.IMAGE.value
    for tower in (text, image, *map(_features_of, extractors)):
        have = len(data.rows.get(tower, ()))
        if have < MIN_PAIRS:
            raise SpaceError(
                f"space {name} needs {MIN_PAIRS} examples with {tower.removesuffix('.features')}, {have} have one",
                "give a larger captioned set",
            )
    means = {Modality(tower): _mean(data.vectors[tower]) for tower in (text, image)}
    vectors: dict[Modality, Floats] = {}
    rows: dict[Modality, Rows] = {}
    for tower in (text, image):
        keep = held_out[data.rows[tower]]
        seen_mean = _mean(data.vectors[tower][~keep])
        vectors[Modality(tower)] = unit(data.vectors[tower][keep] - seen_mean)
        rows[Modality(tower)] = data.rows[tower][keep]
    heads, metrics = {}, {}
    for head in extractors:
        tower = _features_of(head)
        targets = data.vectors[text][np.searchsorted(data.rows[text], data.rows[tower])]
        keep = held_out[data.rows[tower]]
        fit = fit_ridge(data.vectors[tower], targets, keep)
        heads[head], metrics[head] = fit.head, fit.metrics
        if head == AUDIO:
            vectors[Modality.AUDIO], rows[Modality.AUDIO] = fit.held_out, data.rows[tower][keep]
    parts = SpaceParts(
        means,
        heads,
        measure_calibration(vectors, rows),
        {**card, "seed": seed, "examples": data.examples, "skipped": data.skipped, "metrics": metrics},
    )
    return save_space(out, name, clip, parts, extractors)


def _mean(vectors: Floats) -> Floats:
    return np.asarray(vectors.mean(axis=0), np.float32)


# A model as it comes, without a captioned set ---------------------------------------------------------------

_COLOURS = ("red", "green", "blue", "yellow", "orange", "purple", "black", "brown")
_SHAPES: dict[str, Callable[[ImageDraw.ImageDraw, str], None]] = {
    "circle": lambda draw, colour: draw.ellipse((40, 40, 184, 184), fill=colour),
    "square": lambda draw, colour: draw.rectangle((48, 48, 176, 176), fill=colour),
    "triangle": lambda draw, colour: draw.polygon(((112, 32), (192, 184), (32, 184)), fill=colour),
    "ring": lambda draw, colour: draw.ellipse((40, 40, 184, 184), outline=colour, width=24),
    "cross": lambda draw, colour: draw.line((32, 32, 192, 192, 112, 112, 32, 192, 192, 32), fill=colour, width=24),
    "letter t": lambda draw, colour: draw.polygon(
        ((40, 40), (184, 40), (184, 72), (128, 72), (128, 184), (96, 184), (96, 72), (40, 72)), fill=colour
    ),
}


def drawn_examples() -> Iterator[Example]:
    """48 drawn shapes with their captions: enough to measure roughly how a model's modalities lie."""
    for colour in _COLOURS:
        for shape, paint in _SHAPES.items():
            picture = Pillow.new("RGB", (224, 224), "white")
            paint(ImageDraw.Draw(picture), colour)
            buffer = BytesIO()
            picture.save(buffer, "PNG", compress_level=1)
            yield Example(f"a drawing of a {colour} {shape}", Image(buffer.getvalue()))


def plain_openclip_space(
    name: str, *, device: str = "cpu", limits: DecodeLimits = DEFAULT_LIMITS, checksum: str | None = None
) -> Space:
    """An OpenCLIP model as it comes: text and image, no heads.

    Its calibration is provisional: measured on `drawn_examples`, not on the user's own kind of pictures, which
    is what `build_space` is for.

    Args:
        name: as in `load_openclip`; the space is called "openclip:" and this, of a folder only its last part.
        device: a torch device.
        limits: bounds on what is decoded.
        checksum: as in `load_openclip`.

    Returns:
        A space of text and image.

    Raises:
        WeightsError: as `load_openclip`.
    """
    clip = load_openclip(name, device=device, limits=limits, checksum=checksum)
    texts, images = OpenClipText(clip), OpenClipImage(clip)
    towers = {Modality.TEXT.value: (texts.prepare, texts.raw), Modality.IMAGE.value: (images.prepare, images.raw)}
    data = _encode(drawn_examples(), towers, 16, lambda done: None)
    vectors = {Modality(tower): data.vectors[tower] for tower in towers}
    rows = {Modality(tower): data.rows[tower] for tower in towers}
    place = name.removeprefix("local-dir:")
    label = Path(place).name if Path(place).is_dir() else name
    return assemble(f"openclip:{label}", clip, SpaceParts({}, {}, measure_calibration(vectors, rows)), {})
