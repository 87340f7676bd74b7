"""What a drawing costs to render, before it is rendered."""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element  # nosec B405

from encoders.errors import LimitError

MAX_DEPTH = 200
"""Nesting of elements, references included."""
MAX_COST = 1_000_000
"""Elements and path segments, every reference (use, pattern, mask, marker) charged with what it points to; and the
references that are looked at in all: those of a style's rule count for every element that it may fit."""
MAX_FILTERS = 100
"""Filter primitives, counted in the same way: a drawing with more is rendered without its filters."""

# Possessive, as those of encoders.decoding.svg: no expression goes back.
_REFERENCE = re.compile(r"url\(\s*+(?:['\"]\s*+)?+#([^'\")\s]++)", re.IGNORECASE)
_TOKEN = re.compile(r"[\w-]++|\*|\[")
_FILTER = re.compile(r"filter\s*+:[^;}]*+", re.IGNORECASE)
_PICTURE_STEPS = 10_000


def local_name(name: str) -> str:
    """A name without its namespace."""
    return name.rpartition("}")[2]


def check_cost(root: Element) -> None:
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
            if local_name(element.tag) == "style":
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
            if local_name(style.tag) == "style" and style.text:
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
        filters = int(local_name(element.tag).startswith("fe"))
        for part in element:
            part_steps, part_filters = self.of(part, depth + 1)
            steps, filters = steps + part_steps, filters + part_filters
        for name in self._references(element):
            target = self._by_id.get(name)
            if target is not None:
                times = markers if local_name(target.tag) == "marker" else 1
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
        if any(local_name(name) == "href" and value[:1] != "#" for name, value in element.attrib.items()):
            steps += _PICTURE_STEPS
        return steps, max(1, vertices)

    def _references(self, element: Element) -> list[str]:
        found: list[str] = []
        for name, value in element.attrib.items():
            if local_name(name) == "href" and value.startswith("#"):
                found.append(value[1:])
            elif "(" in value:
                found.extend(_REFERENCE.findall(value))
        if self._styles:
            classes = element.attrib.get("class", "").split()
            for token in {local_name(element.tag), element.attrib.get("id", ""), "*", "[", *classes}:
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
