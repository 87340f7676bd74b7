"""How a picture looks and a sound sounds: copies are near, texts are not touched."""

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from encoders.spaces.appearance import (
    PICTURE_GROUPS,
    SOUND_GROUPS,
    Appearance,
    describe_picture,
    describe_sound,
    fit_appearance,
)
from encoders.spaces.space import Space, unit
from encoders.spaces.starter import read_heads
from encoders.types import Audio, Image, Modality, Text
from tests.encoders.conftest import drawing, wav

RATE = 16_000


def melody(seed: int, rate: int = RATE) -> np.ndarray:
    """Two and a half seconds of eight tones with overtones."""
    random = np.random.default_rng(seed)
    parts = []
    for pitch in random.uniform(200, 1500, 8):
        times = np.arange(int(0.3 * rate)) / rate
        tone = sum(np.sin(2 * np.pi * pitch * k * times) / k for k in (1, 2, 3))
        parts.append(tone * (0.2 + np.hanning(len(times))))
    return 0.3 * np.concatenate(parts)


def noisy(samples: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(9).standard_normal(len(samples))
    return samples + noise * np.sqrt(np.square(samples).mean()) * 10 ** (-30 / 20)


def photo(seed: int, side: int = 300) -> Pillow.Image:
    """Coloured patches."""
    cells = np.random.default_rng(seed).integers(0, 220, (6, 6, 3), np.uint8)
    return Pillow.fromarray(cells).resize((side, side), Pillow.Resampling.BICUBIC)


def file(picture: Pillow.Image, kind: str = "PNG", **options: int) -> Image:
    body = io.BytesIO()
    picture.save(body, kind, **options)
    return Image(body.getvalue())


def test_copies_of_a_sound_are_nearer_than_any_other(starter_space: Space) -> None:
    clean = [melody(seed) for seed in range(6)]
    own = starter_space.encode([wav(samples, RATE) for samples in clean])
    copies = {
        "with noise 30 dB below": [wav(noisy(samples), RATE) for samples in clean],
        "at another rate": [wav(melody(seed, 22_050), 22_050) for seed in range(6)],
        "shortened": [wav(samples[len(samples) // 40 :], RATE) for samples in clean],
    }
    for kind, contents in copies.items():
        cosines = starter_space.encode(contents) @ own.T
        assert (cosines.argmax(axis=1) == np.arange(6)).all(), kind
        assert cosines.diagonal().min() > 0.6, kind


def test_copies_of_a_picture_are_nearer_than_any_other(starter_space: Space) -> None:
    own = starter_space.encode([file(photo(seed)) for seed in range(6)])
    copies = {
        "as JPEG": [file(photo(seed), "JPEG", quality=75) for seed in range(6)],
        "smaller": [file(photo(seed).resize((150, 150))) for seed in range(6)],
        "cropped": [file(photo(seed).crop((7, 7, 293, 293))) for seed in range(6)],
    }
    for kind, contents in copies.items():
        cosines = starter_space.encode(contents) @ own.T
        assert (cosines.argmax(axis=1) == np.arange(6)).all(), kind
        assert cosines.diagonal().min() > 0.6, kind


def test_texts_have_nothing_on_the_axes_of_appearance(starter_space: Space) -> None:
    texts = starter_space.encode([Text("a red frog"), Text("trumpet"), Text("the sea at night")])
    axes = [appearance.axes for appearance in read_heads().appearance.values()]
    np.testing.assert_allclose(texts @ np.concatenate(axes).T, 0, atol=2e-3)
    np.testing.assert_allclose(axes[0] @ axes[1].T, 0, atol=1e-5)


def test_what_something_shows_keeps_its_share(starter_space: Space) -> None:
    for modality, content in ((Modality.IMAGE, drawing("sun")), (Modality.AUDIO, wav(melody(1), RATE))):
        appearance = read_heads().appearance[modality]
        on_axes = starter_space.encode([content]) @ appearance.axes.T
        assert float(np.square(on_axes).sum()) == pytest.approx(appearance.share, abs=0.03)


def test_descriptors_have_the_parts_that_are_scaled(starter_space: Space) -> None:
    picture = describe_picture(starter_space.prepare(drawing("sun")))
    sound = describe_sound(starter_space.prepare(Audio(wav(melody(1), RATE).source)))
    assert picture.shape == (sum(PICTURE_GROUPS),) and picture.dtype == np.float32
    assert sound.shape == (sum(SOUND_GROUPS),) and sound.dtype == np.float32
    assert np.isfinite(picture).all() and np.isfinite(sound).all()


def test_an_appearance_is_what_it_stored_and_the_same_again() -> None:
    random = np.random.default_rng(0)
    descriptors = random.random((20, 6)).astype(np.float32)
    axes = np.eye(8, dtype=np.float32)[:3]
    fitted = fit_appearance(descriptors, (2, 4), axes, 0.4, seed=1)
    again = Appearance.from_tensors(fitted.tensors(), 0.4)
    assert again.checksum == fitted.checksum == fit_appearance(descriptors, (2, 4), axes, 0.4, seed=1).checksum
    placed = unit(np.pad(random.standard_normal((20, 5)), ((0, 0), (3, 0))).astype(np.float32))
    vectors = again(placed, descriptors)
    np.testing.assert_allclose((placed * vectors).sum(axis=1), np.sqrt(0.6), atol=1e-5)
    constant = np.repeat(descriptors.mean(axis=0, keepdims=True), 20, axis=0)
    assert np.isfinite(again(placed, constant)).all()
