"""Media that the tests of decoding make."""

import io
import struct
import zlib

import numpy as np
import soundfile
from PIL import Image as Pillow

from encoders.decoding.decode import decode_image
from encoders.decoding.limits import DecodeLimits
from encoders.types import Image

LIMITS = DecodeLimits()
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="40" height="20">'


def saved(picture: Pillow.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def pixel(data: bytes, at: tuple[int, int] = (4, 4)) -> tuple[int, ...]:
    picture = decode_image(Image(data), LIMITS)
    assert picture.mode == "RGB"
    return picture.getpixel(at)


def close(pixel: tuple[int, ...], colour: tuple[int, ...], slack: int = 6) -> bool:
    return all(abs(a - b) <= slack for a, b in zip(pixel, colour, strict=True))


def halves() -> Pillow.Image:
    """Red on the left, blue on the right, 16 wide and 8 high."""
    picture = Pillow.new("RGB", (16, 8), RED)
    picture.paste(BLUE, (8, 0, 16, 8))
    return picture


def sound(kind: str, samples: np.ndarray, rate: int, subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def sine(frequency: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def black_png(width: int, height: int) -> bytes:
    """A sound one-bit PNG of any size; its rows are made as they are packed."""
    packer, row = zlib.compressobj(1), bytes(1 + (width + 7) // 8)
    body = b"".join([packer.compress(row) for _ in range(height)]) + packer.flush()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
