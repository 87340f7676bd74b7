"""Pictures: every format, orientation, transparency and depth; sizes checked before pixels exist."""

import struct
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from encoders.decoding.decode import decode_image
from encoders.decoding.limits import DecodeLimits
from encoders.errors import ContentError, LimitError
from encoders.types import Image
from tests.encoders.media import BLUE, GREEN, LIMITS, RED, WHITE, black_png, close, halves, pixel, saved
from tests.tiny import png_bytes


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_raster_formats(kind: str) -> None:
    data = saved(halves(), kind)
    assert close(pixel(data, (2, 4)), RED, 20)
    assert close(pixel(data, (13, 4)), BLUE, 20)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation(kind: str, orientation: int) -> None:
    upright = Pillow.new("RGB", (16, 8), RED)
    upright.paste(BLUE, (8, 0, 16, 8))
    upright.paste(GREEN, (0, 4, 8, 8))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the Transpose that lays the picture as the camera held it
    stored = upright if orientation == 1 else upright.transpose(Pillow.Transpose(undo[orientation]))
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    data = saved(stored, kind, exif=exif, **options)
    picture = decode_image(Image(data), LIMITS)
    assert picture.size == (16, 8)
    assert close(picture.getpixel((3, 1)), RED)
    assert close(picture.getpixel((12, 4)), BLUE)
    assert close(picture.getpixel((3, 6)), GREEN)


def test_transparency_is_laid_on_white() -> None:
    clear = Pillow.new("RGBA", (8, 8), (255, 0, 0, 0))
    half = Pillow.new("RGBA", (8, 8), (255, 0, 0, 128))
    assert pixel(saved(clear, "PNG")) == WHITE
    assert close(pixel(saved(half, "PNG")), (255, 127, 127), 2)
    assert pixel(saved(clear, "WEBP", lossless=True)) == WHITE
    assert pixel(saved(clear.convert("LA"), "PNG")) == WHITE
    assert pixel(saved(Pillow.new("LA", (8, 8), (90, 255)), "PNG")) == (90, 90, 90)
    assert pixel(saved(Pillow.new("RGB", (8, 8), RED), "PNG", transparency=RED)) == WHITE
    assert pixel(saved(Pillow.new("L", (8, 8), 7), "PNG", transparency=7)) == WHITE
    assert pixel(saved(clear, "GIF")) == WHITE


def test_palette_one_bit_and_cmyk() -> None:
    palette = halves().quantize(4)
    assert close(pixel(saved(palette, "PNG"), (2, 2)), RED)
    assert close(pixel(saved(palette, "GIF"), (13, 2)), BLUE)
    transparent = halves().quantize(4)
    index = transparent.getpixel((2, 2))
    assert pixel(saved(transparent, "PNG", transparency=index), (2, 2)) == WHITE
    assert pixel(saved(Pillow.new("1", (8, 8), 1), "PNG")) == WHITE
    assert pixel(saved(Pillow.new("1", (8, 8), 0), "TIFF")) == (0, 0, 0)
    cmyk = Pillow.new("CMYK", (16, 16), (0, 255, 255, 0))
    assert close(pixel(saved(cmyk, "JPEG", quality=98)), RED, 8)
    assert pixel(saved(cmyk, "TIFF")) == RED


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind: str) -> None:
    samples = np.repeat(np.array([[0, 1 << 12, 1 << 15, 65535]], np.uint16), 8, axis=0)
    picture = decode_image(Image(saved(Pillow.fromarray(samples), kind)), LIMITS)
    assert [picture.getpixel((x, 4))[0] for x in range(4)] == [0, 16, 128, 255]


