"""What the tests of the starter space share: one loaded space, and media made on the spot."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image as Pillow
from PIL import ImageDraw

from encoders.decoding.limits import DecodeLimits
from encoders.spaces.space import Space
from encoders.spaces.starter import load_starter
from encoders.types import Audio, Image

CACHE = Path(__file__).parents[2] / "var" / "models"


@pytest.fixture(scope="session")
def network_cache() -> Path:
    """Where networks in ONNX form stay from one run to the next."""
    return CACHE


@pytest.fixture(scope="session")
def starter_space(network_cache: Path) -> Space:
    """The starter space on the CPU, with two threads."""
    return load_starter(network_cache, DecodeLimits(), "cpu", 2)


def drawing(kind: str, side: int = 300) -> Image:
    """A drawing on white: a "sun", a "house" or a "tree"."""
    picture = Pillow.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(picture)
    unit = side // 10
    if kind == "sun":
        pen.ellipse((2 * unit, 2 * unit, 8 * unit, 8 * unit), fill="gold", outline="orange", width=4)
    elif kind == "house":
        pen.rectangle((2 * unit, 5 * unit, 8 * unit, 9 * unit), fill="firebrick")
        pen.polygon([(unit, 5 * unit), (5 * unit, unit), (9 * unit, 5 * unit)], fill="saddlebrown")
        pen.rectangle((4 * unit, 6 * unit, 6 * unit, 9 * unit), fill="black")
    else:
        pen.rectangle((9 * unit // 2, 6 * unit, 11 * unit // 2, 9 * unit), fill="saddlebrown")
        pen.ellipse((2 * unit, unit, 8 * unit, 7 * unit), fill="forestgreen")
    return _png(picture)


def checkers(width: int, height: int, seed: int = 0) -> Image:
    """A picture without a white margin: coloured squares."""
    cells = np.random.default_rng(seed).integers(0, 200, (6, 6, 3), np.uint8)
    return _png(Pillow.fromarray(cells).resize((width, height), Pillow.Resampling.NEAREST))


def tone(seconds: float, hertz: float = 440.0, rate: int = 16000) -> Audio:
    """A sine, as wav."""
    time = np.arange(round(seconds * rate)) / rate
    return wav(0.4 * np.sin(2 * np.pi * hertz * time), rate)


def noise(seconds: float, seed: int = 0, rate: int = 16000) -> Audio:
    """White noise, as wav."""
    return wav(np.random.default_rng(seed).uniform(-0.4, 0.4, round(seconds * rate)), rate)


def wav(samples: np.ndarray, rate: int) -> Audio:
    """Samples (n,) as a wav file of 16 bits."""
    body = io.BytesIO()
    soundfile.write(body, samples, rate, format="WAV", subtype="PCM_16")
    return Audio(body.getvalue())


def _png(picture: Pillow.Image) -> Image:
    body = io.BytesIO()
    picture.save(body, "PNG")
    return Image(body.getvalue())
