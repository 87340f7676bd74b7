"""Drawings: what is drawn, what is left out, what is refused."""

import gzip
from pathlib import Path

import pytest

from encoders.decoding.decode import decode_image
from encoders.decoding.limits import DecodeLimits
from encoders.errors import ContentError, LimitError
from encoders.types import Image
from tests.encoders.media import (
    BLUE,
    LIMITS,
    RED,
    SVG,
    WHITE,
    black_png,
)
from tests.tiny import png_bytes


def svg_pixel(body: str, at: tuple[int, int] = (5, 5), head: str = SVG) -> tuple[int, ...]:
    return decode_image(Image((head + body + "</svg>").encode()), LIMITS, 20).getpixel(at)


def test_svg_is_drawn_on_white_at_the_size_asked_for() -> None:
    drawing = (SVG + '<rect width="20" height="20" fill="red"/></svg>').encode()
    for data in (drawing, gzip.compress(drawing), b"\xef\xbb\xbf \n" + drawing, drawing.decode().encode("utf-16")):
        picture = decode_image(Image(data), LIMITS, size=100)
        assert picture.mode == "RGB"
        assert picture.size == (200, 100)
        assert picture.getpixel((50, 50)) == RED
        assert picture.getpixel((150, 50)) == WHITE
    assert min(decode_image(Image(drawing), LIMITS).size) == 512


@pytest.mark.parametrize(
    "size", ['width="21mm" height="42mm"', 'viewBox="0 0 10 20"', 'width="1e2pt" height="200pt"']
)
def test_svg_units(size: str) -> None:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    picture = decode_image(Image((head + '<rect width="1e4" height="1e4" fill="red"/></svg>').encode()), LIMITS, 50)
    assert picture.width == 50
    assert abs(picture.height - 100) <= 1
    assert picture.getpixel((25, 50)) == RED


@pytest.mark.parametrize(
    "size", ['width="1" height="1000000"', 'width="1e30" height="1e30"', 'width="9e9" height="1"']
)
def test_svg_of_absurd_sizes_stays_small(size: str) -> None:
    data = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><rect width="5" height="5"/></svg>'.encode()
    picture = decode_image(Image(data), LIMITS, 100)
    assert picture.width * picture.height <= 100 * 100 * 4


