"""Readers of catalogues; `open_catalog` finds the one that fits. The row format is in `indexers.readers.base`."""

from collections.abc import Mapping
from pathlib import Path

from engine.core.filters import FieldKind
from indexers.errors import CatalogError
from indexers.readers.base import ROLES, BadRow, Columns, Reader, Row
from indexers.readers.delimited import Delimited
from indexers.readers.folder import Folder
from indexers.readers.jsonl import JsonLines

__all__ = ["BadRow", "Columns", "Reader", "Row", "default_root", "open_catalog"]


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
        path: a .jsonl, .csv, .tsv or .parquet file, or a folder.
        root: where the paths in it begin; None means the folder of the file, or the folder.
        columns: per role (id, text, image, audio) the column that plays it.
        ignore: columns that are left out.
        fields: declared kinds of payload fields; they type the cells of CSV.

    Raises:
        CatalogError: if there is no such file or folder, of a kind that is known, or a role is unknown.
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
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            return JsonLines(path, columns)
        case ".csv":
            return Delimited(path, ",", columns, dict(fields or {}))
        case ".tsv" | ".tab":
            return Delimited(path, "\t", columns, dict(fields or {}))
        case ".parquet" | ".pq":
            from indexers.readers.parquet import Parquet  # pyarrow takes a while to load

            return Parquet(path, columns, ignore)
        case suffix:
            problem = f"catalogue {path.name} is of an unknown kind {suffix!r}"
            raise CatalogError(problem, "use .jsonl, .csv, .tsv, .parquet, or a folder of files")


def default_root(path: Path) -> Path:
    """Where a catalogue's paths begin if nothing else is said: its folder, or the folder that it is."""
    return path if path.is_dir() else path.parent
