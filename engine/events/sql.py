"""The event store in SQL: SQLite, or PostgreSQL; see `engine.events.base` for what it promises."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, func, select, tuple_

from engine.core.kinds import kind_named
from engine.core.times import now_utc
from engine.core.types import EventKind, UserId
from engine.events import tables
from engine.events.base import MAX_PAGE
from engine.events.check import EventLimits, check_event, check_impression, check_user, unknown_item
from engine.events.database import Database
from engine.events.errors import EventError
from engine.events.identity import event_id
from engine.events.insert import insert_new
from engine.events.times import bound, from_micros, micros
from engine.events.types import (
    EventStats,
    HistoryPage,
    Impression,
    KnownItems,
    OutcomeKind,
    RecordOutcome,
    Served,
    UserEvent,
)

_CHUNK = 2000
"""Rows of a transaction that writes."""
_STEP = 1000
"""Rows that a stream reads at once."""
_CURSOR = re.compile(r"([0-9]{1,18})\.([^\0\ud800-\udfff]{1,512})", re.DOTALL)

Values = dict[str, Any]
Key = tuple[int, str]


class SqlEventStore:
    """Keeps events in SQLite or PostgreSQL.

    Args:
        url: `sqlite:///var/events.db` or `postgresql://user:password@host/database`.
        limits: the largest event.
        known_items: says which items are in the catalogue, so that events on others are rejected; None keeps all.
        clock: the time, with a time zone.
        existing: refuse a file that is not there, instead of making it.

    Raises:
        EventStoreError: if the URL is of another kind, or the database cannot be reached.
        EventSchemaError: if it is no database, or its tables are of another version.
    """

    def __init__(
        self,
        url: str,
        *,
        limits: EventLimits | None = None,
        known_items: KnownItems | None = None,
        clock: Callable[[], datetime] = now_utc,
        existing: bool = False,
    ) -> None:
        self._limits = limits or EventLimits()
        self._known_items = known_items
        self._clock = clock
        self._database = Database(url, existing=existing)

    def record(self, events: Sequence[UserEvent]) -> list[RecordOutcome]:
        """Record events, each for itself; see `EventStore.record`."""
        outcomes: dict[int, RecordOutcome] = {}
        rows: dict[int, Values] = {}
        for index, row in enumerate(self._rows(events)):
            if isinstance(row, EventError):
                outcomes[index] = RecordOutcome(OutcomeKind.REJECTED, error=row)
            else:
                rows[index] = row
        ours: dict[str, Values] = {}
        for row in rows.values():
            ours.setdefault(row["id"], row)
        new, theirs = self._insert(tables.events, sorted(ours.values(), key=lambda row: row["id"]))
        for index, row in rows.items():
            name = row["id"]
            first = theirs.get(name) or ours[name]
            if any(row[column] != first[column] for column in _SAME):
                outcomes[index] = RecordOutcome(OutcomeKind.REJECTED, error=_taken(name))
            elif name in new:
                new.remove(name)
                outcomes[index] = RecordOutcome(OutcomeKind.RECORDED, name)
            else:
                outcomes[index] = RecordOutcome(OutcomeKind.DUPLICATE, name)
        return [outcomes[index] for index in range(len(events))]

    def history(
        self,
        user: UserId,
        *,
        limit: int = 100,
        cursor: str | None = None,
        before: datetime | None = None,
        kinds: Collection[str] = (),
    ) -> HistoryPage:
        """A page of what a person did, newest first; see `EventStore.history`."""
        check_user(user)
        if not 1 <= limit <= MAX_PAGE:
            raise EventError(f"limit is {limit}", f"ask for 1 to {MAX_PAGE} events", field="limit")
        columns = tables.events.c
        query = select(tables.events).where(columns.user_id == user)
        if kinds:
            query = query.where(columns.kind.in_([str(kind) for kind in kinds]))
            if EventKind.IMPRESSION not in kinds:
                query = query.where(tables.ACTED)
        last = bound(before, "before")
        if last is not None:
            query = query.where(columns.time < last)
        if cursor is not None:
            query = query.where(tuple_(columns.time, columns.id) < tuple_(*_key(cursor)))
        query = query.order_by(columns.time.desc(), columns.id.desc()).limit(limit + 1)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        events = tuple(tables.event_of(row).event for row in rows[:limit])
        more = len(rows) > limit
        return HistoryPage(events, f"{rows[limit - 1].time}.{rows[limit - 1].id}" if more else None)

    def delete_user(self, user: UserId) -> int:
        """Delete all that is known of a person; see `EventStore.delete_user`."""
        check_user(user)
        with self._database.write() as connection:
            connection.execute(delete(tables.impressions).where(tables.impressions.c.user_id == user))
            gone = connection.execute(delete(tables.events).where(tables.events.c.user_id == user))
            return int(gone.rowcount)

    def export(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[UserEvent]:
        """All events, oldest first, as a stream; see `EventStore.export`."""
        bounds = bound(since, "since"), bound(until, "until")
        return (tables.event_of(row) for page in self._pages(tables.events, "id", *bounds) for row in page)

    def log_impressions(self, impressions: Sequence[Impression]) -> int:
        """Log served lists; see `EventStore.log_impressions`."""
        now = self._clock()
        for index, impression in enumerate(impressions):
            try:
                check_impression(impression, self._limits, now)
            except EventError as error:
                field = f"impressions[{index}].{error.field}"
                raise EventError(error.problem, error.remedy, field=field) from None
        rows = {impression.request_id: tables.impression_row(impression) for impression in reversed(impressions)}
        new, _ = self._insert(tables.impressions, [rows[name] for name in sorted(rows)])
        return len(new)

    def impressions(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[Served]:
        """The served lists, oldest first, each with what followed; see `EventStore.impressions`."""
        bounds = bound(since, "since"), bound(until, "until")
        pages = self._pages(tables.impressions, "request_id", *bounds)
        return (served for page in pages for served in self._followed(page, bounds[1]))

    def stats(self) -> EventStats:
        """What the store holds; see `EventStore.stats`."""
        columns = tables.events.c
        spans = select(columns.kind, func.count(), func.min(columns.time), func.max(columns.time))
        distinct_users = select(columns.user_id).distinct().subquery()
        with self._database.read() as connection:
            kinds = connection.execute(spans.group_by(columns.kind).order_by(columns.kind)).all()
            users = connection.execute(select(func.count()).select_from(distinct_users)).scalar_one()
            lists = connection.execute(select(func.count()).select_from(tables.impressions)).scalar_one()
        return EventStats(
            events=sum(count for _, count, _, _ in kinds),
            users=users,
            impressions=lists,
            kinds={kind_named(kind): count for kind, count, _, _ in kinds},
            first=from_micros(min(first for _, _, first, _ in kinds)) if kinds else None,
            last=from_micros(max(last for _, _, _, last in kinds)) if kinds else None,
        )

    def recent_kinds(self, most: int = 10_000) -> set[str]:
        """The kinds of the newest so many events."""
        columns = tables.events.c
        newest = select(columns.kind).order_by(columns.time.desc(), columns.id.desc()).limit(most).subquery()
        with self._database.read() as connection:
            return set(connection.execute(select(newest.c.kind).distinct()).scalars())

    def close(self) -> None:
        """Let go of files and connections. Twice is allowed."""
        self._database.close()

    def _rows(self, events: Sequence[UserEvent]) -> list[Values | EventError]:
        """The row of each event, or why it is rejected."""
        now = self._clock()
        rows: list[Values | EventError] = []
        for event in events:
            try:
                check_event(event, self._limits, now)
            except EventError as error:
                rows.append(error)
                continue
            time = micros(event.event.time or now)
            rows.append(tables.event_row(event, event_id(event, time), time))
        if self._known_items is None:
            return rows
        named = {row["item_id"]: None for row in rows if isinstance(row, dict) and row["item_id"] is not None}
        known = set(self._known_items(list(named))) if named else set()
        return [
            row if isinstance(row, EventError) or row["item_id"] is None or row["item_id"] in known
            else unknown_item(row["item_id"])
            for row in rows
        ]  # fmt: skip

    def _insert(self, table: Table, rows: Sequence[Values]) -> tuple[set[str], dict[str, Values]]:
        """Insert rows that are sorted by their keys, in transactions of `_CHUNK`.

        Returns:
            The keys that were new, and the rows that were there already (of events: what tells them apart).
        """
        new: set[str] = set()
        old: dict[str, Values] = {}
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            with self._database.write() as connection:
                done = insert_new(connection, table, chunk)
                if table is tables.events and len(done) < len(chunk):
                    old |= _present(connection, [row["id"] for row in chunk if row["id"] not in done])
            new |= done
        return new, old

    def _pages(self, table: Table, name: str, since: int | None, until: int | None) -> Iterator[Sequence[Any]]:
        """The rows of a table by (time, key), a page at a time; no connection is held in between."""
        order = table.c.time, table.c[name]
        last: Key | None = None
        while True:
            query = _within(select(table), table.c.time, since, until).order_by(*order).limit(_STEP)
            if last is not None:
                query = query.where(tuple_(*order) > tuple_(*last))
            with self._database.read() as connection:
                rows = connection.execute(query).all()
            if rows:
                yield rows
            if len(rows) < _STEP:
                return
            last = rows[-1].time, getattr(rows[-1], name)

    def _followed(self, page: Sequence[Any], until: int | None) -> Iterator[Served]:
        columns = tables.events.c
        query = select(tables.events).where(columns.request_id.in_([row.request_id for row in page]))
        query = _within(query, columns.time, None, until).order_by(columns.time, columns.id)
        by_request: dict[str, list[UserEvent]] = {}
        with self._database.read() as connection:
            for row in connection.execute(query):
                by_request.setdefault(row.request_id, []).append(tables.event_of(row))
        for row in page:
            impression = tables.impression_of(row)
            found = by_request.get(row.request_id, [])
            events = tuple(e.event for e in found if impression.user in ("", e.user))
            yield Served(impression, events)


_SAME = ("user_id", "kind", "item_id")
"""What two events of one id must agree in to be the same."""


def _present(connection: Connection, ids: list[str]) -> dict[str, Values]:
    columns = [tables.events.c.id, *(tables.events.c[name] for name in _SAME)]
    found = connection.execute(select(*columns).where(tables.events.c.id.in_(ids)))
    return {row.id: dict(row._mapping) for row in found}


def _within(query: Select[Any], time: ColumnElement[int], since: int | None, until: int | None) -> Select[Any]:
    if since is not None:
        query = query.where(time >= since)
    return query if until is None else query.where(time < until)


def _key(cursor: str) -> Key:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        problem = f"cursor {cursor[:40]!r} is not one of a history"
        raise EventError(problem, "send next_cursor of the last page, or none to begin", field="cursor")
    return int(found[1]), found[2]


def _taken(name: str) -> EventError:
    return EventError(
        f"event id {name[:80]!r} is taken by an event of another user, kind or item",
        "give every event an id of its own, or none",
        field="id",
    )
