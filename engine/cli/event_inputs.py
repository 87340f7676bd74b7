"""What `triveni events import` and `check` read: files that others wrote, and the items of the catalogue."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from engine.cli.common import stderr
from engine.core.errors import InvalidQueryError, NotFoundError, StoreInUseError

if TYPE_CHECKING:
    from engine.config.settings import Settings
    from engine.core.kinds import EventKinds
    from engine.events.files import RowReader
    from engine.events.rows import BadLine, Line
    from engine.events.types import KnownItems

_Event = TypeVar("_Event")

Columns = Annotated[
    list[str] | None, typer.Option("--column", help="ROLE=COLUMN, such as item_id=sku; may be given again.")
]
Kind = Annotated[str | None, typer.Option(help="The kind of all events of a file without a column for it.")]
KindMap = Annotated[
    list[str] | None,
    typer.Option(
        "--kind-map", help="NAME=KIND, the file's name of a kind, such as hearted=like; may be given again."
    ),
]
Timezone = Annotated[
    str,
    typer.Option(
        "--timezone", help="The zone of times that name none: Europe/Berlin, UTC or +02:00. Not given: refused."
    ),
]
Ignore = Annotated[list[str] | None, typer.Option(help="A column to leave out; may be given again.")]

CheckItems = Annotated[
    bool | None,
    typer.Option(
        "--check-items/--no-check-items",
        help="Whether to look the items up in the catalogue; events.check_items if not given.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON.")]


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How a file of events is read, as it was typed."""

    column: Sequence[str] | None = None
    kind: str | None = None
    kind_map: Sequence[str] | None = None
    timezone: str = ""
    ignore: Sequence[str] | None = None

    def read(self, file: Path, declared: EventKinds) -> Iterator[Line | BadLine]:
        """The events of a file, of these kinds; see `engine.events.files.read_events`.

        Raises:
            typer.BadParameter: if an option says nothing that is known.
        """
        from engine.events.files import read_events

        return read_events(file, self.reader(declared))

    def reader(self, declared: EventKinds) -> RowReader:
        """Makes events of rows as these options say, of the kinds that are declared.

        Raises:
            typer.BadParameter: if an option says nothing that is known.
        """
        from engine.events.files import RowReader

        return RowReader(
            columns=dict(_pair("--column", one, "item_id=sku") for one in self.column or ()),
            kind=kind_of("--kind", self.kind, declared) if self.kind else None,
            kinds=dict(_mapped(one, declared) for one in self.kind_map or ()),
            declared=declared,
            zone=_zone(self.timezone) if self.timezone else None,
            ignore=frozenset(self.ignore or ()),
        )

    def command(self, ctx: typer.Context, *command: str, check_items: bool | None) -> str:
        """A command with these options, ready to be pasted into a shell."""
        said: list[str] = ["triveni"]
        if settings := ctx.find_root().params.get("settings"):
            said += ["--settings", str(settings)]
        said += command
        for option, values in (
            ("--column", self.column),
            ("--kind", [self.kind] if self.kind else ()),
            ("--kind-map", self.kind_map),
            ("--timezone", [self.timezone] if self.timezone else ()),
            ("--ignore", self.ignore),
        ):
            for value in values or ():
                said += [option, value]
        if check_items is not None:
            said.append("--check-items" if check_items else "--no-check-items")
        return shlex.join(said)


@contextmanager
def known_items(settings: Settings, wanted: bool | None) -> Iterator[KnownItems | None]:
    """The items of the catalogue, which is open meanwhile; None where they are not to be asked for."""
    from engine import opening

    if not (settings.events.check_items if wanted is None else wanted):
        yield None
        return
    try:
        store = opening.open_catalogue(settings)
    except StoreInUseError as error:
        raise StoreInUseError(error.problem, "stop that process, or give --no-check-items") from None
    if store is None:
        raise NotFoundError("there is no catalogue to look items up in", "index it first, or give --no-check-items")
    with closing(store):
        yield opening.known_items(store)


def counted(events: Iterable[_Event]) -> Iterator[_Event]:
    """The events; on a terminal their number is shown while they pass."""
    with Progress(SpinnerColumn(), TextColumn("{task.completed:,.0f} events"), console=stderr, transient=True) as bar:
        task = bar.add_task("", total=None)
        for event in events:
            yield event
            bar.advance(task)


def _pair(option: str, value: str, such_as: str) -> tuple[str, str]:
    name, equals, other = value.partition("=")
    if not (name and equals and other):
        left, right = ("ROLE", "COLUMN") if option == "--column" else ("NAME", "KIND")
        raise typer.BadParameter(f"{option} {value!r} is not {left}={right}: write it such as {such_as}")
    return name, other


def _mapped(value: str, declared: EventKinds) -> tuple[str, str]:
    name, kind = _pair("--kind-map", value, "hearted=like")
    return name, kind_of("--kind-map", kind, declared)


def kind_of(option: str, name: str, declared: EventKinds) -> str:
    """The kind that an option names.

    Raises:
        typer.BadParameter: if it is not declared.
    """
    try:
        return declared.parse(name)
    except InvalidQueryError as error:
        raise typer.BadParameter(f"{option}: {error}") from None


def _zone(name: str) -> tzinfo:
    """A zone by its name in the IANA database, or by its distance from UTC."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    try:
        offset = datetime.fromisoformat(f"2000-01-01T00:00{name}").tzinfo
    except ValueError:
        offset = None
    if offset is not None:
        return offset
    near = "".join(f"{one}, " for one in get_close_matches(name, available_timezones(), 1))
    raise typer.BadParameter(
        f"--timezone {name!r} is no time zone: write {near}a name such as Europe/Berlin, or an offset such as +02:00"
    )
