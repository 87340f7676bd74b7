"""Bytes of a raster picture → RGB pixels.

Pillow's readers are called directly, each chosen by the file's first bytes: only the formats listed here can
run, the size is known before pixels are allocated, and Pillow's own limit (a process-wide setting that warns)
plays no part.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from encoders.errors import ContentError, LimitError

FORMATS = "png, jpeg, gif, webp, bmp, tiff, avif and svg"

_OPENERS: tuple[tuple[bytes, str, Callable[[io.BytesIO], ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png", PngImageFile),
    (b"\xff\xd8\xff", "jpeg", JpegImageFile),
    (b"GIF8", "gif", GifImageFile),
    (b"BM", "bmp", BmpImageFile),
    (b"II*\0", "tiff", TiffImageFile),
    (b"MM\0*", "tiff", TiffImageFile),
)
_HANDOVER = 10
"""Bytes that a pixel of the decoded picture takes while it is handed over: its copies here, on the way and there."""
_ORIENTATION = 0x0112
_TURNS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What the header of a picture may promise, at the most."""

    pixels: int
    """Width times height."""
    side: int
    """The longer side, in pixels."""
    ratio: float
    """The longer side over the shorter one."""

    def check(self, width: int, height: int) -> None:
        """Raise LimitError if a picture is larger."""
        longer, shorter = max(width, height), max(min(width, height), 1)
        if width * height > self.pixels:
            problem = f"image has {width * height} pixels, the limit is {self.pixels}"
            raise LimitError(problem, "raise limits.max_pixels or shrink the file")
        if longer > self.side:
            problem = f"image of {width} x {height} has a side of {longer} pixels, the limit is {self.side}"
            raise LimitError(problem, "raise limits.max_side, shrink the picture or cut it")
        if longer > self.ratio * shorter:
            problem = f"image of {width} x {height} is {longer / shorter:.0f} times as long as wide"
            raise LimitError(f"{problem}, the limit is {self.ratio:g}", "raise limits.max_ratio or cut the picture")


def open_raster(data: bytes, limits: PictureLimits) -> ImageFile:
    """Read the header of a picture; no pixels are decoded.

    Args:
        data: the file.
        limits: the most that its header may promise.

    Returns:
        A picture whose pixels are still to be loaded.

    Raises:
        ContentError: if the format is unknown or the header corrupt.
        LimitError: if the header promises more than the limits.
    """
    name, opener = _recognise(data)
    early = {"gif": _gif_size, "webp": _webp_size}.get(name)
    if early:  # these readers allocate, or warn, before their size can be asked for
        limits.check(*early(data))
    try:
        image = opener(io.BytesIO(data))
    except MemoryError:
        raise
    except Exception as error:
        raise _unreadable(name, error) from error
    limits.check(image.width, image.height)
    return image


def pixels_of(data: bytes, limits: PictureLimits) -> int:
    """The number of pixels that the header of a picture promises; raises as `open_raster` does."""
    image = open_raster(data, limits)
    return image.width * image.height


def decode_raster(
    image: ImageFile, size: int | None, take: Callable[[int], None] = lambda size: None
) -> Pillow.Image:
    """Decode the first frame of an opened picture: upright, RGB, transparency on white.

    Args:
        image: what `open_raster` gave.
        size: the shorter side that will be needed, in pixels: a far larger picture is shrunk while it is
            decoded, to at least this. None keeps every pixel.
        take: told, before pixels are allocated, how many bytes they take with all copies at the most; it may wait.

    Returns:
        An RGB picture.

    Raises:
        ContentError: if the pixels are truncated or corrupt.
    """
    name = (image.format or "image").lower()
    try:
        if size is not None:
            image.draft(None, (size, size))
        factor = max(1, min(image.size) // (2 * size)) if size else 1
        pixels = image.width * image.height
        take(max(pixels * _bytes_per_pixel(image.mode), pixels // factor**2 * _HANDOVER))
        image.load()
        turn = _orientation(image)
        plain = _plain(image)
        if factor > 1:
            plain = plain.reduce(factor)
        plain = _on_white(plain)
        return plain.transpose(turn) if turn is not None else plain
    except MemoryError:
        raise
    except Exception as error:
        raise _unreadable(name, error) from error


def _bytes_per_pixel(mode: str) -> int:
    """What decoding a pixel takes, all copies of it that are there at once together."""
    if mode in ("1", "L"):
        return 6
    return 40 if mode[0] in "IF" else 16


def _recognise(data: bytes) -> tuple[str, Callable[[io.BytesIO], ImageFile]]:
    for magic, name, opener in _OPENERS:
        if data.startswith(magic):
            return name, opener
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp", WebPImageFile
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis", b"mif1"):
        return "avif", AvifImageFile
    raise ContentError(f"image has no known format (it starts with {data[:8].hex(' ')})", f"send one of {FORMATS}")


def _unreadable(name: str, error: Exception) -> ContentError:
    if isinstance(error, ContentError):
        return error
    if isinstance(error, Pillow.DecompressionBombError | Pillow.DecompressionBombWarning):
        return LimitError(f"{name} image is too large ({error})", "shrink the file")
    text = str(error) or type(error).__name__
    truncated = isinstance(error, EOFError) or "truncated" in text.lower()
    return ContentError(f"{name} image is {'truncated' if truncated else 'corrupt'} ({text})", "send the whole file")


def _webp_size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _gif_size(data: bytes) -> tuple[int, int]:
    """The canvas, which grows where the first frame is larger than the screen in the header."""

    def short(at: int) -> int:
        return int.from_bytes(data[at : at + 2], "little")

    width, height = short(6), short(8)
    flags = data[10] if len(data) > 10 else 0
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while data[at : at + 1] == b"!":
        at += 2
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    if data[at : at + 1] == b",":
        width = max(width, short(at + 1) + short(at + 5))
        height = max(height, short(at + 3) + short(at + 7))
    return width, height


def _orientation(image: ImageFile) -> Pillow.Transpose | None:
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 (a broken EXIF block says nothing about the pixels, which are sound)
        return None


def _plain(image: Pillow.Image) -> Pillow.Image:
    """Any mode → L, RGB or RGBA."""
    if image.mode.startswith("I") or image.mode == "F":
        return Pillow.fromarray(_to_bytes(np.asarray(image)))
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _to_bytes(samples: np.ndarray) -> np.ndarray:
    """Grey samples of 16 or 32 bits (h, w) → uint8 (h, w): scaled by the range of their type, not clipped."""
    if samples.dtype.itemsize == 2:
        return (samples >> 8).astype(np.uint8)
    values = np.nan_to_num(samples.astype(np.float64))
    top = float(values.max(initial=0.0))
    full = next((bound for bound in (1.0, 255.0, 65535.0) if top <= bound), top)
    if samples.dtype.kind != "f":
        full = max(full, 255.0)
    return np.asarray(np.clip(values / full, 0, 1) * 255 + 0.5, np.uint8)


def _on_white(image: Pillow.Image) -> Pillow.Image:
    if image.mode != "RGBA":
        return image.convert("RGB")
    alpha = image.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return image.convert("RGB")
    canvas = Pillow.new("RGB", image.size, "white")
    canvas.paste(image, mask=alpha)
    return canvas
