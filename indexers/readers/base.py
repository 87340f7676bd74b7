"""The row format of a catalogue, and the protocol of a reader.

A catalogue is a JSONL, CSV, TSV or Parquet file, or a folder of files. Each row is one item:

| column | what | |
|---|---|---|
| `id` | the item's own id: text, or an integer | required, once per catalogue |
| `text` | the text that is encoded | at least one of the three |
| `image` | a picture: a path relative to the root, or bytes (Parquet only) | |
| `audio` | a sound: a path relative to the root, or bytes (Parquet only) | |
| any other | payload: kept with the item, shown in results, usable in filters | names must not begin with `_` |

A column of another name takes a role by `columns`, such as {"id": "sku", "text": "title"}; it then leaves the
payload. An empty or null value is the same as none. JSONL payload may be nested. CSV cells are typed by column (see
`indexers.readers.delimited`); Parquet keeps its types, times become RFC 3339 texts.

In a folder, files of one stem are one item (`bird.png`, `bird.txt`, `bird.ogg`); see `indexers.readers.folder`.
"""

from collections.abc import Collection, Iterator, Mapping
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

Columns = Mapping[str, str]
"""Per role the column that plays it; a role that is not named is played by the column of its own name."""

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


def role_columns(columns: Columns) -> dict[str, str]:
    """The column of each role, after `columns`."""
    return {role: columns.get(role, role) for role in ROLES}


def check_columns(path: Path, names: Collection[str], columns: Columns, *, all_named: bool = True) -> None:
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
    for role in columns if all_named else ():
        if role != "id" and roles[role] not in names:
            problem = f"{path} has no column {roles[role]!r} for the {role}, its columns are {_listed(names)}"
            raise CatalogError(problem, f"correct --column {role}={roles[role]}")
    check_id_column(path, names, columns)
    if not any(roles[role] in names for role in CONTENTS):
        remedy = f"name one, --column text=name; the columns of {path} are {_listed(names)}"
        raise CatalogError("no content column", remedy)


def check_id_column(path: Path, names: Collection[str], columns: Columns) -> None:
    """Refuse a catalogue whose items have no ids.

    Raises:
        CatalogError: if there is no column for them.
    """
    column = role_columns(columns)["id"]
    if column not in names:
        problem = f"{path} has no column {column!r} for the id, its columns are {_listed(names)}"
        raise CatalogError(problem, "name it, such as --column id=sku; .csv has commas, .tsv tabs")


def _listed(names: Collection[str]) -> str:
    shown = [repr(name) for name in islice(names, _SHOWN)]
    return ", ".join([*shown, "…"] if len(names) > _SHOWN else shown) or "none"
