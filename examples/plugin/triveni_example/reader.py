"""A catalogue reader: TOML files with one table `[[items]]` for each item."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time

from indexers.errors import CatalogError
from indexers.readers.base import BadRow, ReadOptions, Row, check_columns


@dataclass(frozen=True, slots=True)
class Toml:
    """A TOML file, which is read whole: for catalogues that are written by hand."""

    options: ReadOptions

    def check(self) -> None:
        """See `Reader.check`."""
        names = dict.fromkeys(name for row in self._tables() for name in row)
        check_columns(self.options.path, names, self.options.columns)

    def rows(self) -> Iterator[Row | BadRow]:
        """See `Reader.rows`."""
        for number, table in enumerate(self._tables(), start=1):
            yield Row(number, {name: _plain(value) for name, value in table.items()})

    def total(self) -> int | None:
        """The number of items."""
        return len(self._tables())

    def _tables(self) -> list[dict]:
        try:
            tables = tomllib.loads(self.options.path.read_text(encoding="utf-8")).get("items")
        except ValueError as error:
            raise CatalogError(f"{self.options.path} is not TOML ({error})", "correct that line") from None
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise CatalogError(f"{self.options.path} has no tables [[items]]", "write one for each item")
        return tables


def open_toml(options: ReadOptions) -> Toml:
    """The reader of a .toml file."""
    return Toml(options)


def _plain(value: object) -> object:
    """A value of TOML as one of JSON: times become texts."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value.isoformat() if isinstance(value, datetime | date | time) else value
