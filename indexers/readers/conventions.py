"""Other conventions than ours: decimal commas, other forms of times, names of fields that cannot be filtered on.

They are said per column (`index.decimals`, `index.times`, `index.rename`), and applied to each row as it comes from
its reader: so whatever reads a catalogue sees numbers, RFC 3339 and plain names.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from engine.catalog.ingest import rfc3339
from engine.core.filters import FieldKind
from indexers.errors import CatalogError, RowError
from indexers.readers.base import BadRow, Reader, Row, Value
from indexers.schema import filterable

SECONDS, MILLISECONDS = "seconds", "milliseconds"
"""Forms of a time that is a number, since 1970."""

_NUMBERS = {
    ",": re.compile(r"[+-]?(\d{1,3}([.\s'’]\d{3})+|\d+)(,\d+)?"),
    ".": re.compile(r"[+-]?(\d{1,3}([,\s'’]\d{3})+|\d+)(\.\d+)?"),
}
"""By decimal sign: what may stand between thousands is the other sign, a blank or an apostrophe."""
_HOUR = re.compile(r"%-?[HIXcT]")

Convert = Callable[[Value], Value]


@dataclass(frozen=True, slots=True)
class Conventions:
    """How a catalogue writes what is payload.

    Raises:
        CatalogError: if a decimal sign is none, or a name cannot be filtered on or is given twice.
    """

    decimals: Mapping[str, str] = field(default_factory=dict)
    """Per column of numbers its decimal sign, a comma or a point; the other one may stand between thousands."""
    times: Mapping[str, str] = field(default_factory=dict)
    """Per column of times their form: as `datetime.strptime` has it, such as "%d.%m.%Y", or "seconds" or
    "milliseconds" since 1970. Those without a zone are taken as UTC."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Per column the name of its field; what else is said of the field goes by this name."""

    def __post_init__(self) -> None:
        for name, sign in self.decimals.items():
            if sign not in _NUMBERS:
                raise CatalogError(f"the decimal sign of {name} is {sign!r}", "name a comma or a point")
        for name, new in self.rename.items():
            if not filterable(new) or "." in new:
                raise CatalogError(f"{name} cannot be called {new!r}", "use letters, digits, _ and -")
        if len({*self.rename.values()}) < len(self.rename):
            raise CatalogError("two columns get one name", "give each its own in index.rename")

    def __bool__(self) -> bool:
        return bool(self.decimals or self.times or self.rename)

    def declared(self, fields: Mapping[str, FieldKind]) -> dict[str, FieldKind]:
        """What a reader is told of kinds: by the names of columns, those that are converted as the texts they are."""
        column_of = {new: name for name, new in self.rename.items()}
        by_column = {column_of.get(name, name): kind for name, kind in fields.items()}
        return {**by_column, **dict.fromkeys((*self.decimals, *self.times), FieldKind.KEYWORD)}

    def over(self, reader: Reader) -> "Converted":
        """A reader whose rows follow our conventions."""
        converts: dict[str, Convert] = {name: partial(number, sign=sign) for name, sign in self.decimals.items()}
        converts |= {name: partial(time, form=form) for name, form in self.times.items()}
        return Converted(reader, converts, self.rename)


@dataclass(frozen=True, slots=True)
class Converted:
    """A reader of rows with other conventions."""

    inner: Reader
    converts: Mapping[str, Convert]
    rename: Mapping[str, str]

    def check(self) -> None:
        """See `Reader.check`."""
        self.inner.check()

    def total(self) -> int | None:
        """See `Reader.total`."""
        return self.inner.total()

    def rows(self) -> Iterator[Row | BadRow]:
        """See `Reader.rows`."""
        for row in self.inner.rows():
            yield row if isinstance(row, BadRow) else self._converted(row)

    def _converted(self, row: Row) -> Row | BadRow:
        values = dict(row.values)
        for name, convert in self.converts.items():
            if (value := values.get(name)) is None or value == "":
                continue
            try:
                values[name] = convert(value)
            except (ValueError, OverflowError, OSError):
                problem = f"column {name} is {str(value)[:40]!r}, which is not as index.decimals or index.times say"
                return BadRow(row.line, RowError(problem, "correct the cell, or the settings", field=name))
        for name, new in self.rename.items():
            if name not in values:
                continue
            if new in values:
                problem = f"columns {name} and {new} would both be {new}"
                return BadRow(row.line, RowError(problem, "choose another name in index.rename", field=name))
            values[new] = values.pop(name)
        return Row(row.line, values)


def number(value: Value, sign: str) -> Value:
    """A number; whole where it is written without a decimal sign.

    Raises:
        ValueError: if it is none.
    """
    if isinstance(value, int | float):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if not _NUMBERS[sign].fullmatch(text):
        raise ValueError(value)
    whole, comma, part = text.partition(sign)
    digits = re.sub(r"[^\d+-]", "", whole)
    return float(f"{digits}.{part}") if comma else int(digits)


def time(value: Value, form: str) -> Value:
    """A time as RFC 3339 in UTC, a day as 2026-12-31.

    Raises:
        ValueError, OverflowError, OSError: if it is none.
    """
    if form in (SECONDS, MILLISECONDS):
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(value)
        return rfc3339(datetime.fromtimestamp(float(value) / (1 if form == SECONDS else 1000), UTC))
    if not isinstance(value, str):
        raise ValueError(value)
    read = datetime.strptime(value.strip(), form)
    return (
        rfc3339(read if read.tzinfo else read.replace(tzinfo=UTC)) if _HOUR.search(form) else read.date().isoformat()
    )
