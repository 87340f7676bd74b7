"""What is doubtful in columns, each with a remedy, in the words that the user is told."""

import re
from collections.abc import Iterator

from engine.core.filters import FieldKind
from indexers.guess.sample import Column, Sample

LONG_WORDS = 180
"""An encoder of texts reads about as many words."""

_MOST = 0.8
_HTML = re.compile(r".*<(p|div|br|span|a|h\d|ul|li|b|strong|img)\b[^>]*>", re.IGNORECASE | re.DOTALL)
_DAY = re.compile(r"\d{1,2}[./]\d{1,2}[./]\d{2,4}( \d{1,2}:\d\d.*)?$")
_COMMA = re.compile(r"-?(\d{1,3}(\.\d{3})+|\d+),\d+$")
_MONEY = re.compile(r"([€$£]\s?[\d.,]+|[\d.,]+\s?(€|EUR|USD|GBP|CHF|\$|£))$")
TIME_NAME = re.compile(r"(^|_)(at|time|date|created|updated|timestamp|published|modified)($|_)|timestamp|date$")
_TAG_NAME = re.compile(
    r"tags?|keywords?|labels?|genres?|categor(y|ies)|topics?|colou?rs?|sizes?|skills?|moods?|stichw\w+|schlagw\w+"
)
_LATITUDE, _LONGITUDE = ("lat", "latitude"), ("lon", "lng", "long", "longitude")
_PART_WORDS, _PART_CHARACTERS = 4, 30


def doubts_of_text(column: Column) -> Iterator[str]:
    """Of a column that is encoded as a text."""
    if column.share(_HTML) > 0.3:
        yield f"{column.name} holds HTML, whose tags would be encoded as words: strip them before indexing"
    if column.words > LONG_WORDS:
        long = f"{column.name} is long ({column.words:.0f} words on average)"
        yield f"{long}: it is split into passages of about {LONG_WORDS} words, as many as index.max_parts allows"


def doubts_of_payload(sample: Sample, names: set[str]) -> Iterator[str]:
    """Of the columns that are payload.

    Args:
        sample: the first rows.
        names: the columns that are told about.
    """
    for name, column in sample.columns.items():
        if name not in names or not column.values:
            continue
        first = str(column.values[0])[:30]
        if column.share(_DAY) > _MOST:
            yield f"{name} holds days such as {first}, which are texts: write 2026-12-31 to filter by time"
        elif column.share(_COMMA) > _MOST:
            yield f"{name} holds numbers such as {first}, which are texts: write a point to compare them"
        elif column.share(_MONEY) > _MOST:
            yield f"{name} holds amounts such as {first}, which are texts: write the number alone to compare them"
        elif TIME_NAME.search(name.lower()) and of_seconds(column):
            yield f"{name} looks like seconds since 1970: write RFC 3339 to filter by time, or compare the numbers"
        elif isinstance(column.values[0], dict) and column.kind is None:
            yield from _place(name, {str(key).lower() for key in column.values[0]})
    yield from _place("the row", {name.lower() for name in sample.columns})


def of_seconds(column: Column) -> bool:
    """Whether it holds numbers that can be times since 1970."""
    numbers = [one for one in column.values if isinstance(one, int | float) and not isinstance(one, bool)]
    return len(numbers) == len(column.values) and all(1e8 < one < 2e10 or 1e12 < one < 2e13 for one in numbers)


def _place(where: str, keys: set[str]) -> Iterator[str]:
    lat, lon = keys & {*_LATITUDE}, keys & {*_LONGITUDE}
    if lat and lon:
        names = f"{min(lat)} and {min(lon)} of {where}"
        yield f'{names} are two numbers: write {{"lat": 52.5, "lon": 13.4}} in one column to filter by distance'


def separator_of(column: Column) -> str:
    """What separates the values of cells that are lists; "" if they are none."""
    if not column.texts or column.is_list or column.kind not in (FieldKind.KEYWORD, None):
        return ""
    named = bool(_TAG_NAME.fullmatch(column.plain_name))
    for separator in ("|", ";", ","):
        cells = [[part.strip() for part in text.split(separator)] for text in column.texts]
        several = sum(len(cell) > 1 for cell in cells)
        parts = [part for cell in cells for part in cell if part]
        short = all(len(part) <= _PART_CHARACTERS and len(part.split()) <= _PART_WORDS for part in parts)
        if several >= (0.1 if named else 0.3) * len(cells) and several and short and (named or separator != ","):
            return separator
    return ""
