"""Decoding in processes of its own against the same codecs in this process, by turns.

    python -m benchmarks.decoding [--rounds 30] [--json]

one: a content alone, the median in milliseconds: what an upload waits for.
many: contents per second, as many threads as cores: what bulk indexing gets.
start: milliseconds from nothing to the first picture, once.
"""

import argparse
import io
import json
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import soundfile
from PIL import Image as Pillow

from encoders.decoding.decode import decode_audio, decode_image
from encoders.decoding.limits import DEFAULT_LIMITS
from encoders.decoding.pcm import open_pcm
from encoders.decoding.raster import PictureLimits, decode_raster, open_raster
from encoders.decoding.resample import Resampler
from encoders.networks.image import DECODED_SIDE
from encoders.types import Audio, Image

RATE = 16_000
LIMITS = PictureLimits(DEFAULT_LIMITS.max_pixels, DEFAULT_LIMITS.max_side, DEFAULT_LIMITS.max_ratio)
Decode = Callable[[], object]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    started = time.perf_counter()
    decode_image(Image(picture("PNG", 64)))
    report: dict[str, Any] = {"start_ms": 1000 * (time.perf_counter() - started), "contents": {}}
    for name, (here, there) in contents().items():
        report["contents"][name] = compare(here, there, options.rounds)
    if options.json:
        print(json.dumps(report))
        return
    print(f"start {report['start_ms']:.0f} ms")
    for name, figures in report["contents"].items():
        print(name, "  ".join(f"{key} {value:.2f}" for key, value in figures.items()))


def contents() -> dict[str, tuple[Decode, Decode]]:
    """Per kind of content, how it is decoded in this process, and in another."""
    pictures = {
        "png_256": picture("PNG", 256),
        "png_2000": picture("PNG", 2000),
        "jpeg_256": picture("JPEG", 256),
        "jpeg_2000": picture("JPEG", 2000),
        "webp_800": picture("WEBP", 800),
    }
    sounds = {
        "wav_1_s": sound("WAV", 1),
        "ogg_10_s": sound("OGG", 10),
        "mp3_10_s": sound("MP3", 10),
        "flac_60_s": sound("FLAC", 60),
    }

    def image(data: bytes) -> tuple[Decode, Decode]:
        return (
            lambda: decode_raster(open_raster(data, LIMITS), DECODED_SIDE),
            lambda: decode_image(Image(data), size=DECODED_SIDE),
        )

    def audio(data: bytes) -> tuple[Decode, Decode]:
        return lambda: samples(data), lambda: decode_audio(Audio(data), DEFAULT_LIMITS, RATE)

    return {**{name: image(data) for name, data in pictures.items()}, **{n: audio(d) for n, d in sounds.items()}}


def samples(data: bytes) -> object:
    """A sound at `RATE`, decoded in this process."""
    with open_pcm(data, DEFAULT_LIMITS.max_seconds) as opened:
        resampler = Resampler(opened.rate, RATE)
        return np.concatenate([*map(resampler.add, opened.blocks()), resampler.end()])


def compare(here: Decode, there: Decode, rounds: int) -> dict[str, float]:
    """Both ways by turns: alone, and in as many threads as there are cores."""
    alone: dict[Decode, list[float]] = {here: [], there: []}
    together: dict[Decode, list[float]] = {here: [], there: []}
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for decode in (here, there):
            list(pool.map(lambda _, decode=decode: decode(), range(8)))
        for _ in range(rounds):
            for decode in (here, there):
                started = time.perf_counter()
                decode()
                alone[decode].append(time.perf_counter() - started)
                started = time.perf_counter()
                list(pool.map(lambda _, decode=decode: decode(), range(16)))
                together[decode].append((time.perf_counter() - started) / 16)
    one = [1000 * statistics.median(alone[decode]) for decode in (here, there)]
    many = [1 / statistics.median(together[decode]) for decode in (here, there)]
    return {
        "one_here_ms": one[0],
        "one_there_ms": one[1],
        "many_here_per_s": many[0],
        "many_there_per_s": many[1],
        "many_ratio": many[1] / many[0],
    }


def picture(kind: str, side: int) -> bytes:
    """Smooth noise."""
    cells = np.random.default_rng(side).integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    buffer = io.BytesIO()
    Pillow.fromarray(cells).resize((side, side), Pillow.Resampling.BILINEAR).save(buffer, kind)
    return buffer.getvalue()


def sound(kind: str, seconds: int) -> bytes:
    """Quiet noise at 44.1 kHz, mono."""
    noise = np.random.default_rng(seconds).standard_normal(44_100 * seconds) * 0.05
    buffer = io.BytesIO()
    soundfile.write(buffer, noise, 44_100, format=kind)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
