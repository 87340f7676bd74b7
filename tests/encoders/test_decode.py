"""What all of decoding shares: limits, texts, files that cannot be read, damage of every kind."""

import gzip
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.decoding.decode import decode_audio, decode_image, decode_text
from encoders.decoding.limits import DecodeLimits
from encoders.errors import ContentError, LimitError
from encoders.types import Audio, Image, Text
from tests.encoders.media import (
    LIMITS,
    SVG,
    halves,
    saved,
    sine,
    sound,
)
from tests.tiny import png_bytes, wav_bytes


@pytest.mark.parametrize("name", ["max_bytes", "max_pixels", "max_seconds", "max_characters"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limits_are_above_zero(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"limits.{name} is"):
        DecodeLimits(**{name: value})


def test_text_comes_back_without_the_space_around_it() -> None:
    assert decode_text(Text(" a brown cat\n"), LIMITS) == "a brown cat"
    assert decode_text(Text("猫 🐈 кот"), LIMITS) == "猫 🐈 кот"
    assert decode_text(Text("x" * 100_000), LIMITS) == "x" * 100_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "text is empty: send some words"),
        (" \t\n ", "text is blank: send some words"),
        ("ab\0c", "text has a NUL character at position 2: remove it"),
        ("ab\ud800c", r"text has half of a surrogate pair \(U\+D800\) at position 2: send valid unicode"),
        ("\udfff", r"U\+DFFF"),
    ],
)
def test_text_that_is_refused(text: str, message: str) -> None:
    with pytest.raises(ContentError, match=message):
        decode_text(Text(text), LIMITS)


def test_text_of_a_million_characters() -> None:
    message = "text has 1000000 characters, the limit is 100000: raise limits.max_characters or shorten the text"
    with pytest.raises(LimitError, match=message):
        decode_text(Text("a" * 1_000_000), LIMITS)


def test_a_content_of_another_modality_is_refused() -> None:
    with pytest.raises(ContentError, match="content is image, not text"):
        decode_text(Image(b"x"), LIMITS)
    with pytest.raises(ContentError, match="content is audio, not image"):
        decode_image(Audio(b"x"), LIMITS)
    with pytest.raises(ContentError, match="content is text, not audio"):
        decode_audio(Text("x"), LIMITS, 16_000)


@pytest.fixture(params=["image", "audio"])
def decode(request: pytest.FixtureRequest):
    if request.param == "image":
        return lambda source, limits=LIMITS: decode_image(Image(source), limits)
    return lambda source, limits=LIMITS: decode_audio(Audio(source), limits, 16_000)


def test_a_path_and_its_bytes_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_bytes(3))
    (tmp_path / "a.wav").write_bytes(wav_bytes())
    assert decode_image(Image(tmp_path / "a.png"), LIMITS) == decode_image(Image(png_bytes(3)), LIMITS)
    np.testing.assert_array_equal(
        decode_audio(Audio(tmp_path / "a.wav"), LIMITS, 8000), decode_audio(Audio(wav_bytes()), LIMITS, 8000)
    )


def test_paths_that_cannot_be_read(decode, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "large").write_bytes(b"x" * 101)
    for path, message in {
        tmp_path / "gone": "does not exist: check the path",
        tmp_path: "is a directory: name a file in it",
        tmp_path / "empty": "has zero bytes: send a file that is not empty",
        tmp_path / "pipe": "is a device, pipe or socket",
        tmp_path / "loop": "too many levels of symbolic links",
        tmp_path / ("x" * 5000): "file name too long",
        Path("a\0b"): "is no path",
        tmp_path / "empty" / "x": "not a directory",
    }.items():
        with pytest.raises(ContentError, match=message):
            decode(path)
    with pytest.raises(LimitError, match=r"has 101 bytes, the limit is 100: raise limits\.max_bytes"):
        decode(tmp_path / "large", DecodeLimits(max_bytes=100))
    with pytest.raises(LimitError, match=r"has 101 bytes, the limit is 100: raise limits\.max_bytes"):
        decode(b"x" * 101, DecodeLimits(max_bytes=100))
    with pytest.raises(ContentError, match="has zero bytes"):
        decode(b"")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_the_right_to_read(decode, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "secret").chmod(0)
    with pytest.raises(ContentError, match="may not be read"):
        decode(tmp_path / "secret")


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_random_bytes_raise_only_content_errors(data: bytes) -> None:
    for run in (lambda: decode_image(Image(data), LIMITS), lambda: decode_audio(Audio(data), LIMITS, 16_000)):
        with pytest.raises(ContentError):
            run()


WHOLE = {
    **{
        kind: saved(halves().resize((64, 32)), kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
    },
    "SVG": (
        SVG + '<defs><filter id="f"><feGaussianBlur stdDeviation="1"/></filter></defs>'
        '<path d="M0 0L9 9L0 9z" fill="red" filter="url(#f)"/></svg>'
    ).encode(),
    "SVGZ": gzip.compress((SVG + '<rect width="9" height="9"/></svg>').encode()),
    **{kind: sound(kind, sine(440, 16_000, 0.3), 16_000) for kind in ("WAV", "FLAC", "OGG", "MP3")},
}


@given(st.sampled_from(sorted(WHOLE)), st.data())
@settings(max_examples=400, deadline=None)
def test_damaged_files_raise_only_content_errors(kind: str, data: st.DataObject) -> None:
    damaged = bytearray(WHOLE[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(1, len(damaged)))]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            if kind in ("WAV", "FLAC", "OGG", "MP3"):
                decode_audio(Audio(bytes(damaged)), LIMITS, 16_000)
            else:
                decode_image(Image(bytes(damaged)), LIMITS)
    except ContentError as error:
        assert error.remedy  # most damage is refused, some cannot be seen


@pytest.mark.parametrize("kind", sorted(WHOLE))
def test_half_a_file_is_refused(kind: str) -> None:
    half = WHOLE[kind][: len(WHOLE[kind]) // 2]
    with pytest.raises(ContentError, match=r"truncated|corrupt"):
        if kind in ("WAV", "FLAC", "OGG", "MP3"):
            decode_audio(Audio(half), LIMITS, 16_000)
        else:
            decode_image(Image(half), LIMITS)
