"""Reads a data set that Hugging Face's `datasets` saved to disk, without that library.

`save_to_disk` writes a folder with `state.json` (the names of the Arrow files) and `dataset_info.json` (the
features), or one such folder for each split beside `dataset_dict.json`. Pictures and sounds are structs of bytes and
path; numbers of a `ClassLabel` become their names.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.core.arrow import table_length, table_rows, table_schema
from indexers.errors import CatalogError
from indexers.readers.arrow import BATCH, media_columns, read_names
from indexers.readers.base import BadRow, Columns, Row, check_columns
from indexers.readers.typed import typed_row

_STATE, _INFO, _SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"
_MAX_BYTES = 64 << 20


def is_dataset(folder: Path) -> bool:
    """Whether `save_to_disk` wrote this folder."""
    return (folder / _SPLITS).is_file() or ((folder / _STATE).is_file() and (folder / _INFO).is_file())


@dataclass(frozen=True, slots=True)
class HfDataset:
    """A data set on disk; of several splits all, one after the other."""

    path: Path
    columns: Columns = field(default_factory=dict)
    ignore: frozenset[str] = frozenset()

    def check(self) -> None:
        """See `Reader.check`."""
        for file, _ in self._files():
            check_columns(self.path, self._names(file), self.columns)

    def rows(self) -> Iterator[Row | BadRow]:
        """See `Reader.rows`; the lines are numbers over all files."""
        line = 0
        for file, labels in self._files():
            for _, values in table_rows(file, CatalogError, BATCH, self._names(file)):
                line += 1
                yield typed_row(line, _named(values, labels))

    def total(self) -> int | None:
        """The number of rows."""
        return sum(table_length(file, CatalogError) for file, _ in self._files())

    def media(self) -> list[str]:
        """The columns that hold pictures or sounds."""
        return media_columns(table_schema(self._files()[0][0], CatalogError))

    def _names(self, file: Path) -> list[str]:
        return read_names(file, table_schema(file, CatalogError), self.columns, self.ignore)

    def _files(self) -> list[tuple[Path, dict[str, list[str]]]]:
        """The Arrow files, and per column of classes their names."""
        splits: list[Path] = [self.path]
        if (self.path / _SPLITS).is_file():
            splits = [_inside(self.path, name) for name in _texts(_read(self.path / _SPLITS).get("splits"))]
        found: list[tuple[Path, dict[str, list[str]]]] = []
        for split in splits:
            state, features = _read(split / _STATE), _read(split / _INFO).get("features")
            if state.get("_indices_data_files") or state.get("_indices_files"):
                problem = f"{split} keeps its order in a file of its own"
                raise CatalogError(problem, "call flatten_indices() on the data set, and save it again")
            labels = {
                name: _texts(feature.get("names"))
                for name, feature in (features if isinstance(features, dict) else {}).items()
                if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
            }
            files = state.get("_data_files")
            if isinstance(files, list):
                files = [one.get("filename") if isinstance(one, dict) else None for one in files]
            found += [(_inside(split, name), labels) for name in _texts(files or [])]
        if not found:
            raise CatalogError(f"{self.path} names no files", "save the data set again with save_to_disk")
        return found


def _read(path: Path) -> dict[str, Any]:
    """An object of JSON."""
    problem = ""
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
        found = json.loads(raw) if len(raw) <= _MAX_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        found, problem = None, f" ({str(error)[:80].lower()})"
    if not isinstance(found, dict):
        raise CatalogError(f"{path} is not what save_to_disk writes{problem}", "save the data set again")
    return found


def _texts(values: object) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise CatalogError(f"a data set lists {str(values)[:80]!r}, not names", "save it again with save_to_disk")
    return values


def _inside(folder: Path, name: str) -> Path:
    """A file or folder in a folder.

    Raises:
        CatalogError: if its name leads elsewhere.
    """
    if Path(name).name != name or name in ("", ".."):
        raise CatalogError(f"{folder} names {name!r}, which is not in it", "save the data set again")
    return folder / name


def _named(values: Mapping[str, object], labels: Mapping[str, list[str]]) -> dict[str, object]:
    """The values with the names of their classes; -1 is none."""
    named = dict(values)
    for name, names in labels.items():
        number = values.get(name)
        if isinstance(number, int):
            named[name] = names[number] if 0 <= number < len(names) else None
    return named
