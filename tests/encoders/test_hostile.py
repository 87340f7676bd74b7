"""Files that were made to cost much: each is refused with a reason, or decoded, in bounded time and memory."""

import base64
import io
import re
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from encoders.decoding import svg, svg_cost
from encoders.decoding.decode import decode_audio, decode_image
from encoders.decoding.limits import DecodeLimits
from encoders.errors import ContentError, LimitError
from encoders.types import Audio, Image
from tests.encoders.media import LIMITS, RED, SVG, black_png, close, halves, saved, sine, sound
from tests.tiny import png_bytes

M = 1_000_000
LETTERS = 300_000


# Drawings: what would take years by a quadratic expression is read within the limit of time


def drawing(body: str, head: str = SVG) -> Image:
    return Image(f'{head}{body}<rect width="20" height="20" fill="red"/></svg>'.encode())


@pytest.mark.parametrize(
    "body",
    [
        f"<style>{'a' * 2 * LETTERS}</style>",
        f"<style>{'a{' * LETTERS}</style>",
        f"<style>{'{' * 2 * LETTERS}</style>",
        f"<style>{'a}' * LETTERS}</style>",
        f"<style>{'a ' * LETTERS}{{}}</style>",
        f"<style>{'[*' * LETTERS}</style>",
        f"<style>a{{fill:url({' ' * 2 * LETTERS}}}</style>",
        f'<g fill="url({" " * 2 * LETTERS}"/>',
        f'<g fill="url({" " * LETTERS}\'{" " * LETTERS}"/>',
        f'<g fill="{"url(" * LETTERS}"/>',
        f'<g fill="{"url(  " * LETTERS}"/>',
        f'<g style="{"filter" * LETTERS}"/>',
        f'<g style="filter{" " * 2 * LETTERS}"/>',
        f'<g class="{"a " * LETTERS}"/>',
        f'<image href="data:image/png{" " * 2 * LETTERS}"/>',
        f'<image href="{" " * 2 * LETTERS}"/>',
        f'<image href="data:image/png{";" * 2 * LETTERS}"/>',
        f'<image href="data:image/png;base64,{" A" * LETTERS}"/>',
        f'<image href="data:image/png,{"%" * 2 * LETTERS}"/>',
        f"<!--{'-a' * LETTERS}-->",
        f"<text>{'&#97;' * LETTERS}</text>",
    ],
    ids=lambda body: f"{body[:24]}…",
)
def test_a_drawing_takes_time_by_its_length(body: str) -> None:
    assert decode_image(drawing(body), LIMITS, 20).getpixel((5, 5)) == RED


ABSURD = (
    "9" * 2 * LETTERS,
    "9" * LETTERS + "x",
    " " * 2 * LETTERS,
    "1" + " " * LETTERS + "x",
    "." + "9" * LETTERS,
    "1e" + "9" * LETTERS,
    "nan",
    "inf",
)
BOXES = ("0 0 " + "9" * LETTERS + " 9", "0 " * LETTERS, "0 0 inf inf", "0 0 nan 1", "," * LETTERS, "0 0 1e308 1e-308")


