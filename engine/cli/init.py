"""`triveni init`: guesses what the columns of a catalogue are, and writes it as settings."""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from engine.cli.common import console
from engine.core.errors import SettingsError

if TYPE_CHECKING:
    from indexers.guess import Guess

USUAL = Path("triveni.toml")
_ENOUGH = 40
"""Columns that the table shows."""


def init(
    catalog: Annotated[str, typer.Argument(metavar="CATALOG", help="As for `triveni index`.")],
    root: Annotated[str | None, typer.Option(help="Where the catalogue's paths begin.")] = None,
    query: Annotated[str, typer.Option(help="What a database is asked.")] = "",
    output: Annotated[
        Path, typer.Option("--output", "-o", dir_okay=False, help="The settings file to write.")
    ] = USUAL,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a settings file; the old one is kept as FILE.before.")
    ] = False,
) -> None:
    """Look at the first rows of a catalogue, guess its columns, and write the guess as a settings file.

    Nothing is indexed. Read what it doubts, correct the file where it is wrong, then run what it names.

    Example: triveni init shop.csv --root photos
    """
    from indexers.errors import CatalogError
    from indexers.guess import guess_catalog
    from indexers.remote import LocalCopy, is_url

    if output.exists() and not force:
        problem = f"there is a settings file at {output}"
        raise SettingsError(problem, "give --force to replace it, or --output to write another")
    try:
        local = None if query or not is_url(catalog) or _is_database(catalog) else LocalCopy(catalog)
        guess = guess_catalog(local.path if local else catalog, None if root is None else Path(root), query)
    except CatalogError as error:
        raise typer.BadParameter(str(error)) from None
    if not guess.rows:
        raise typer.BadParameter(f"{catalog} has no rows that can be read" + "".join(f"; {x}" for x in guess.doubts))
    _show(guess, catalog)
    text = _settings(guess, catalog)
    try:
        if output.exists():
            output.replace(output.with_name(f"{output.name}.before"))
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise SettingsError(f"cannot write {output} ({said})", "name another file: --output") from None
    console.print(f"\nwrote {output}: correct it where it is wrong, then", highlight=False, soft_wrap=True)
    for command in _next(guess, catalog, root, query, output):
        console.print(f"  {command}", highlight=False, soft_wrap=True)


def _is_database(catalog: str) -> bool:
    from indexers.readers.sql import is_database

    return is_database(catalog)


def _show(guess: Guess, catalog: str) -> None:
    table = Table(title=f"{Path(catalog).name}: {guess.rows} rows", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("column", overflow="fold", max_width=24)
    table.add_column("becomes", no_wrap=True)
    table.add_column("why", overflow="fold")
    order = {"id": 0, "text": 1, "image": 2, "audio": 3}
    lines = sorted(guess.reasons.items(), key=lambda pair: order.get(pair[1][0], 4))
    for column, (becomes, why) in lines[:_ENOUGH]:
        style = "bold" if becomes in order else "dim" if becomes in ("left out", "payload") else None
        table.add_row(column or "(no name)", becomes, why, style=style)
    if len(lines) > _ENOUGH:
        table.add_row("…", "", f"and {len(lines) - _ENOUGH} more; the file has all")
    console.print(table)
    if guess.doubts:
        doubts = Table.grid(padding=(0, 1))
        for doubt in guess.doubts:
            doubts.add_row(Text("doubt:", style="yellow"), Text(doubt, overflow="fold"))
        console.print(doubts)


def _settings(guess: Guess, catalog: str) -> str:
    """The settings file: what was guessed, with the reasons."""
    import tomlkit

    document = tomlkit.document()
    document.add(
        tomlkit.comment(_one_line(f"Written by `triveni init`, which looked at {guess.rows} rows of {catalog}."))
    )
    document.add(tomlkit.comment("triveni.example.toml explains every setting."))
    for doubt in guess.doubts:
        for line in textwrap.wrap(_one_line(f"Doubtful: {doubt}."), 116, break_long_words=False):
            document.add(tomlkit.comment(line))
    document.add(tomlkit.nl())
    index = tomlkit.table()
    for role, names in guess.columns.items():
        for name in names:
            becomes, why = guess.reasons.get(name, ("", ""))
            index.add(tomlkit.comment(_one_line(f"{role}: {name}" + (f", {why}" if becomes == role else ""))))
    columns = tomlkit.inline_table()
    columns.update({role: list(one) if isinstance(one, tuple) else one for role, one in guess.mapped.items()})
    if columns:
        index.add("columns", columns)
    if guess.ignore:
        index.add("ignore", guess.ignore)
    if guess.text.delimiter:
        index.add("delimiter", guess.text.delimiter)
    if guess.text.encoding != "utf-8":
        index.add("encoding", guess.text.encoding)
    if guess.text.split:
        split = tomlkit.inline_table()
        split.update(guess.text.split)
        index.add("split", split)
    for key in ("decimals", "times", "rename"):
        if said := getattr(guess.conventions, key):
            table = tomlkit.inline_table()
            table.update(said)
            index.add(key, table)
    fields = tomlkit.table()
    fields.add(tomlkit.comment("What can be filtered on: keyword, integer, float, bool, datetime or geo."))
    for name, kind in guess.fields.items():
        item = tomlkit.item(str(kind))
        item.comment(_one_line(guess.reason(name)))
        fields.add(name, item)
    index.add("fields", fields)
    document.add("index", index)
    return tomlkit.dumps(document)


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _next(guess: Guess, catalog: str, root: str | None, query: str, output: Path) -> list[str]:
    """The commands that come next, ready to be pasted into a shell."""
    said = ["triveni"] + ([] if output == USUAL else ["--settings", str(output)])
    places = [catalog]
    if root or guess.root:
        places += ["--root", str(root or guess.root)]
    if query:
        places += ["--query", query]
    return [
        shlex.join([*said, "index", *places]),
        shlex.join([*said, "verify", *places]),
        shlex.join([*said, "search", guess.example or "a word"]),
        shlex.join([*said, "studio"]),
    ]
