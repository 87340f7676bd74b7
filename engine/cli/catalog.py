"""The options that name a catalogue and say how it is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from engine.config.settings import Settings
    from indexers.catalog import Catalog

CatalogPath = Annotated[
    Path, typer.Argument(metavar="CATALOG", help="A .jsonl, .csv, .tsv or .parquet file, or a folder of files.")
]
Root = Annotated[Path | None, typer.Option(help="Where the catalogue's paths begin; its own folder if not given.")]
Columns = Annotated[
    list[str] | None,
    typer.Option("--column", "--columns", help="ROLE=COLUMN, such as id=sku or text=title; may be given again."),
]
Ignore = Annotated[list[str] | None, typer.Option(help="A column to leave out; may be given again.")]
Fields = Annotated[
    list[str] | None,
    typer.Option("--field", help="NAME=KIND of a payload field (keyword, integer, float, bool, datetime, geo)."),
]


def catalog_of(
    settings: Settings,
    path: Path,
    root: Path | None,
    columns: list[str] | None,
    ignore: list[str] | None,
    fields: list[str] | None,
) -> Catalog:
    """The catalogue that the options name.

    Raises:
        typer.BadParameter: if it is not there, has no column for ids or contents, or an option is wrong.
    """
    from engine.core.filters import FieldKind
    from indexers.catalog import Catalog
    from indexers.errors import CatalogError

    declared = dict(settings.index.fields)
    for name, kind in _pairs(fields, "--field").items():
        if kind not in tuple(FieldKind):
            raise typer.BadParameter(f"kind {kind!r} of field {name} is unknown: use one of {', '.join(FieldKind)}")
        declared[name] = FieldKind(kind)
    try:
        return Catalog(
            path,
            root,
            columns=_pairs(columns, "--column"),
            ignore=frozenset(ignore or ()),
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
