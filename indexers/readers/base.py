"""The row format of a catalogue, and the protocol of a reader.

A catalogue is a file (JSONL, CSV, TSV, Parquet, Arrow, WebDataset tar), a folder (of files, or a Hugging Face data
set), or a query of a database. Each row is one item:

| column | what | |
|---|---|---|
| `id` | the item's own id: text, or an integer | required, once per catalogue |
| `text` | the text that is encoded | at least one of the three |
| `image` | a picture: a path relative to the root, or bytes (formats that have them) | |
| `audio` | a sound: a path relative to the root, or bytes (formats that have them) | |
| any other | payload: kept with the item, shown in results, usable in filters | names must not begin with `_` |

A column of another name takes a role by `columns`, such as {"id": "sku", "text": ("title", "description")}; it then
leaves the payload. A list is several texts, pictures or sounds of one item, which is found by the best of them; so
are several columns of pictures or sounds. Texts of several columns become one, a line each; several parts of an id
are joined by `/`. `product.title` is a value inside an object, which stays in the payload as it is.
The id `@hash` is a digest of the row. An empty or null value is the same as none. JSONL payload may be nested. CSV
cells are typed by column (see `indexers.readers.delimited`); Parquet, Arrow and databases keep their types, times
become RFC 3339 texts.

In a folder, files of one stem are one item (`bird.png`, `bird.txt`, `bird.ogg`); see `indexers.readers.folder`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol, runtime_checkable

from encoders.errors import TriveniError
from engine.core.filters import FieldKind
from engine.core.types import Json
from indexers.errors import CatalogError

ROLES = ("id", "text", "image", "audio")
"""The columns that are not payload."""
CONTENTS = ROLES[1:]
"""Those of them that are encoded."""

HASH = "@hash"
"""As the column of the id: a digest of all that the row holds."""

Columns = Mapping[str, str | Sequence[str]]
"""Per role the column that plays it, or several; a role that is not named is played by the column of its own name."""

Value = Json | bytes

_SHOWN = 20
"""Columns that a message lists."""

MAX_ROW_BYTES = 64 << 20
"""A row of JSONL or a cell of CSV that is longer is refused, so that a missing line break cannot fill the memory."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was read."""

    line: int
    """The line of a text file that the row begins on, the number of a Parquet row or of a folder's item; from 1."""
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be read."""

    line: int
    error: TriveniError
    id: str = ""
    """Its id, where that could be read."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """A catalogue, and how it is to be read."""

    path: Path
    root: Path
    """Where the paths in it begin."""
    columns: Columns = field(default_factory=dict)
    ignore: frozenset[str] = frozenset()
    """Columns that are left out: a reader need not read them."""
    fields: Mapping[str, FieldKind] = field(default_factory=dict)
    """Declared kinds of payload fields, for formats whose values have no kind."""
    delimiter: str = ""
    """What separates the cells of a text file; "" is what its suffix says."""
    encoding: str = "utf-8"
    """Of a text file whose encoding is not given."""
    split: Mapping[str, str] = field(default_factory=dict)
    """Per column whose cells are lists, what separates their values."""
    max_bytes: int = MAX_ROW_BYTES
    """The largest picture, sound or text that a reader takes from inside the catalogue."""


@runtime_checkable
class Reader(Protocol):
    """Reads a catalogue as a stream. It can be read more than once, each time from the start."""

    def check(self) -> None:
        """Look whether its columns can be those of items; quick.

        Raises:
            CatalogError: if there is none for the id, or none for a content.
        """

    def rows(self) -> Iterator[Row | BadRow]:
        """The rows, in the catalogue's order, without holding them all.

        Raises:
            CatalogError: if the catalogue itself is broken.
        """

    def total(self) -> int | None:
        """How many rows there are, where that is quick to find; None where it is not."""


def role_columns(columns: Columns) -> dict[str, tuple[str, ...]]:
    """The columns of each role, after `columns`."""
    named = {role: columns.get(role, role) for role in ROLES}
    return {role: (one,) if isinstance(one, str) else tuple(one) for role, one in named.items()}


def played(columns: Columns) -> frozenset[str]:
    """The columns that play a role."""
    return frozenset(name for names in role_columns(columns).values() for name in names)


def value_at(values: Mapping[str, Value], name: str) -> Value:
    """The value of a column, or of `outer.inner` inside an object or list (`pictures.0`); None if there is none."""
    if name in values or "." not in name:
        return values.get(name)
    held: Value = dict(values)  # type: ignore[arg-type]
    for step in name.split("."):
        if isinstance(held, list):
            held = held[int(step)] if step.isdecimal() and int(step) < len(held) else None
        else:
            held = held.get(step) if isinstance(held, Mapping) else None
    return held


def check_columns(path: Path | str, names: Collection[str], columns: Columns, *, all_named: bool = True) -> None:
    """Refuse a catalogue that cannot hold items, once and for all rows.

    Args:
        path: of the catalogue.
        names: its columns.
        columns: see `Columns`.
        all_named: whether a column that is not among the names is nowhere in the catalogue.

    Raises:
        CatalogError: if there is no column for the id, none for a content, or one that was named is not there.
    """
    roles = role_columns(columns)
    for role, column in ((one, name) for one in columns if all_named for name in roles[one]):
        if role != "id" and not _has(names, column):
            problem = f"{path} has no column {column!r} for the {role}, its columns are {_listed(names)}"
            raise CatalogError(problem, f"correct --column {role}={column}, or index.columns of the settings")
    check_id_column(path, names, columns)
    if not any(_has(names, column) for role in CONTENTS for column in roles[role]):
        remedy = f"name one, --column text=name; the columns of {path} are {_listed(names)}"
        raise CatalogError("no content column", remedy)


def check_id_column(path: Path | str, names: Collection[str], columns: Columns) -> None:
    """Refuse a catalogue whose items have no ids.

    Raises:
        CatalogError: if there is no column for them.
    """
    for column in role_columns(columns)["id"]:
        if column != HASH and not _has(names, column):
            problem = f"{path} has no column {column!r} for the id, its columns are {_listed(names)}"
            remedy = (
                f"name it, such as --column id=sku; .csv has commas, .tsv tabs; --column id={HASH} takes a digest"
            )
            raise CatalogError(problem, f"{remedy} of the row; triveni init guesses")


def _has(names: Collection[str], column: str) -> bool:
    return column in names or column.split(".")[0] in names


def _listed(names: Collection[str]) -> str:
    shown = [repr(name) for name in islice(names, _SHOWN)]
    return ", ".join([*shown, "…"] if len(names) > _SHOWN else shown) or "none"
