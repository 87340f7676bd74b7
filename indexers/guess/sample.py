"""The first rows of a catalogue, and what is known of each of its columns."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from engine.core.filters import FieldKind
from engine.store.match import seconds_of
from indexers.readers import Row, TextFormat, open_catalog
from indexers.readers.base import HASH, Columns, Value
from indexers.schema import infer_schema

ROWS = 512
_BYTES = 64 << 20
_DEPTH = 3
_URL = re.compile(r"(https?|s3|gs|ftp)://", re.IGNORECASE)


@dataclass(slots=True)
class Column:
    """What the first rows hold in a column, or in `outer.inner` of one."""

    name: str
    values: list[Value] = field(default_factory=list)
    """Those that are not empty."""
    kind: FieldKind | None = None
    """As what it can be filtered on; None if it cannot."""

    @property
    def texts(self) -> list[str]:
        """Its texts, those of lists one by one, if all its values are."""
        flat = [one for value in self.values for one in (value if isinstance(value, list) else [value])]
        texts = [one for one in flat if isinstance(one, str)]
        return texts if len(texts) == len(flat) else []

    @property
    def is_list(self) -> bool:
        """Whether its values are lists."""
        return any(isinstance(value, list) for value in self.values)

    @property
    def words(self) -> float:
        """Words of a text on average; 0 for other values."""
        texts = self.texts
        return sum(len(text.split()) for text in texts) / len(texts) if texts else 0.0

    @property
    def plain_name(self) -> str:
        """Its last part in lower case, letters and digits alone."""
        return re.sub(r"[\W_]", "", self.name.rpartition(".")[2].lower())

    def share(self, fits: re.Pattern[str]) -> float:
        """The part of its texts that fit a pattern from their start."""
        texts = self.texts
        return sum(bool(fits.match(text)) for text in texts) / len(texts) if texts else 0.0

    @property
    def of_urls(self) -> bool:
        """Whether it holds addresses of the web."""
        return self.share(_URL) > 0.5

    @property
    def of_times(self) -> bool:
        """Whether it holds times that can be compared."""
        return bool(self.texts) and all(seconds_of(text) is not None for text in self.texts)


@dataclass(frozen=True, slots=True)
class Sample:
    """The first rows of a catalogue."""

    rows: Sequence[Mapping[str, Value]]
    """Per row its values by column, with those of objects under `outer.inner` too."""
    columns: Mapping[str, Column]
    bad: Sequence[str]
    """Why rows could not be read."""

    def whole(self) -> list[Column]:
        """The columns but for those of the first value of a list."""
        return [column for column in self.columns.values() if not column.name.endswith(".0")]


def read_sample(
    path: Path | str,
    root: Path | None,
    text: TextFormat,
    query: str,
    *,
    fields: Mapping[str, FieldKind] | None = None,
) -> Sample:
    """Read the first rows.

    Raises:
        CatalogError: if the catalogue cannot be read.
    """
    columns: Columns = {"id": HASH}
    reader = open_catalog(path, root=root, columns=columns, text=text, query=query, fields=fields)
    media: list[str] = getattr(reader, "media", list)()
    if media:  # no column with bytes can be payload
        reader = open_catalog(path, root=root, columns={**columns, "image": media}, text=text, query=query)
    rows: list[Mapping[str, Value]] = []
    bad: list[str] = []
    size = 0
    for row in islice(reader.rows(), ROWS):
        if not isinstance(row, Row):
            bad.append(f"row {row.line}: {row.error}")
            continue
        rows.append(dict(_flat(row.values, "", 1)))
        size += sum(len(value) for value in row.values.values() if isinstance(value, bytes))
        if size > _BYTES:
            break
    found: dict[str, Column] = {}
    for values in rows:
        for name, value in values.items():
            column = found.setdefault(name, Column(name))
            if value not in (None, "", []):
                column.values.append(value)
    for column in found.values():
        column.kind = infer_schema([{"v": value} for value in column.values if not isinstance(value, bytes)], {}).get(
            "v"
        )
    return Sample(rows, found, bad)


def _flat(values: Mapping[str, Value], above: str, depth: int) -> Iterator[tuple[str, Value]]:
    for key, value in values.items():
        name = above + key
        yield name, value
        if isinstance(value, Mapping) and depth < _DEPTH and "." not in key:
            yield from _flat(value, f"{name}.", depth + 1)
        elif isinstance(value, list) and value and depth < _DEPTH and isinstance(value[0], str):
            yield f"{name}.0", value[0]
