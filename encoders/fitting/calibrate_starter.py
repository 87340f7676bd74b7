"""How cosines of the starter space are to be read, measured on contents that were not fitted on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from encoders.errors import SpaceError
from encoders.fitting.sources import Captioned
from encoders.fitting.starter import SentenceBank
from encoders.spaces.align import TextHead
from encoders.spaces.space import PairCalibration
from encoders.types import Floats, Modality

SAME = 0.6
"""Two captions whose texts have this cosine or more are of the same kind of thing ("guitar", "electric guitar")."""
TAIL, TAIL_Z = 0.995, 2.576
"""A share of unrelated pairs, and how many standard deviations of a normal distribution it lies above the mean.

What competes at the top of a ranking is the tail of the unrelated, and tails differ in shape: that of texts is long.
So the standard deviation is read off the tail: one unrelated pair in 200 gets a z above 2.576, for every pair of
modalities.
"""
MIN_RELATED = 10

Pairs = tuple[Floats, Floats]
"""Cosines of related, and of unrelated contents."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Held-out contents, placed by heads that were fitted without them."""

    bank: SentenceBank
    text: TextHead
    drawings: Sequence[Captioned]
    drawing_vectors: Floats
    photos: Sequence[Captioned]
    photo_vectors: Floats
    sounds: Sequence[Captioned]
    sound_vectors: Floats

    def titles(self, items: Sequence[Captioned]) -> Floats:
        """Title vectors, (n, d)."""
        return self.text(self.bank([item.title for item in items]))


def calibrate(
    checked: Checked,
) -> tuple[dict[tuple[Modality, Modality], PairCalibration], dict[str, dict[str, object]]]:
    """Measure every pair of modalities.

    Returns:
        The calibration, the same for both orders of a pair, and for the card what the pairs were.

    Raises:
        SpaceError: if there are too few related contents.
    """
    calibration: dict[tuple[Modality, Modality], PairCalibration] = {}
    said: dict[str, dict[str, object]] = {}
    makers = {
        (Modality.TEXT, Modality.TEXT): (
            _text_text,
            "title of a held-out drawing and its keywords other than the title; unrelated: titles",
        ),
        (Modality.TEXT, Modality.IMAGE): (_text_image, "title and picture of held-out drawings and of photos"),
        (Modality.TEXT, Modality.AUDIO): (_text_audio, "name and sound"),
        (Modality.IMAGE, Modality.IMAGE): (
            _image_image,
            "two held-out pictures by different hands (folder or set) with like titles",
        ),
        (Modality.IMAGE, Modality.AUDIO): (_image_audio, "held-out picture or photo and sound with like names"),
        (Modality.AUDIO, Modality.AUDIO): (_audio_audio, "two sounds with like names, of different files"),
    }
    for left, right in combinations_with_replacement(Modality, 2):
        make, how = makers[left, right]
        related, unrelated = make(checked)
        if len(related) < MIN_RELATED or len(unrelated) < MIN_RELATED:
            raise SpaceError(f"only {len(related)} related pairs of {left} and {right}", "fetch the sources again")
        mean = float(unrelated.mean())
        std = max((float(np.quantile(unrelated, TAIL)) - mean) / TAIL_Z, 1e-6)
        pair = PairCalibration(round(mean, 6), round(std, 6), round(float((related.mean() - mean) / std), 6))
        calibration[left, right] = calibration[right, left] = pair
        said[f"{left}-{right}"] = {"related": how, "pairs": len(related), "unrelated_pairs": len(unrelated)}
    return calibration, said


def _text_text(checked: Checked) -> Pairs:
    rows, words = [], []
    for row, item in enumerate(checked.drawings):
        others = [word for word in item.keywords if word.lower() != item.title.lower()]
        if others:
            rows.append(row)
            words.append(", ".join(others))
    titles = checked.titles([checked.drawings[row] for row in rows])
    keywords = checked.text(checked.bank(words))
    cosines = titles @ keywords.T
    return np.diagonal(cosines), (titles @ titles.T)[titles @ titles.T < SAME]


def _text_image(checked: Checked) -> Pairs:
    titles = checked.titles([*checked.drawings, *checked.photos])
    cosines = titles @ np.concatenate([checked.drawing_vectors, checked.photo_vectors]).T
    return np.diagonal(cosines), cosines[titles @ titles.T < SAME]


def _text_audio(checked: Checked) -> Pairs:
    titles = checked.titles(checked.sounds)
    cosines = titles @ checked.sound_vectors.T
    return np.diagonal(cosines), cosines[titles @ titles.T < SAME]


def _image_image(checked: Checked) -> Pairs:
    items = [*checked.drawings, *checked.photos]
    vectors = np.concatenate([checked.drawing_vectors, checked.photo_vectors])
    folders = np.array([str(item.path.parent) for item in items])  # one hand drew what is in a folder
    return _like(checked.titles(items), vectors, apart=folders[:, None] != folders[None])


def _audio_audio(checked: Checked) -> Pairs:
    count = len(checked.sounds)
    return _like(checked.titles(checked.sounds), checked.sound_vectors, apart=~np.eye(count, dtype=bool))


def _image_audio(checked: Checked) -> Pairs:
    items = [*checked.drawings, *checked.photos]
    vectors = np.concatenate([checked.drawing_vectors, checked.photo_vectors])
    texts = checked.titles(items) @ checked.titles(checked.sounds).T
    cosines = vectors @ checked.sound_vectors.T
    return cosines[texts >= SAME], cosines[texts < SAME]


def _like(titles: Floats, vectors: Floats, apart: np.ndarray) -> Pairs:
    """Each content with the one, apart from it, of the likest title, if that is alike; and all unrelated ones."""
    texts = np.where(apart, titles @ titles.T, -np.inf)
    nearest = texts.argmax(axis=1)
    rows = np.flatnonzero(texts[np.arange(len(texts)), nearest] >= SAME)
    cosines = vectors @ vectors.T
    return cosines[rows, nearest[rows]], cosines[apart & (texts < SAME)]
