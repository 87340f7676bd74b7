"""SVG → pixels, without scripts, external references or files of the system.

The document is parsed and written anew before the renderer sees it: entities are expanded within expat's own
bounds, the DTD is dropped, and every reference goes unless it points inside the document or holds an embedded
raster picture whose header passed the pixel limit. Fonts of the machine are not loaded, so that a picture
looks the same everywhere; text that is not drawn as paths is therefore left out. The renderer can abort or hang, so
all this runs in a process of its own (`encoders.decoding.processes`).
"""

import base64
import binascii
import io
import math
import re
import urllib.parse
import zlib
from collections.abc import Callable
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser, tostring  # nosec B405

import resvg_py
from PIL.PngImagePlugin import PngImageFile

from encoders.decoding.svg_cost import MAX_COST, MAX_DEPTH, check_cost, local_name
from encoders.errors import ContentError, LimitError

MAX_ASPECT = 4.0
"""A picture longer than this is rendered with its shorter side below the size that was asked for."""
DEFAULT_SIDE = 512
"""Pixels of the shorter side where no size is asked for."""

_DROPPED = frozenset({"script", "foreignObject", "iframe", "feConvolveMatrix", "feMorphology", "feTurbulence"})
"""Elements that run code, or whose cost the document sets without bound."""
# Every quantifier is possessive, so that no expression goes back: a strange document costs no more than its length.
_EMBEDDED = re.compile(r"\s*+data:image/(?:png|jpe?+g|gif|webp)\s*+(;[^,]*+)?+,", re.IGNORECASE)
_SEPARATOR = re.compile(r"[\s,]++")
_DIGITS = 40
"""Of a length; further ones only say that it is absurd."""
_LAYERS = 16
"""Copies of the drawing that are there at once: groups, masks and filters have some of their own."""
_COPIES = 2
"""Copies of an embedded picture that are there at once."""
_LENGTH = re.compile(
    r"\s*+(\d++\.?+\d*+|\.\d++)(?:e[+-]?+\d++)?+\s*+(?:px|pt|pc|mm|cm|in|em|ex)?+\s*+\Z", re.IGNORECASE
)

CheckEmbedded = Callable[[bytes], int]
"""Gives the pixels of an embedded picture from its header; raises ContentError where it has none."""


def is_svg(data: bytes) -> bool:
    """Whether bytes look like an XML document, or a gzip stream that may hold one."""
    head = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    return head.startswith((b"<", b"\x1f\x8b", b"\xff\xfe<\x00", b"\xfe\xff\x00<"))


def render_svg(
    data: bytes,
    *,
    size: int | None,
    max_bytes: int,
    max_pixels: int,
    check: CheckEmbedded,
    take: Callable[[int], None] = lambda size: None,
) -> PngImageFile:
    """Render a document on white.

    Args:
        data: the document, plain or gzipped (svgz).
        size: the wanted shorter side in pixels, None for `DEFAULT_SIDE`.
        max_bytes: the most that a gzipped document may unpack to.
        max_pixels: the most pixels to render, and the most that all embedded pictures may have together.
        check: reads the header of an embedded picture.
        take: told, before it is rendered, how many bytes that takes at the most; it may wait.

    Returns:
        An opaque picture whose pixels are not yet decoded.

    Raises:
        ContentError: if the document is truncated, corrupt or not SVG.
        LimitError: if it is too large or too deep.
    """
    if data.startswith(b"\x1f\x8b"):
        data = _gunzip(data, max_bytes)
    root, embedded = _parse(data, max_pixels, check)
    check_cost(root)
    width, height = _box(root, size or DEFAULT_SIDE, max_pixels)
    take(_LAYERS * 4 * width * height + _COPIES * 4 * embedded)
    return PngImageFile(io.BytesIO(_render(tostring(root, encoding="unicode"), width, height)))


def _render(svg: str, width: int, height: int) -> bytes:
    """A cleaned document (the renderer follows absolute paths) as a PNG on white, fitted into a box of pixels."""
    try:
        png: bytes = resvg_py.svg_to_bytes(
            svg_string=svg,
            background="#ffffff",
            skip_system_fonts=True,
            dpi=96.0,  # the default of 0 leaves lengths in mm and pt without a size
            width=width,
            height=height,
        )
    except ValueError as error:
        remedy = "open it in an editor and save it again"
        raise ContentError(f"svg cannot be rendered ({error})", remedy) from error
    return png


