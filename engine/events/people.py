"""What the tables hold of one person: pages of it, how much it is; and the deletion of people and of what is old."""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, delete, func, select, tuple_

from engine.core.types import EventKind, UserId
from engine.events import tables
from engine.events.base import MAX_PAGE
from engine.events.errors import EventError
from engine.events.times import from_micros
from engine.events.types import Held

_CURSOR = re.compile(r"([0-9]{1,18})\.([^\0\ud800-\udfff]{1,512})", re.DOTALL)
_OWN = (tables.events, tables.impressions)

Page = tuple[Sequence[Any], str | None]
"""Rows, and the cursor of the next page; None on the last."""


def newest(query: Select[Any], key: "Column[str]", limit: int, cursor: str | None) -> Callable[[Connection], Page]:
    """What reads a page of rows of a table, by (time, key), newest first.

    Args:
        query: which rows.
        key: the table's.
        limit: the most of a page.
        cursor: the last page's; None begins.

    Raises:
        EventError: if the limit is out of range, or the cursor is none.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise EventError(f"limit is {limit}", f"ask for 1 to {MAX_PAGE} events", field="limit")
    order = key.table.c.time, key
    if cursor is not None:
        query = query.where(tuple_(*order) < tuple_(*_place(cursor)))
    query = query.order_by(*(column.desc() for column in order)).limit(limit + 1)

    def read(connection: Connection) -> Page:
        rows = connection.execute(query).all()
        last = rows[limit - 1] if len(rows) > limit else None
        return rows[:limit], None if last is None else f"{last.time}.{getattr(last, key.name)}"

    return read


def of_kinds(kinds: Collection[str]) -> list[ColumnElement[bool]]:
    """The condition that events are of these kinds; none where there are no kinds."""
    if not kinds:
        return []
    some = tables.events.c.kind.in_([str(kind) for kind in kinds])
    return [some] if EventKind.IMPRESSION in kinds else [some, tables.ACTED]


def held(connection: Connection, user: UserId) -> Held:
    """How much there is of a person, and from when to when."""
    counts, times = [], []
    for table in _OWN:
        span = select(func.count(), func.min(table.c.time), func.max(table.c.time)).where(table.c.user_id == user)
        count, *ends = connection.execute(span).one()
        counts.append(count)
        times += [time for time in ends if time is not None]
    first, last = (from_micros(min(times)), from_micros(max(times))) if times else (None, None)
    return Held(counts[0], counts[1], first, last)


def delete_all(connection: Connection, user: UserId) -> None:
    """Delete a person's rows, in a transaction that writes."""
    for table in _OWN:
        connection.execute(delete(table).where(table.c.user_id == user))


def delete_before(connection: Connection, table: Table, time: int, most: int) -> int:
    """Delete the oldest rows of a table that are older than a time, in a transaction that writes; how many it were.

    Args:
        connection: of the transaction.
        table: the table.
        time: in microseconds.
        most: rows that are deleted.
    """
    key = next(iter(table.primary_key.columns))
    old = select(key).where(table.c.time < time).order_by(table.c.time, key).limit(most)
    return connection.execute(delete(table).where(key.in_(old.scalar_subquery()))).rowcount


def _place(cursor: str) -> tuple[int, str]:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        problem = f"cursor {cursor[:40]!r} is not one of a history"
        raise EventError(problem, "send next_cursor of the last page, or none to begin", field="cursor")
    return int(found[1]), found[2]