def test_svg_reads_nothing_from_the_system(tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(png_bytes(RED))
    (tmp_path / "red.svg").write_text(SVG + '<rect width="20" height="20" fill="red"/></svg>')
    for name in ("red.png", "red.svg"):
        for place in (f"{tmp_path}/{name}", f"file://{tmp_path}/{name}", name, f"{tmp_path}/{name}#a"):
            for attribute in ("href", "xlink:href"):
                body = f'<image {attribute}="{place}" width="20" height="20"/>'
                assert svg_pixel(body) == WHITE
                assert svg_pixel(f"<g>{body}</g><use {attribute}='{place}'/>") == WHITE
    entity = f'<!DOCTYPE svg [<!ENTITY x SYSTEM "file://{tmp_path}/red.svg">]>'
    with pytest.raises(ContentError, match="svg is corrupt"):
        svg_pixel("<text>&x;</text>", head=entity + SVG)
    style = f'<style>@import url("{tmp_path}/a.css"); rect {{ fill: url({tmp_path}/red.svg#p) }}</style>'
    assert svg_pixel(style + '<rect width="20" height="20"/>') in (WHITE, (0, 0, 0))


def test_svg_runs_no_script_and_keeps_what_is_harmless() -> None:
    assert svg_pixel('<script>x()</script><rect width="20" height="20" fill="red" onload="x()"/>') == RED
    internal = '<!DOCTYPE svg [<!ENTITY hue "blue">]>'
    assert svg_pixel('<rect width="20" height="20" fill="&hue;"/>', head=internal + SVG) == BLUE
    assert svg_pixel('<defs><g id="a"><rect width="20" height="20" fill="red"/></g></defs><use href="#a"/>') == RED
    style = "<style>.a { fill: blue }</style>"
    assert svg_pixel(style + '<rect class="a" width="20" height="20"/>') == BLUE


def test_svg_embedded_pictures() -> None:
    import base64

    def embed(data: bytes) -> str:
        uri = f"data:image/png;base64,{base64.b64encode(data).decode()}"
        return f'<image xlink:href="{uri}" width="20" height="20"/>'

    assert svg_pixel(embed(png_bytes(RED))) == RED
    assert svg_pixel(embed(b"no picture")) == WHITE
    with pytest.raises(LimitError, match="image has 231420150 pixels"):
        svg_pixel(embed(black_png(15_215, 15_210)))
    with pytest.raises(LimitError, match="svg embeds pictures of 96000000 pixels"):
        svg_pixel(embed(black_png(6000, 8000)) * 2)
    nested = base64.b64encode((SVG + '<rect width="99" height="99" fill="red"/></svg>').encode()).decode()
    assert svg_pixel(f'<image href="data:image/svg+xml;base64,{nested}" width="20" height="20"/>') == WHITE


def laughing(kind: str) -> str:
    parts = {
        "use": lambda i: f'<g id="a{i}">' + f'<use href="#a{i - 1}"/>' * 10 + "</g>",
        "mask": lambda i: f'<mask id="a{i}">' + f'<rect width="9" height="9" mask="url(#a{i - 1})"/>' * 9 + "</mask>",
        "css": lambda i: f'<mask id="a{i}">' + f'<rect width="9" height="9" class="c{i - 1}"/>' * 9 + "</mask>",
    }
    style = "<style>" + "".join(f".c{i} {{ mask: url('#a{i}') }}" for i in range(13)) + "</style>"
    return style + '<g id="a0"><rect width="9" height="9"/></g>' + "".join(parts[kind](i) for i in range(1, 12))


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (laughing("use"), "svg unfolds to more than 1000000 drawing steps: simplify the drawing"),
        (laughing("mask"), "svg unfolds to more than"),
        (laughing("css"), "svg unfolds to more than"),
        ('<marker id="m">' + "<g/>" * 200 + '</marker><path marker-mid="url(#m)" d="M0 0' + "L1 1" * 40_000 + '"/>',
         "svg unfolds to more than"),
        ('<path stroke="red" d="M0 0' + " L1 1 L20 2" * 1_000_000 + '"/>', "svg unfolds to more than"),
        ("<g>" * 5000 + "</g>" * 5000, "svg is nested more than 200 deep"),
        ("<g>", "svg is (truncated|corrupt)"),
        ("&nbsp;", "svg is corrupt"),
    ],
    ids=["use", "mask", "css", "marker", "outline", "nested", "open", "entity"],
)  # fmt: skip
def test_svg_that_is_refused(body: str, message: str) -> None:
    with pytest.raises(ContentError, match=message):
        svg_pixel(body)


@pytest.mark.timeout(10)
def test_svg_entities_that_unfold_without_bound() -> None:
    lines = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    with pytest.raises(ContentError, match="svg is corrupt"):
        svg_pixel("<text>&a9;</text>", head=f'<!DOCTYPE svg [<!ENTITY a0 "laugh">{lines}]>' + SVG)


@pytest.mark.timeout(10)
def test_svg_of_costly_filters_is_drawn_without_them() -> None:
    many = '<filter id="f"><feGaussianBlur stdDeviation="20"/></filter>' + (
        '<rect width="20" height="20" fill="red" filter="url(#f)"/>' * 2000
    )
    assert svg_pixel(many) == RED
    assert svg_pixel(
        '<filter id="f"><feMorphology radius="1e6"/></filter><rect filter="url(#f)" width="9" height="9"/>'
    )


def test_svgz_that_is_broken() -> None:
    whole = gzip.compress(b"<svg/>" * 1000)
    with pytest.raises(ContentError, match="svgz is truncated"):
        decode_image(Image(whole[:-9]), LIMITS)
    with pytest.raises(ContentError, match="svgz is corrupt"):
        decode_image(Image(whole[:12] + b"\xff" * 40), LIMITS)
    with pytest.raises(LimitError, match="svgz unpacks to more than 1000 bytes"):
        decode_image(Image(gzip.compress(bytes(10**5))), DecodeLimits(max_bytes=1000))
    with pytest.raises(LimitError, match="svgz unpacks to more than 67108864 bytes"):
        decode_image(Image(gzip.compress(bytes(10**8), 9)), LIMITS)


def test_xml_that_is_no_svg() -> None:
    with pytest.raises(ContentError, match="image is an xml document with root html, not svg"):
        decode_image(Image(b"<html><body/></html>"), LIMITS)
