"""What the tables hold in all."""

from typing import Any

from sqlalchemy import Connection, Select, Subquery, func, select

from engine.core.kinds import kind_named
from engine.events import tables
from engine.events.times import from_micros
from engine.events.types import EventStats


def stats(connection: Connection, events: Subquery, lists: Subquery) -> EventStats:
    """Counts, and the times of the oldest and the newest event.

    Args:
        connection: in a transaction that reads.
        events: those that count.
        lists: served lists that count.
    """
    columns = events.c
    spans = select(columns.kind, func.count(), func.min(columns.time), func.max(columns.time))
    kinds = connection.execute(spans.group_by(columns.kind).order_by(columns.kind)).all()
    people = select(func.count()).select_from(select(columns.user_id).distinct().subquery())
    return EventStats(
        events=sum(count for _, count, _, _ in kinds),
        users=connection.execute(people).scalar_one(),
        impressions=connection.execute(select(func.count()).select_from(lists)).scalar_one(),
        kinds={kind_named(kind): count for kind, count, _, _ in kinds},
        first=from_micros(min(first for _, _, first, _ in kinds)) if kinds else None,
        last=from_micros(max(last for _, _, _, last in kinds)) if kinds else None,
    )


def kinds_of_newest(connection: Connection, kinds: Select[Any], most: int) -> set[str]:
    """The kinds of the newest so many events.

    Args:
        connection: in a transaction that reads.
        kinds: those of all events that count.
        most: the newest so many.
    """
    columns = tables.events.c
    newest = kinds.order_by(columns.time.desc(), columns.id.desc()).limit(most).subquery()
    return set(connection.execute(select(newest.c.kind).distinct()).scalars())
