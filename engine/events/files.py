"""Files of events: JSONL, CSV, Parquet and Arrow, read into a store and written from it as streams.

The row format is in `engine.events.rows`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import tzinfo
from itertools import islice
from pathlib import Path
from typing import Any

from engine.core.files import replacing
from engine.core.kinds import STANDARD_KINDS, EventKinds
from engine.core.rows import check_distinct
from engine.events.base import EventStore
from engine.events.errors import EventError, EventFileError
from engine.events.formats import Arrow, Csv, Format, JsonLines, Parquet
from engine.events.rows import COLUMNS, BadLine, Cells, Line, RowRules, cells_of, event_of
from engine.events.types import Impression, OutcomeKind, UserEvent

_BATCH = 2000


class RowReader:
    """Makes events of rows that others wrote.

    Args:
        columns: per column of the row format the column that plays it, such as {"item_id": "sku"}.
        kind: the kind of all events of rows without such a column, such as a file of ratings.
        kinds: what other names of kinds stand for, such as {"hearted": EventKind.LIKE}.
        declared: the kinds that there are.
        zone: the time zone of times that name none; None refuses them.
        ignore: columns that are left out. Any other unknown column is refused: it may be a slip.

    Raises:
        EventFileError: if the row format has no such column.
    """

    def __init__(
        self,
        columns: Mapping[str, str] | None = None,
        kind: str | None = None,
        kinds: Mapping[str, str] | None = None,
        declared: EventKinds = STANDARD_KINDS,
        zone: tzinfo | None = None,
        ignore: frozenset[str] = frozenset(),
    ) -> None:
        unknown = sorted(set(columns or {}) - set(COLUMNS))
        if unknown:
            raise EventFileError(f"events have no column {unknown[0]!r}", f"use one of {', '.join(COLUMNS)}")
        self.roles: Mapping[str, str] = {name: (columns or {}).get(name, name) for name in COLUMNS}
        """Per column of the row format the column that plays it."""
        self.rules = RowRules(kind, {name.lower(): one for name, one in (kinds or {}).items()}, zone, declared)
        self.ignore = ignore

    def __call__(self, cells: Cells) -> UserEvent:
        """The event of a row.

        Raises:
            EventError: if the row is none.
        """
        _known(cells, self.roles, self.ignore, EventError)
        return event_of({role: cells.get(name) for role, name in self.roles.items()}, self.rules)


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the lines of a file."""

    recorded: int
    duplicates: int
    rejected: int


def read_events(path: Path, event: RowReader | None = None) -> Iterator[Line | BadLine]:
    """The events of a file, in its order, without holding them all.

    Args:
        path: a .jsonl, .csv, .parquet or .arrow file.
        event: makes events of its rows; None takes the row format as it is.

    Returns:
        A stream of events and of lines that are none.

    Raises:
        EventFileError: if the file is missing, broken or of an unknown kind, or its columns are not understood.
    """
    event = event or RowReader()
    if not path.is_file():
        raise EventFileError(f"no file of events at {path}", "name one that is there")
    form = _format(path, event, utc=event.rules.zone is None)
    names = form.names(path)
    if names is not None:
        _check_names(path, names, event.roles, event.rules.kind, event.ignore)
    return _lines(form.read(path), event)


def import_events(
    store: EventStore,
    lines: Iterable[Line | BadLine],
    on_bad: Callable[[BadLine], None],
    on_batch: Callable[[int, Imported], None] = lambda number, done: None,
) -> Imported:
    """Record the events of a file, a batch at a time. It may be done twice: what is there stays as it is.

    Args:
        store: where to.
        lines: as `read_events` gives them.
        on_bad: is told of each line that is no event or was rejected, batch by batch in the file's order.
        on_batch: is told, after each batch, the number of its last line, and what became of all lines until then.

    Raises:
        EventStoreError: if the database fails; what was recorded before stays.
        EventFileError: if the file turns out to be broken; what was recorded before stays.
    """
    recorded = duplicates = rejected = 0
    rest = iter(lines)
    while batch := list(islice(rest, _BATCH)):
        bad = [line for line in batch if isinstance(line, BadLine)]
        good = [line for line in batch if isinstance(line, Line)]
        for line, outcome in zip(good, store.record([line.event for line in good]), strict=True):
            if outcome.error is not None:
                bad.append(BadLine(line.number, outcome.error))
            recorded += outcome.kind is OutcomeKind.RECORDED
            duplicates += outcome.kind is OutcomeKind.DUPLICATE
        rejected += len(bad)
        for refused in sorted(bad, key=lambda line: line.number):
            on_bad(refused)
        on_batch(batch[-1].number, Imported(recorded, duplicates, rejected))
    return Imported(recorded, duplicates, rejected)


