"""The options that name a catalogue and say how it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from engine.config.settings import Settings
    from indexers.catalog import Catalog


@dataclass(frozen=True, slots=True)
class CatalogOptions:
    """Which catalogue, and how it is read."""

    catalog: Annotated[
        str,
        typer.Argument(
            metavar="CATALOG",
            help="A .jsonl, .csv, .tsv, .parquet, .arrow or .tar file, a folder of files, a data set of Hugging Face "
            "on disk, s3://… and the like, or the URL of a database.",
        ),
    ]
    root: Annotated[
        str | None, typer.Option(help="Where the catalogue's paths begin, or a URL; its own folder if not given.")
    ] = None
    query: Annotated[
        str, typer.Option(help="What a database is asked, such as 'select sku as id, title as text …'.")
    ] = ""
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            "--columns",
            help="ROLE=COLUMN, such as id=sku or text=title; given again for text, the texts are joined. "
            "index.columns if not given.",
        ),
    ] = None
    ignore: Annotated[list[str] | None, typer.Option(help="A column to leave out; may be given again.")] = None
    field: Annotated[
        list[str] | None,
        typer.Option("--field", help="NAME=KIND of a payload field (keyword, integer, float, bool, datetime, geo)."),
    ] = None
    delimiter: Annotated[str, typer.Option(help="What separates the cells of a CSV file, if no comma.")] = ""
    encoding: Annotated[str, typer.Option(help="Of a CSV file, if not UTF-8, such as cp1252.")] = ""


def catalog_of(settings: Settings, options: CatalogOptions) -> Catalog:
    """The catalogue that the options name.

    Raises:
        typer.BadParameter: if it is not there, has no column for ids or contents, or an option is wrong.
    """
    from engine.core.filters import FieldKind
    from indexers.catalog import Catalog
    from indexers.errors import CatalogError
    from indexers.readers import TextFormat
    from indexers.readers.conventions import Conventions
    from indexers.urls import WebMedia

    defaults = settings.index
    declared = dict(defaults.fields)
    for name, kind in _pairs(options.field, "--field").items():
        if kind not in tuple(FieldKind):
            raise typer.BadParameter(f"kind {kind!r} of field {name} is unknown: use one of {', '.join(FieldKind)}")
        declared[name] = FieldKind(kind)
    try:
        return Catalog(
            options.catalog,
            options.root,
            columns={**dict[str, str | Sequence[str]](defaults.columns.items()), **_columns(options.column)},
            ignore=frozenset((*defaults.ignore, *(options.ignore or ()))),
            fields=declared,
            max_bytes=settings.limits.max_bytes,
            text=TextFormat(
                options.delimiter or defaults.delimiter, options.encoding or defaults.encoding, defaults.split
            ),
            query=options.query,
            conventions=Conventions(defaults.decimals, defaults.times, defaults.rename),
            web=WebMedia(defaults.url_hosts, defaults.url_seconds),
            max_parts=defaults.max_parts,
            split_long=defaults.split_long,
        )
    except CatalogError as error:
        raise typer.BadParameter(str(error)) from None


def _columns(values: Sequence[str] | None) -> Mapping[str, Sequence[str]]:
    """Per role its columns, in the order in which they were given."""
    found: dict[str, list[str]] = {}
    for role, column in _split(values, "--column"):
        found.setdefault(role, []).append(column)
    return found


def _pairs(values: Sequence[str] | None, option: str) -> dict[str, str]:
    return dict(_split(values, option))


def _split(values: Sequence[str] | None, option: str) -> list[tuple[str, str]]:
    pairs = []
    for value in values or ():
        name, equals, other = value.partition("=")
        if not (name and equals and other):
            raise typer.BadParameter(f"{option} {value!r} is not NAME=VALUE: write it as in triveni index --help")
        pairs.append((name, other))
    return pairs
