"""The options that name a catalogue and say how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from engine.config.settings import Settings
    from indexers.catalog import Catalog


@dataclass(frozen=True, slots=True)
class CatalogOptions:
    """Which catalogue, and how it is read."""

    catalog: Annotated[
        Path, typer.Argument(metavar="CATALOG", help="A .jsonl, .csv, .tsv or .parquet file, or a folder of files.")
    ]
    root: Annotated[
        Path | None, typer.Option(help="Where the catalogue's paths begin; its own folder if not given.")
    ] = None
    column: Annotated[
        list[str] | None,
        typer.Option("--column", "--columns", help="ROLE=COLUMN, such as id=sku or text=title; may be given again."),
    ] = None
    ignore: Annotated[list[str] | None, typer.Option(help="A column to leave out; may be given again.")] = None
    field: Annotated[
        list[str] | None,
        typer.Option("--field", help="NAME=KIND of a payload field (keyword, integer, float, bool, datetime, geo)."),
    ] = None


def catalog_of(settings: Settings, options: CatalogOptions) -> Catalog:
    """The catalogue that the options name.

    Raises:
        typer.BadParameter: if it is not there, has no column for ids or contents, or an option is wrong.
    """
    from engine.core.filters import FieldKind
    from indexers.catalog import Catalog
    from indexers.errors import CatalogError

    declared = dict(settings.index.fields)
    for name, kind in _pairs(options.field, "--field").items():
        if kind not in tuple(FieldKind):
            raise typer.BadParameter(f"kind {kind!r} of field {name} is unknown: use one of {', '.join(FieldKind)}")
        declared[name] = FieldKind(kind)
    try:
        return Catalog(
            options.catalog,
            options.root,
            columns=_pairs(options.column, "--column"),
            ignore=frozenset(options.ignore or ()),
            fields=declared,
            max_bytes=settings.limits.max_bytes,
        )
    except CatalogError as error:
        raise typer.BadParameter(str(error)) from None


def _pairs(values: list[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for value in values or ():
        name, equals, other = value.partition("=")
        if not (name and equals and other):
            raise typer.BadParameter(f"{option} {value!r} is not NAME=VALUE: write it as in triveni index --help")
        pairs[name] = other
    return pairs
