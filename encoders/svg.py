"""SVG → pixels, without scripts, external references or files of the system.

The document is parsed and written anew before the renderer sees it: entities are expanded within expat's own
bounds, the DTD is dropped, and every reference goes unless it points inside the document or holds an embedded
raster picture whose header passed the pixel limit. Fonts of the machine are not loaded, so that a picture
looks the same everywhere; text that is not drawn as paths is therefore left out. The renderer can abort or hang, so
all this runs in a process of its own (`encoders.processes`).
"""

import base64
import binascii
import io
import math
import re
import urllib.parse
import zlib
from collections.abc import Callable, Iterator
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser, tostring

import resvg_py
from PIL.PngImagePlugin import PngImageFile

from encoders.errors import ContentError, LimitError

MAX_DEPTH = 200
"""Nesting of elements, references included."""
MAX_COST = 1_000_000
"""Elements and path segments, every reference (use, pattern, mask, marker) charged with what it points to; and the
references that are looked at in all: those of a style's rule count for every element that it may fit."""
MAX_FILTERS = 100
"""Filter primitives, counted in the same way: a drawing with more is rendered without its filters."""
MAX_ASPECT = 4.0
"""A picture longer than this is rendered with its shorter side below the size that was asked for."""
DEFAULT_SIDE = 512
"""Pixels of the shorter side where no size is asked for."""

_DROPPED = frozenset({"script", "foreignObject", "iframe", "feConvolveMatrix", "feMorphology", "feTurbulence"})
"""Elements that run code, or whose cost the document sets without bound."""
# Every quantifier is possessive, so that no expression goes back: a strange document costs no more than its length.
_EMBEDDED = re.compile(r"\s*+data:image/(?:png|jpe?+g|gif|webp)\s*+(;[^,]*+)?+,", re.IGNORECASE)
_REFERENCE = re.compile(r"url\(\s*+(?:['\"]\s*+)?+#([^'\")\s]++)", re.IGNORECASE)
_TOKEN = re.compile(r"[\w-]++|\*|\[")
_FILTER = re.compile(r"filter\s*+:[^;}]*+", re.IGNORECASE)
_SEPARATOR = re.compile(r"[\s,]++")
_PICTURE_STEPS = 10_000
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
    _check_cost(root)
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
        if self._elements == 1 and _local(tag) != "svg":
            raise ContentError(f"image is an xml document with root {_local(tag)}, not svg", "send a picture")
        if self._dropped_from:
            return
        if _local(tag) in _DROPPED:
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
        local = _local(name)
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
    parser = XMLParser(target=cleaner)
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


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _check_cost(root: Element) -> None:
    """Refuse drawings that cost too much to render, and drop the filters where they are what costs.

    References unfold as in the attack called a billion laughs: each is charged with all that it points to.
    """
    drawing, filters = _Cost(root).of(root, 1)
    if drawing > MAX_COST:
        raise _too_costly()
    if filters > MAX_FILTERS:
        for element in root.iter():
            element.attrib.pop("filter", None)
            if "style" in element.attrib:
                element.attrib["style"] = _FILTER.sub("", element.attrib["style"])
            if _local(element.tag) == "style":
                element.text = _FILTER.sub("", element.text or "")


def _too_costly() -> LimitError:
    return LimitError(f"svg unfolds to more than {MAX_COST} drawing steps", "simplify the drawing")


class _Cost:
    """What elements cost with all that they refer to: (drawing steps, filter primitives)."""

    def __init__(self, root: Element) -> None:
        self._looked_at = 0
        self._by_id = {element.attrib["id"]: element for element in root.iter() if "id" in element.attrib}
        self._styles: dict[str, list[str]] = {}
        self._known: dict[Element, tuple[int, int]] = {}
        for style in root.iter():
            if _local(style.tag) == "style" and style.text:
                style.text = style.text.replace("\\", "")  # escapes would hide a reference
                for selector, body in _rules(style.text):
                    references = _REFERENCE.findall(body)
                    for token in _TOKEN.findall(selector) if references else ():
                        self._look_at(len(references))
                        self._styles.setdefault(token, []).extend(references)

    def _look_at(self, references: int) -> None:
        self._looked_at += references
        if self._looked_at > MAX_COST:
            raise _too_costly()

    def of(self, element: Element, depth: int) -> tuple[int, int]:
        if element in self._known:
            return self._known[element]
        if depth > MAX_DEPTH:
            raise LimitError(f"svg is nested more than {MAX_DEPTH} deep", "flatten the drawing")
        self._known[element] = (1, 0)  # a cycle ends here, as it does in the renderer
        steps, markers = self._own(element)
        filters = int(_local(element.tag).startswith("fe"))
        for part in element:
            part_steps, part_filters = self.of(part, depth + 1)
            steps, filters = steps + part_steps, filters + part_filters
        for name in self._references(element):
            target = self._by_id.get(name)
            if target is not None:
                times = markers if _local(target.tag) == "marker" else 1
                part_steps, part_filters = self.of(target, depth + 1)
                steps, filters = steps + times * part_steps, filters + times * part_filters
        # Kept small: a sum of doubling references would else grow to numbers of many digits.
        self._known[element] = min(steps, MAX_COST + 1), min(filters, MAX_FILTERS + 1)
        return self._known[element]

    @staticmethod
    def _own(element: Element) -> tuple[int, int]:
        """Steps of one element alone, and how many markers it may draw."""
        outline = len(element.attrib.get("d", "")) + len(element.attrib.get("points", ""))
        vertices = outline // 4
        steps = 1 + outline // 8
        if any(_local(name) == "href" and value[:1] != "#" for name, value in element.attrib.items()):
            steps += _PICTURE_STEPS
        return steps, max(1, vertices)

    def _references(self, element: Element) -> list[str]:
        found: list[str] = []
        for name, value in element.attrib.items():
            if _local(name) == "href" and value.startswith("#"):
                found.append(value[1:])
            elif "(" in value:
                found.extend(_REFERENCE.findall(value))
        if self._styles:
            classes = element.attrib.get("class", "").split()
            for token in {_local(element.tag), element.attrib.get("id", ""), "*", "[", *classes}:
                found.extend(self._styles.get(token, ()))
        self._look_at(len(found))
        return found


def _rules(style: str) -> Iterator[tuple[str, str]]:
    """Selector and body of each innermost rule of a style sheet."""
    for part in style.split("}")[:-1]:
        head, brace, body = part.rpartition("{")
        selector = head.rpartition("{")[2]
        if brace and selector:
            yield selector, body


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
