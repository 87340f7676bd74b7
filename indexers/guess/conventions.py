"""Columns that follow other conventions than ours, which `index` can convert: see `indexers.readers.conventions`."""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from itertools import product

from engine.core.filters import FieldKind
from indexers.guess.doubts import TIME_NAME, of_seconds
from indexers.guess.sample import Column
from indexers.readers.conventions import MILLISECONDS, SECONDS, number, time
from indexers.schema import filterable

_DAYS = (
    "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y.%m.%d", "%d %b %Y", "%d %B %Y",
    "%b %d, %Y", "%B %d, %Y",
)  # fmt: skip
_HOURS = ("", " %H:%M", " %H:%M:%S")
_FORMS = tuple(day + hour for day, hour in product(_DAYS, _HOURS))
_WITH_COMMA = re.compile(r"\d,\d+$")
_THOUSANDS = re.compile(r"\d,\d{3}(?!\d)")


@dataclass(frozen=True, slots=True)
class Other:
    """What a column becomes by its convention."""

    kind: FieldKind
    sign: str = ""
    """Its decimal sign, of a column of numbers."""
    form: str = ""
    """Of a column of times."""
    doubt: str = ""

    @property
    def told(self) -> str:
        """In words."""
        if self.sign:
            return f"decimal {'commas' if self.sign == ',' else 'points'}, read as numbers"
        return (
            f"{self.form} since 1970, read as times"
            if self.form in (SECONDS, MILLISECONDS)
            else f"read by {self.form}"
        )


def convention_of(column: Column) -> Other | None:
    """The convention that all values of a column follow; None if there is none, or it is ours."""
    if "." in column.name or not column.values:
        return None
    if TIME_NAME.search(column.name.lower()) and of_seconds(column):
        largest = max(abs(float(value)) for value in column.values)  # type: ignore[arg-type]
        return Other(FieldKind.DATETIME, form=SECONDS if largest < 1e11 else MILLISECONDS)
    texts = column.texts
    if not texts or column.is_list:
        return None
    for sign, seen in ((",", _WITH_COMMA), (".", _THOUSANDS)):
        if any(map(seen.search, texts)) and _read(texts, number, sign):
            return Other(FieldKind.FLOAT, sign, doubt=_either(column) if sign == "," else "")
    forms = [form for form in _FORMS if _read(texts[:1], time, form)]
    fitting = [form for form in forms if _read(texts, time, form)]
    if not fitting:
        return None
    doubt = ""
    if len(fitting) > 1:
        other = f'index.times.{column.name} = "{fitting[1]}"'
        doubt = f"{column.name} is read with the day first, {fitting[0]}: if it is the month, write {other}"
    return Other(FieldKind.DATETIME, form=fitting[0], doubt=doubt)


def _either(column: Column) -> str:
    """What to say where each comma could stand between thousands, too."""
    if not all(re.fullmatch(r"[+-]?\d{1,3},\d{3}|\d+", text.strip()) for text in column.texts):
        return ""
    return (
        f'{column.name} is read with decimal commas: if they part thousands, write index.decimals.{column.name} = "."'
    )


def _read(texts: Collection[str], read: object, how: str) -> bool:
    assert callable(read)
    try:
        for text in texts:
            read(text, how)
    except ValueError:
        return False
    return True


def plain_name(name: str, taken: Collection[str]) -> str:
    """A name of a column's field that can be filtered on; "" if its own can, or none is to be had."""
    if filterable(name) or "." in name or name.startswith("_"):
        return ""
    text = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    made = re.sub(r"[^A-Za-z0-9-]+", "_", text).strip("_-")
    return made if made and made not in taken and filterable(made) else ""