@pytest.mark.parametrize(
    "size",
    [f'{name}="{value}"' for name in ("width", "height") for value in ABSURD] + [f'viewBox="{box}"' for box in BOXES],
    ids=lambda size: f"{size[:24]}…",
)
def test_sizes_of_absurd_length(size: str) -> None:
    try:
        decode_image(drawing("", f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'), LIMITS, 20)
    except ContentError as error:
        assert "seconds" not in error.problem


@pytest.mark.parametrize(
    "body",
    [
        "<style>" + ",".join(f".a{n}" for n in range(2000)) + "{fill:" + "url(#b)" * 2000 + "}</style>",
        "<style>*{fill:" + "url(#b)" * 20_000 + "}</style>" + "<g/>" * 20_000,
        "<style>g{fill:" + "url(#b)" * 20_000 + "}</style>" + "<g/>" * 20_000,
    ],
    ids=["selectors", "all", "tag"],
)
def test_rules_count_for_every_element_that_they_may_fit(body: str) -> None:
    with pytest.raises(LimitError, match="svg unfolds to more than 1000000 drawing steps"):
        decode_image(drawing(body), LIMITS, 20)


def counted(body: str) -> int:
    """The references that are looked at in a drawing."""
    root, _ = svg._parse(drawing(body).source, 1, lambda data: 0)  # type: ignore[arg-type]
    cost = svg_cost._Cost(root)
    cost.of(root, 1)
    return cost._looked_at


def test_what_is_looked_at_grows_by_the_length() -> None:
    rule = "<style>.a{fill:url(#b)}</style>"
    for body in (lambda n: rule + '<g class="a"/>' * n, lambda n: '<g fill="url(#b)"/>' * n, lambda n: rule * n):
        few, many = counted(body(100)), counted(body(400))
        assert few >= 100
        assert many <= 4 * few + 4


OLD = {
    "rule": r"([^{}]+)\{([^{}]*)\}",
    "reference": r"url\(\s*['\"]?\s*#([^'\")\s]+)",
    "length": r"\s*(\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*(?:px|pt|pc|mm|cm|in|em|ex)?\s*$",
    "embedded": r"\s*data:image/(?:png|jpe?g|gif|webp)\s*(;[^,]*)?,",
    "filter": r"filter\s*:[^;}]*",
}
"""The plain expressions; ours say the same without going back."""


def words(*parts: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(parts), max_size=12).map("".join)


@given(st.text("a{}; #", max_size=30))
def test_rules_are_those_of_the_plain_expression(text: str) -> None:
    assert list(svg_cost._rules(text)) == re.findall(OLD["rule"], text)


@given(words("url(", " ", "'", '"', "#", "a", ")", "filter", ":", ";", "}"))
def test_references_and_filters_are_those_of_the_plain_expressions(text: str) -> None:
    assert svg_cost._REFERENCE.findall(text) == re.findall(OLD["reference"], text, re.IGNORECASE)
    assert svg_cost._FILTER.sub("", text) == re.sub(OLD["filter"], "", text, flags=re.IGNORECASE)


@given(words(" ", "1", "20", ".", "e", "+", "-", "px", "em", "m", "5"))
def test_lengths_are_those_of_the_plain_expression(text: str) -> None:
    new, old = svg._LENGTH.match(text), re.match(OLD["length"], text, re.IGNORECASE)
    assert (new and new.group(1)) == (old and old.group(1))


@given(words(" ", "data:image/", "png", "jpg", "jpeg", ";base64", ";a", ",", "x"))
def test_embedded_pictures_are_those_of_the_plain_expression(text: str) -> None:
    new, old = svg._EMBEDDED.match(text), re.match(OLD["embedded"], text, re.IGNORECASE)
    assert (new and new.span(1)) == (old and old.span(1))


def test_drawings_within_drawings_are_left_out() -> None:
    inner = (SVG + '<rect width="99" height="99" fill="blue"/></svg>').encode()
    for _ in range(20):
        uri = f"data:image/svg+xml;base64,{base64.b64encode(inner).decode()}"
        inner = (SVG + f'<image href="{uri}" width="20" height="20"/></svg>').encode()
    assert decode_image(Image(inner), LIMITS, 20).getpixel((5, 5)) == (255, 255, 255)


# Pictures


@pytest.mark.parametrize(("width", "height"), [(1, 67_000_000), (67_000_000, 1), (40_000, 900)])
def test_a_side_over_the_limit(width: int, height: int) -> None:
    with pytest.raises(LimitError) as caught:
        decode_image(Image(header(width, height)), LIMITS, 400)
    assert str(caught.value) == (
        f"image of {width} x {height} has a side of {max(width, height)} pixels, the limit is 32768: "
        "raise limits.max_side, shrink the picture or cut it"
    )
    assert LIMITS.budget._used == 0


def header(width: int, height: int) -> bytes:
    """A PNG that is little more than its header."""
    return black_png(1, 1).replace(
        chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 1, 0, 0, 0, 0)),
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)),
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_picture_of_an_extreme_ratio() -> None:
    with pytest.raises(LimitError) as caught:
        decode_image(Image(black_png(2, 1000)), LIMITS)
    assert str(caught.value) == (
        "image of 2 x 1000 is 500 times as long as wide, the limit is 200: raise limits.max_ratio or cut the picture"
    )
    assert decode_image(Image(black_png(2, 1000)), DecodeLimits(max_ratio=500)).size == (2, 1000)
    assert decode_image(Image(black_png(5, 1000)), LIMITS).size == (5, 1000)
    embedded = base64.b64encode(black_png(2, 1000)).decode()
    with pytest.raises(LimitError, match="500 times as long as wide"):
        decode_image(drawing(f'<image href="data:image/png;base64,{embedded}"/>'), LIMITS)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_png_whose_text_unpacks_to_five_gigabytes(kind: bytes) -> None:
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    lead = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}[kind]
    plain = png_bytes(RED)
    end = plain.index(struct.pack(">I", len(plain))[:0] + b"IHDR") + 4 + 13 + 4
    for count in (1, 51):
        data = plain[:end] + chunk(kind, lead + bomb) * count + plain[end:]
        try:
            assert decode_image(Image(data), LIMITS).getpixel((1, 1)) == RED
        except ContentError as error:
            assert "png image is" in error.problem