def _gunzip(data: bytes, max_bytes: int) -> bytes:
    unpacker = zlib.decompressobj(31)
    try:
        plain = unpacker.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise ContentError(f"svgz is corrupt ({error})", "send the whole file") from error
    if len(plain) > max_bytes:
        raise LimitError(
            f"svgz unpacks to more than {max_bytes} bytes", "raise limits.max_bytes or simplify the drawing"
        )
    if not unpacker.eof:
        raise ContentError("svgz is truncated", "send the whole file")
    return plain


class _Cleaner:
    """An expat target that builds the tree that the renderer may see."""

    def __init__(self, max_pixels: int, check: CheckEmbedded) -> None:
        self._tree = TreeBuilder()
        self._max_pixels = max_pixels
        self._check = check
        self.pixels = 0
        """Of all embedded pictures together."""
        self._elements = 0
        self._depth = 0
        self._dropped_from = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > MAX_DEPTH:
            raise LimitError(f"svg is nested more than {MAX_DEPTH} deep", "flatten the drawing")
        if self._elements > MAX_COST:
            raise LimitError(f"svg has more than {MAX_COST} elements", "simplify the drawing")
        if self._elements == 1 and local_name(tag) != "svg":
            raise ContentError(f"image is an xml document with root {local_name(tag)}, not svg", "send a picture")
        if self._dropped_from:
            return
        if local_name(tag) in _DROPPED:
            self._dropped_from = self._depth
            return
        kept = {name: value for name, value in attributes.items() if self._keeps(name, value)}
        self._tree.start(tag, kept)

    def data(self, text: str) -> None:
        if not self._dropped_from:
            self._tree.data(text)

    def end(self, tag: str) -> None:
        if not self._dropped_from:
            self._tree.end(tag)
        elif self._dropped_from == self._depth:
            self._dropped_from = 0
        self._depth -= 1

    def close(self) -> Element:
        return self._tree.close()

    def _keeps(self, name: str, value: str) -> bool:
        local = local_name(name)
        if local.startswith("on") or local == "base":
            return False
        if local != "href" or value.startswith("#"):
            return True
        match = _EMBEDDED.match(value)
        if not match:
            return False
        try:
            self.pixels += self._check(_unpack(value[match.end() :], match.group(1) or ""))
        except LimitError:
            raise
        except ContentError:
            return False
        if self.pixels > self._max_pixels:
            raise LimitError(
                f"svg embeds pictures of {self.pixels} pixels, the limit is {self._max_pixels}",
                "raise limits.max_pixels or shrink the file",
            )
        return True


def _unpack(body: str, parameters: str) -> bytes:
    if ";base64" not in parameters.lower():
        return urllib.parse.unquote_to_bytes(body)
    try:
        return base64.b64decode("".join(body.split()))
    except (binascii.Error, ValueError) as error:
        raise ContentError("embedded picture is not base64") from error


def _parse(data: bytes, max_pixels: int, check: CheckEmbedded) -> tuple[Element, int]:
    """The cleaned tree, and the pixels of all embedded pictures."""
    cleaner = _Cleaner(max_pixels, check)
    parser = XMLParser(target=cleaner)  # nosec B314
    try:
        parser.feed(data)
        root = parser.close()
    except ParseError as error:
        cause = "truncated" if "no element found" in str(error) or "unclosed" in str(error) else "corrupt"
        raise ContentError(f"svg is {cause} ({error})", "send the whole file") from error
    except (ValueError, LookupError, AssertionError) as error:
        raise ContentError(f"svg is corrupt ({error})", "send the whole file") from error
    if not isinstance(root, Element):
        raise ContentError("svg is empty", "send a picture")
    return root, cleaner.pixels


def _box(root: Element, size: int, max_pixels: int) -> tuple[int, int]:
    """The box that the picture is fitted into: its shorter side gets `size` pixels, within the limits."""
    lengths = [_LENGTH.match(root.attrib.get(name, "")) for name in ("width", "height")]
    sides = [_number(match.group(1)) for match in lengths if match]
    if len(sides) < 2:
        try:
            sides = [_number(part) for part in _SEPARATOR.split(root.attrib.get("viewBox", "").strip(), 4)][2:]
        except ValueError:
            sides = []
    whole = len(sides) == 2 and all(0 < side < math.inf for side in sides)
    ratio = min(max(sides[0] / sides[1], 1 / MAX_ASPECT), MAX_ASPECT) if whole else 1.0
    width, height = (size * ratio, float(size)) if ratio >= 1 else (float(size), size / ratio)
    scale = min(1.0, math.sqrt(0.99 * max_pixels / (width * height)))
    return max(1, math.floor(width * scale)), max(1, math.floor(height * scale))


def _number(text: str) -> float:
    """A number by its first digits: those of a million would take long to read."""
    return float(text[:_DIGITS])