def export_events(path: Path, events: Iterable[UserEvent]) -> int:
    """Write events to a .jsonl, .csv, .parquet or .arrow file, which is there whole or not at all.

    Args:
        path: the file; one that is there is replaced.
        events: as `EventStore.export` gives them.

    Returns:
        How many they were.

    Raises:
        EventFileError: if the file is of an unknown kind or cannot be written.
        EventError: if an event holds media.
    """
    return _whole(path, _format(path), map(cells_of, events))


def export_lists(path: Path, lists: Iterable[Impression]) -> int:
    """Write served lists to a file, a JSON object each, which is there whole or not at all; how many they were.

    Raises:
        EventFileError: if it cannot be written.
    """
    return _whole(path, JsonLines(), map(asdict, lists))


def _whole(path: Path, form: Format, rows: Iterable[dict[str, Any]]) -> int:
    try:
        with replacing(path) as new:
            new.chmod(0o600)  # people's data is in it
            return form.write(new, rows)
    except OSError as error:
        raise EventFileError(f"cannot write {path}: {error.strerror or error}", "name another place") from None


def _format(path: Path, event: Callable[[Cells], object] = lambda cells: None, *, utc: bool = True) -> Format:
    """The format of a file.

    Args:
        path: the file.
        event: makes an event of a row, or raises EventError.
        utc: whether timestamps of Parquet and Arrow without a zone are in UTC; else they stay without one.
    """
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            return JsonLines()
        case ".csv":
            return Csv(event)
        case ".parquet" | ".pq":
            return Parquet(utc=utc)
        case ".arrow" | ".feather":
            return Arrow(utc=utc)
        case suffix:
            raise EventFileError(
                f"{path.name} is of an unknown kind {suffix!r}", "use .jsonl, .csv, .parquet or .arrow"
            )


def _check_names(
    path: Path, names: list[str], roles: Mapping[str, str], kind: str | None, ignore: frozenset[str]
) -> None:
    check_distinct(path, names, EventFileError)
    needed = ["user_id", "time", *([] if kind else ["kind"])]
    named = [role for role, name in roles.items() if name != role]
    for role in dict.fromkeys([*needed, *named]):
        if roles[role] not in names:
            have = ", ".join(map(repr, names[:12])) or "none"
            problem = f"{path} has no column {roles[role]!r}, its columns are {have}"
            raise EventFileError(problem, f"add it, or say which column plays {role}")
    _known(names, roles, ignore, EventFileError)


def _known(
    names: Iterable[str],
    roles: Mapping[str, str],
    ignore: frozenset[str],
    error: type[EventError] | type[EventFileError],
) -> None:
    played = set(roles.values())
    for name in names:
        if name not in played and name not in ignore:
            raise error(
                f"column {name[:80]!r} is unknown", f"use {', '.join(COLUMNS)}, or leave it out", field=name[:80]
            )


def _lines(
    rows: Iterable[tuple[int, Cells | EventError]], event: Callable[[Cells], UserEvent]
) -> Iterator[Line | BadLine]:
    for number, cells in rows:
        if isinstance(cells, EventError):
            yield BadLine(number, cells)
            continue
        try:
            line = Line(number, event(cells))
        except EventError as error:
            yield BadLine(number, error)
        else:
            yield line