def test_a_png_of_many_texts() -> None:
    info = PngInfo()
    for number in range(5000):
        info.add_text(f"key {number}", "x" * 500, zip=True)
    data = saved(Pillow.new("RGB", (16, 16), RED), "PNG", pnginfo=info)
    assert decode_image(Image(data), LIMITS).getpixel((1, 1)) == RED


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_of_thousands_of_frames(kind: str) -> None:
    frames = [
        Pillow.new("RGB", (16, 16), RED),
        *(Pillow.new("RGB", (16, 16), (0, n % 200, n // 200)) for n in range(1500)),
    ]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=20)
    assert close(decode_image(Image(data), LIMITS).getpixel((5, 5)), RED, 20)


def test_a_gif_of_a_million_comments() -> None:
    plain = saved(Pillow.new("P", (16, 16), 1), "GIF")
    at = 13 + (3 << (plain[10] & 7) + 1 if plain[10] & 0x80 else 0)
    data = plain[:at] + b"!\xfe" + b"\x01a" * M + b"\0" + plain[at:]
    assert decode_image(Image(data), LIMITS).size == (16, 16)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_huge_exif(kind: str) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "x" * (60_000 if kind == "JPEG" else 4 * M)
    data = saved(halves(), kind, exif=exif)
    assert decode_image(Image(data), LIMITS).size == (8, 16)


def test_exif_that_points_at_itself() -> None:
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1)
    exif += struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    data = saved(halves(), "JPEG", exif=exif)
    assert decode_image(Image(data), LIMITS).size == (16, 8)


@pytest.mark.parametrize(
    ("tag", "value"),
    [(259, 60_000), (262, 77), (277, 65_535), (258, 65_535), (278, 0), (273, 0xFFFF_FFF0), (279, 0xFFFF_FFF0)],
)
def test_tiff_of_odd_tags(tag: int, value: int) -> None:
    plain = bytearray(saved(halves(), "TIFF"))
    at = struct.unpack("<I", plain[4:8])[0]
    for entry in range(at + 2, at + 2 + 12 * struct.unpack("<H", plain[at : at + 2])[0], 12):
        if struct.unpack("<H", plain[entry : entry + 2])[0] == tag:
            short = struct.unpack("<H", plain[entry + 2 : entry + 4])[0] == 3
            plain[entry + 4 : entry + 12] = struct.pack(
                "<IHH" if short else "<II", 1, *((value, 0) if short else (value,))
            )
    try:
        decode_image(Image(bytes(plain)), LIMITS)
    except ContentError as error:
        assert error.remedy


def test_a_tiff_whose_pages_go_in_a_circle() -> None:
    plain = bytearray(saved(halves(), "TIFF"))
    at = struct.unpack("<I", plain[4:8])[0]
    end = at + 2 + 12 * struct.unpack("<H", plain[at : at + 2])[0]
    plain[end : end + 4] = struct.pack("<I", at)
    assert close(decode_image(Image(bytes(plain)), LIMITS).getpixel((2, 2)), RED)


def test_a_tiff_of_ten_thousand_tags() -> None:
    tags = ImageFileDirectory_v2()
    for number in range(33_000, 43_000):
        tags[number] = "x" * 20
        tags.tagtype[number] = 2
    assert decode_image(Image(saved(halves(), "TIFF", tiffinfo=tags)), LIMITS).size == (16, 8)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "I;16", "F"])
def test_every_mode(mode: str) -> None:
    picture = {
        "LAB": lambda: Pillow.new("LAB", (16, 8), (90, 128, 128)),
        "I;16": lambda: Pillow.fromarray(np.full((8, 16), 5000, np.uint16)),
    }.get(mode, lambda: halves().convert(mode))()
    found = decode_image(Image(saved(picture, "TIFF")), LIMITS)
    assert (found.mode, found.size) == ("RGB", (16, 8))


def test_colour_profiles_do_not_matter() -> None:
    for profile in (b"", b"no profile", bytes(3 * M)):
        for kind in ("PNG", "JPEG", "WEBP"):
            assert decode_image(Image(saved(halves(), kind, icc_profile=profile)), LIMITS).size == (16, 8)


