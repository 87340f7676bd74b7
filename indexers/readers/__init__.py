"""Readers of catalogues; `open_catalog` finds the one that fits. The row format is in `indexers.readers.base`."""

from collections.abc import Callable, Mapping
from pathlib import Path

from engine.core.filters import FieldKind
from engine.core.plugins import Plugins
from indexers.errors import CatalogError
from indexers.readers.base import ROLES, BadRow, Columns, Reader, ReadOptions, Row
from indexers.readers.folder import Folder

__all__ = ["READERS", "BadRow", "Columns", "ReadOptions", "Reader", "Row", "default_root", "open_catalog"]

READERS: Plugins[Callable[[ReadOptions], Reader]] = Plugins(
    "triveni.readers",
    "reader of catalogues",
    {
        "jsonl": "indexers.readers.jsonl:open_jsonl",
        "ndjson": "indexers.readers.jsonl:open_jsonl",
        "csv": "indexers.readers.delimited:open_csv",
        "tsv": "indexers.readers.delimited:open_tsv",
        "tab": "indexers.readers.delimited:open_tsv",
        "parquet": "indexers.readers.parquet:open_parquet",
        "pq": "indexers.readers.parquet:open_parquet",
    },
)
"""What reads a file, by its suffix in lower case, without the dot."""


def open_catalog(
    path: Path,
    *,
    root: Path | None = None,
    columns: Columns | None = None,
    ignore: frozenset[str] = frozenset(),
    fields: Mapping[str, FieldKind] | None = None,
) -> Reader:
    """The reader of a catalogue, chosen by its suffix.

    Args:
        path: a .jsonl, .csv, .tsv or .parquet file, one that another distribution reads, or a folder.
        root: where the paths in it begin; None means the folder of the file, or the folder.
        columns: per role (id, text, image, audio) the column that plays it.
        ignore: columns that are left out.
        fields: declared kinds of payload fields; they type the cells of CSV.

    Raises:
        CatalogError: if there is no such file or folder, of a kind that is known, or a role is unknown.
        PluginError: if the distribution that reads it is broken.
    """
    columns = columns or {}
    unknown = sorted(set(columns) - set(ROLES))
    if unknown:
        raise CatalogError(f"no role is called {unknown[0]!r}", f"use one of {', '.join(ROLES)}")
    if path.is_dir():
        return Folder(path, root or path)
    if not path.is_file():
        raise CatalogError(f"no catalogue at {path}", "name a file or folder that is there")
    try:
        path.open("rb").close()
    except OSError as error:
        problem = f"cannot read {path}: {(error.strerror or str(error)).lower()}"
        raise CatalogError(problem, "let the file be read") from None
    suffix = path.suffix.lower()
    name = suffix.removeprefix(".")
    if name not in READERS:
        added = "".join(f", .{one}" for one in READERS.added())
        raise CatalogError(
            f"catalogue {path.name} is of an unknown kind {suffix!r}",
            f"use .jsonl, .csv, .tsv, .parquet{added}, or a folder of files",
        )
    made = READERS.load(name)(
        ReadOptions(path, default_root(path) if root is None else root, columns, ignore, fields or {})
    )
    if not isinstance(made, Reader):
        raise READERS.broken(name, f"makes a {type(made).__name__}, which is no Reader")
    return made


def default_root(path: Path) -> Path:
    """Where a catalogue's paths begin if nothing else is said: its folder, or the folder that it is."""
    return path if path.is_dir() else path.parent
