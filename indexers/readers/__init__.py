"""Readers of catalogues; `open_catalog` finds the one that fits. The row format is in `indexers.readers.base`."""

import codecs
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.core.filters import FieldKind
from engine.core.plugins import Plugins
from indexers.errors import CatalogError
from indexers.readers.base import MAX_ROW_BYTES, ROLES, BadRow, Columns, Reader, ReadOptions, Row
from indexers.readers.folder import Folder
from indexers.remote import is_url

__all__ = [
    "READERS",
    "BadRow",
    "Columns",
    "ReadOptions",
    "Reader",
    "Row",
    "TextFormat",
    "default_root",
    "open_catalog",
]

READERS: Plugins[Callable[[ReadOptions], Reader]] = Plugins(
    "triveni.readers",
    "reader of catalogues",
    {
        "jsonl": "indexers.readers.jsonl:open_jsonl",
        "ndjson": "indexers.readers.jsonl:open_jsonl",
        "csv": "indexers.readers.delimited:open_csv",
        "tsv": "indexers.readers.delimited:open_tsv",
        "tab": "indexers.readers.delimited:open_tsv",
        "parquet": "indexers.readers.arrow:open_table",
        "pq": "indexers.readers.arrow:open_table",
        "arrow": "indexers.readers.arrow:open_table",
        "feather": "indexers.readers.arrow:open_table",
        "tar": "indexers.readers.webdataset:open_tar",
        "tar.gz": "indexers.readers.webdataset:open_tar",
        "tgz": "indexers.readers.webdataset:open_tar",
    },
)
"""What reads a file, by its suffix in lower case, without the dot."""


@dataclass(frozen=True, slots=True)
class TextFormat:
    """What a text file does not say of itself."""

    delimiter: str = ""
    """One character that separates cells; "" is what the suffix says."""
    encoding: str = "utf-8"
    """As Python names it."""
    split: Mapping[str, str] = field(default_factory=dict)
    """Per column whose cells are lists, what separates their values, such as {"tags": "|"}."""

    def __post_init__(self) -> None:
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            remedy = "name one such as utf-8, cp1252, latin-1 or utf-16"
            raise CatalogError(f"encoding {self.encoding!r} is unknown", remedy) from None
        if len(self.delimiter) > 1 or self.delimiter in ('"', "\n", "\r"):
            raise CatalogError(f"{self.delimiter!r} cannot separate cells", "name one character, such as ';'")
        for name, separator in self.split.items():
            if not separator:
                raise CatalogError(f"nothing separates the values of {name}", "name it, such as '|'")


def open_catalog(
    path: Path | str,
    *,
    root: Path | None = None,
    columns: Columns | None = None,
    ignore: frozenset[str] = frozenset(),
    fields: Mapping[str, FieldKind] | None = None,
    text: TextFormat = TextFormat(),
    query: str = "",
    max_bytes: int = MAX_ROW_BYTES,
) -> Reader:
    """The reader of a catalogue, chosen by its suffix.

    Args:
        path: a file of a kind in `READERS`, a folder, or the URL of a database; see `indexers.readers.base`.
        root: where the paths in it begin; None means the folder of the file, or the folder.
        columns: per role (id, text, image, audio) the column that plays it, or several.
        ignore: columns that are left out.
        fields: declared kinds of payload fields; they type the cells of CSV.
        text: what a text file does not say of itself.
        query: what a database is asked.
        max_bytes: the largest content that is taken from inside the catalogue.

    Raises:
        CatalogError: if there is no such file or folder, of a kind that is known, or a role is unknown.
        PluginError: if the distribution that reads it is broken.
    """
    columns = columns or {}
    unknown = sorted(set(columns) - set(ROLES))
    if unknown:
        raise CatalogError(f"no role is called {unknown[0]!r}", f"use one of {', '.join(ROLES)}")
    if is_url(path):
        from indexers.readers.sql import SqlRows  # slow to import

        return SqlRows(str(path), query, columns, ignore, max_bytes)
    path = Path(path)
    if query:
        raise CatalogError(f"{path} is no database", "leave out --query, or name one such as sqlite:///shop.db")
    if path.is_dir():
        return _of_folder(path, root, columns, ignore)
    name = _kind(path)
    if not path.is_file() and not ("{" in path.name and "tar" in name):
        raise CatalogError(f"no catalogue at {path}", "name a file or folder that is there")
    if path.is_file():
        try:
            path.open("rb").close()
        except OSError as error:
            problem = f"cannot read {path}: {(error.strerror or str(error)).lower()}"
            raise CatalogError(problem, "let the file be read") from None
    if name not in READERS:
        added = "".join(f", .{one}" for one in READERS.added())
        raise CatalogError(
            f"catalogue {path.name} is of an unknown kind {path.suffix.lower()!r}",
            f"use .jsonl, .csv, .tsv, .parquet, .arrow, .tar{added}, or a folder of files",
        )
    made = READERS.load(name)(
        ReadOptions(
            path,
            default_root(path) if root is None else root,
            columns,
            ignore,
            fields or {},
            delimiter=text.delimiter,
            encoding=text.encoding,
            split=text.split,
            max_bytes=max_bytes,
        )
    )
    if not isinstance(made, Reader):
        raise READERS.broken(name, f"makes a {type(made).__name__}, which is no Reader")
    return made


def _of_folder(path: Path, root: Path | None, columns: Columns, ignore: frozenset[str]) -> Reader:
    from indexers.readers.huggingface import HfDataset, is_dataset  # slow to import

    return HfDataset(path, columns, ignore) if is_dataset(path) else Folder(path, root or path)


def _kind(path: Path) -> str:
    """The suffix that says which reader reads it: two parts, if there is one for both, else the last."""
    suffixes = [suffix.lower().removeprefix(".") for suffix in path.suffixes]
    both = ".".join(suffixes[-2:])
    return both if both in READERS else suffixes[-1] if suffixes else ""


def default_root(path: Path) -> Path:
    """Where a catalogue's paths begin if nothing else is said: its folder, or the folder that it is."""
    return path if path.is_dir() else path.parent