def claimed(width: int, height: int) -> dict[str, bytes]:
    """Headers of each format that promise a picture of this size, and little behind them."""
    plain = {kind: saved(halves(), kind) for kind in ("JPEG", "GIF", "BMP", "TIFF")}
    jpeg = plain["JPEG"].replace(
        struct.pack(">HH", 8, 16), struct.pack(">HH", min(height, 65500), min(width, 65500)), 1
    )
    gif = plain["GIF"].replace(struct.pack("<HH", 16, 8), struct.pack("<HH", min(width, 65535), min(height, 65535)))
    bmp = plain["BMP"].replace(struct.pack("<ii", 16, 8), struct.pack("<ii", width, height), 1)
    webp = (
        b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0"
        + struct.pack("<I", width - 1)[:3]
        + struct.pack("<I", height - 1)[:3]
    )
    tiff = bytearray(plain["TIFF"])
    at = struct.unpack("<I", tiff[4:8])[0]
    for entry in range(at + 2, at + 2 + 12 * struct.unpack("<H", tiff[at : at + 2])[0], 12):
        tag = struct.unpack("<H", tiff[entry : entry + 2])[0]
        if tag in (256, 257):
            tiff[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, width if tag == 256 else height)
    return {"jpeg": jpeg, "gif": gif, "bmp": bmp, "webp": webp, "tiff": bytes(tiff)}


@pytest.mark.parametrize("kind", ["jpeg", "gif", "bmp", "webp", "tiff"])
def test_a_header_that_promises_more_than_the_limits(kind: str) -> None:
    for width, height in ((30_000, 30_000), (1 << 20, 1 << 10)):
        with pytest.raises(LimitError, match=r"image (has|of) "):
            decode_image(Image(claimed(width, height)[kind]), LIMITS, 400)
    assert LIMITS.budget._used == 0


# Sounds


def test_a_flac_of_silence_ends_at_the_limit() -> None:
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 8000, 1, format="FLAC") as file:
        for _ in range(20):
            file.write(np.zeros(8000 * 36, np.float32))
    assert len(buffer.getvalue()) < M
    with pytest.raises(LimitError, match=r"audio is longer than 600 seconds \(its header claims 720\.0\)"):
        decode_audio(Audio(buffer.getvalue()), LIMITS, 16_000)


def test_a_flac_that_claims_days() -> None:
    """Its header has 36 bits for the number of samples."""
    plain = bytearray(sound("FLAC", sine(440, 16_000), 16_000))
    assert plain[4] & 0x7F == 0  # STREAMINFO comes first
    plain[8 + 13] |= 0x0F
    plain[8 + 14 : 8 + 18] = b"\xff" * 4
    with pytest.raises(ContentError) as caught:
        decode_audio(Audio(bytes(plain)), LIMITS, 16_000)
    assert caught.value.remedy


def test_an_ogg_that_claims_years() -> None:
    """The place of its last page is a number of 64 bits; the checksum of the page fits."""
    plain = bytearray(sound("OGG", sine(440, 16_000), 16_000))
    page = plain.rfind(b"OggS")
    plain[page + 6 : page + 14] = struct.pack("<q", (1 << 62) + 1)
    plain[page + 22 : page + 26] = bytes(4)
    plain[page + 22 : page + 26] = struct.pack("<I", ogg_checksum(plain[page:]))
    try:
        assert 0 < len(decode_audio(Audio(bytes(plain)), LIMITS, 16_000)) < 32_000
    except ContentError as error:
        assert error.remedy


def ogg_checksum(page: bytes | bytearray) -> int:
    """Of a page, see RFC 3533, section 6."""
    total = 0
    for byte in page:
        total ^= byte << 24
        for _ in range(8):
            total = (total << 1 ^ (0x04C11DB7 if total & 1 << 31 else 0)) & 0xFFFFFFFF
    return total


@pytest.mark.parametrize(
    "make",
    [
        lambda data: data[:44] + b"\xff" * len(data),
        lambda data: data[:40] + b"\0" * 4,
        lambda data: data[:12] + b"JUNK\xff\xff\xff\xff" + data[12:],
    ],
)
def test_wav_of_odd_chunks(make: Callable[[bytes], bytes]) -> None:
    try:
        decode_audio(Audio(make(sound("WAV", sine(440, 16_000), 16_000))), LIMITS, 16_000)
    except ContentError as error:
        assert error.remedy


def test_an_mp3_of_a_million_tags() -> None:
    tag = b"ID3\x03\0\0\0\0\0\0"
    data = tag * 200_000 + sound("MP3", sine(440, 16_000), 16_000)
    try:
        assert len(decode_audio(Audio(data), LIMITS, 16_000))
    except ContentError as error:
        assert error.remedy


def test_formats_that_are_not_named_are_bounded_all_the_same() -> None:
    for kind, subtype in (("AIFF", "PCM_16"), ("AU", "PCM_16"), ("CAF", "ALAC_16"), ("W64", "PCM_16")):
        assert len(decode_audio(Audio(sound(kind, sine(440, 16_000), 16_000, subtype)), LIMITS, 16_000)) == 16_000
