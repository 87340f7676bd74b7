"""Which payload fields can be filtered on, found in the first rows of a catalogue."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from engine.core.filters import FieldKind, Schema
from engine.core.types import Json, Payload
from engine.store.match import seconds_of

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_\-]*")
_LIKE_A_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_MAX_WORDS = 8
_MAX_CHARACTERS = 120


def infer_schema(payloads: Iterable[Payload], declared: Schema) -> Schema:
    """The kinds of payload fields, as declared or else as their values suggest.

    Texts are keywords unless they read like prose (over 8 words or 120 characters), times are RFC 3339, places are
    {"lat", "lon"}. Fields whose values disagree, and those inside objects, are left out unless they are declared.
    """
    found: dict[str, set[FieldKind | None]] = {}
    for payload in payloads:
        for name, value in payload.items():
            if name not in declared and filterable(name) and "." not in name:
                kinds = found.setdefault(name, set())
                kinds.update(_kind(inner) for inner in (value if isinstance(value, list) else [value]))
    schema = dict(declared)
    for name, seen in found.items():
        kind = _common(seen)
        if kind is not None:
            schema[name] = kind
    return schema


def filterable(name: str) -> bool:
    """Whether a field of this name, or of `outer.inner`, can be filtered on."""
    return all(_NAME.fullmatch(step) for step in name.split(".")) and not name.startswith("_")


def mixed_fields(payloads: Iterable[Payload], schema: Schema) -> dict[str, str]:
    """The fields that hold numbers in most rows and texts in others, so that neither can be compared.

    Args:
        payloads: of the first rows.
        schema: as it was found in them; fields of numbers are not mixed.

    Returns:
        By name the first text that is no number.
    """
    numbers: Counter[str] = Counter()
    texts: dict[str, list[str]] = {}
    for payload in payloads:
        for name, value in payload.items():
            if isinstance(value, str) and not _LIKE_A_NUMBER.fullmatch(value):
                texts.setdefault(name, []).append(value)
            elif isinstance(value, str | int | float) and not isinstance(value, bool):
                numbers[name] += 1
    of_numbers = {name for name, kind in schema.items() if kind in {FieldKind.INTEGER, FieldKind.FLOAT}}
    return {name: found[0] for name, found in texts.items() if numbers[name] > len(found) and name not in of_numbers}


def _common(kinds: set[FieldKind | None]) -> FieldKind | None:
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds == {FieldKind.INTEGER, FieldKind.FLOAT}:
        return FieldKind.FLOAT
    if kinds == {FieldKind.KEYWORD, FieldKind.DATETIME}:
        return FieldKind.KEYWORD
    return None


def _kind(value: Json) -> FieldKind | None:
    match value:
        case bool():
            return FieldKind.BOOL
        case int():
            return FieldKind.INTEGER
        case float():
            return FieldKind.FLOAT
        case str() if seconds_of(value) is not None:
            return FieldKind.DATETIME
        case str() if len(value) <= _MAX_CHARACTERS and len(value.split()) <= _MAX_WORDS and "\n" not in value:
            return FieldKind.KEYWORD
        case Mapping() if _is_place(value):
            return FieldKind.GEO
        case _:
            return None


def _is_place(value: Mapping[str, Json]) -> bool:
    lat, lon = value.get("lat"), value.get("lon")
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (lat, lon))
    return numbers and set(value) == {"lat", "lon"}
