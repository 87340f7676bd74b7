"""Which columns are the id and the text."""

import re
from itertools import combinations

from indexers.guess.sample import Column, Sample
from indexers.readers.base import Value

_ID = re.compile(
    r"id|sku|asin|uuid|guid|uid|key|code|handle|slug|number|nr|no|artnr|artikelnummer"
    r"|(item|product|article|part|offer|catalog|order)(number|no|nr|code|key|ref)"
)
_TRADE_ID = re.compile(r"isbn\d*|ean\d*|gtin\d*|upc")
_OTHERS_ID = re.compile(
    r"(category|brand|user|seller|shop|store|company|parent|group|author|artist|album|owner|type)_?id"
)
_MONGO_ID = re.compile(r"_?id\.\$?oid")
_ENDS_IN_ID = re.compile(r".*([_\-. ]id|[a-z]I[dD]|ID)$", re.DOTALL)
_TITLE = (
    "title", "name", "headline", "caption", "heading", "subject", "titel", "bezeichnung", "label", "overskrift",
)  # fmt: skip
_TITLES = re.compile(r"(product|item|track|song|film|movie|article|job|display|artikel)(name|title|titel)")
_PROSE = (
    "description", "text", "body", "content", "summary", "abstract", "details", "about", "beschreibung", "lyrics",
    "plot", "overview", "transcript", "bodyhtml", "html", "desc", "longdescription", "shortdescription", "inhalt",
    "paragraphs", "passages", "texts",
)  # fmt: skip
_CODE = re.compile(r"[^\s/]{1,64}$")
_MAX_PROSE = 2
_PATH = re.compile(r".*\.[A-Za-z0-9]{2,5}$", re.DOTALL)
_SINGLE_WORDS = 2.5


def id_columns(sample: Sample) -> list[Column]:
    """The columns that name items, the likeliest first: none is empty or twice in the sample."""
    ranked = [(rank, column) for column in sample.columns.values() if (rank := _id_rank(column)) is not None]
    unique = [(rank, column) for rank, column in ranked if is_unique(sample, (column.name,)) and _can_be_id(column)]
    return [column for _, column in sorted(unique, key=lambda pair: pair[0])]


def called_id(sample: Sample) -> list[Column]:
    """The columns that are called like an id, whatever they hold."""
    named = [column for column in sample.columns.values() if (_id_rank(column) in (0, 1)) and "." not in column.name]
    return [column for column in named if _can_be_id(column)]


def _id_rank(column: Column) -> int | None:
    """0 is the best; None for a column that is not called like one."""
    nested = 4 * column.name.count(".")
    if _MONGO_ID.fullmatch(column.name) or column.plain_name == "id":
        return 0 if _MONGO_ID.fullmatch(column.name) else nested
    if _OTHERS_ID.search(column.name.lower()):
        return 3 + nested
    if _ID.fullmatch(column.plain_name) or _ENDS_IN_ID.match(column.name):
        return 1 + nested
    if _TRADE_ID.fullmatch(column.plain_name):
        return 2 + nested
    codes = column.texts and column.share(_CODE) == 1 and not column.of_urls and not column.of_times
    if codes and column.share(_PATH) < 0.5 and all(any(c.isdigit() for c in text) for text in column.texts):
        return 4 + nested
    return None


def _can_be_id(column: Column) -> bool:
    return all(isinstance(value, str | int) and not isinstance(value, bool) for value in column.values)


def is_unique(sample: Sample, names: tuple[str, ...]) -> bool:
    """Whether each row has values of its own in these columns together."""
    keys = [tuple(_hashable(row.get(name)) for name in names) for row in sample.rows]
    return bool(keys) and all(None not in key and "" not in key for key in keys) and len(set(keys)) == len(keys)


def _hashable(value: Value) -> str | int | None:
    return value if isinstance(value, str | int) and not isinstance(value, bool) else None


def unique_together(sample: Sample) -> tuple[str, ...]:
    """The fewest columns, up to three, that tell the rows apart; () if there are none."""
    short = [
        column.name
        for column in sample.columns.values()
        if len(column.values) == len(sample.rows)
        and _can_be_id(column)
        and "." not in column.name
        and column.words < 12
    ][:12]
    for count in (1, 2, 3):
        for names in combinations(short, count):
            if is_unique(sample, names):
                return names
    return ()


def text_columns(sample: Sample, taken: set[str]) -> tuple[list[Column], str]:
    """The columns whose texts are encoded, in their order, and why; no columns if there is no text.

    Args:
        sample: the first rows.
        taken: columns that have a role already.
    """
    texts = [
        column
        for column in sample.whole()
        if column.name not in taken and column.texts and not column.of_urls and not column.of_times
        and (not column.is_list or column.words >= _SINGLE_WORDS)  # else they are keywords
    ]  # fmt: skip
    titles = [column for column in texts if _title_rank(column) is not None and _mostly_different(column)]
    titles.sort(key=_rank_of_title)
    prose = [column for column in texts if column.plain_name in _PROSE and column not in titles]
    prose.sort(key=lambda column: (column.name.count("."), _PROSE.index(column.plain_name)))
    if titles or prose:
        return [*titles[:1], *prose[:_MAX_PROSE]], "called like a text"
    wordy = [column for column in texts if column.words >= _SINGLE_WORDS and _mostly_different(column)]
    return sorted(wordy, key=lambda column: -column.words)[:1], ""


def _mostly_different(column: Column) -> bool:
    """Whether it tells items apart, as a category does not."""
    return len(set(column.texts)) > len(column.texts) / 3


def _title_rank(column: Column) -> int | None:
    if column.plain_name in _TITLE:
        return _TITLE.index(column.plain_name)
    return len(_TITLE) if _TITLES.fullmatch(column.plain_name) else None


def _rank_of_title(column: Column) -> tuple[int, int]:
    return column.name.count("."), _title_rank(column) or 0