def test_floating_point_pixels() -> None:
    samples = np.array([[0.0, 0.5, 1.0, np.nan]], np.float32)
    picture = decode_image(Image(saved(Pillow.fromarray(samples), "TIFF")), LIMITS)
    assert [picture.getpixel((x, 0))[0] for x in range(4)] == [0, 128, 255, 0]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation(kind: str) -> None:
    frames = [Pillow.new("RGB", (8, 8), colour) for colour in (RED, BLUE, GREEN)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    assert close(pixel(data), RED, 20)


def gif_with_a_larger_frame() -> bytes:
    """Its header says 1×1, its first frame 15000×15000."""
    frame = struct.pack("<HHHHB", 0, 0, 15_000, 15_000, 0)
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6) + b"," + frame + b"\x02\x02\x44\x01\x00;"


def huge_webp() -> bytes:
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\xfe\x3f\x00" * 2
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        (black_png(15_215, 15_210), 231_420_150),
        (black_png(10_000, 10_000), 100_000_000),  # here Pillow would only warn
        (gif_with_a_larger_frame(), 225_000_000),
        (huge_webp(), 16_383**2),
    ],
    ids=["png-231-megapixels", "png-100-megapixels", "gif", "webp"],
)
def test_the_header_is_checked_before_pixels_are_allocated(data: bytes, pixels: int) -> None:
    assert len(data) < 1 << 20
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(LimitError) as caught:
            decode_image(Image(data), LIMITS)
    assert str(caught.value) == (
        f"image has {pixels} pixels, the limit is 67108864: raise limits.max_pixels or shrink the file"
    )


def test_refusing_a_huge_picture_takes_no_memory(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    assert resource
    (tmp_path / "huge.png").write_bytes(black_png(15_215, 15_210))
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from encoders.decoding.decode import decode_image; from encoders.types import Image\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: decode_image(Image(Path(sys.argv[1])))\n"
        "except Exception as error: print(type(error).__name__)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "huge.png")], capture_output=True, text=True, check=True
    )
    name, grown = run.stdout.split()
    assert name == "LimitError"
    assert int(grown) < 20_000  # KiB


def test_a_raised_limit_lets_a_large_picture_in() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = decode_image(Image(black_png(10_000, 10_000)), DecodeLimits(max_pixels=100_000_000), 100)
    assert min(picture.size) >= 100
    assert picture.getpixel((5, 5)) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_size_hint_saves_pixels_but_never_goes_below(kind: str) -> None:
    large = halves().resize((1600, 800), Pillow.Resampling.NEAREST)
    exact = decode_image(Image(saved(large, kind)), LIMITS)
    hinted = decode_image(Image(saved(large, kind)), LIMITS, size=100)
    assert exact.size == (1600, 800)
    assert 100 <= min(hinted.size) < 400
    small = np.asarray(hinted.resize((32, 16), Pillow.Resampling.BOX), np.int16)
    plain = np.asarray(exact.resize((32, 16), Pillow.Resampling.BOX), np.int16)
    assert np.abs(small - plain).max() <= 6


def test_a_shrunk_picture_keeps_its_transparency_clean() -> None:
    picture = Pillow.new("RGBA", (800, 800), (0, 0, 0, 0))  # black where it cannot be seen
    picture.paste((255, 0, 0, 255), (400, 0, 800, 800))
    small = decode_image(Image(saved(picture, "PNG")), LIMITS, size=50)
    assert small.getpixel((10, 50)) == WHITE
    assert not np.any(np.asarray(small)[:, :, 0] < 250), "black shines through at the edge"


def test_unknown_bytes_name_the_formats() -> None:
    with pytest.raises(
        ContentError, match=r"image has no known format \(it starts with 25 50 44 46.*send one of png"
    ):
        decode_image(Image(b"%PDF-1.7 some text"), LIMITS)


def test_decoding_in_many_threads_is_the_same() -> None:
    sources = [png_bytes(seed, 64) for seed in range(40)]
    plain = [decode_image(Image(data), LIMITS).tobytes() for data in sources]
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(lambda data: decode_image(Image(data), LIMITS).tobytes(), sources))
    assert threaded == plain
