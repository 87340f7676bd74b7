"""The event store in SQL: SQLite, or PostgreSQL; see `engine.events.base` for what it promises."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Select, Table, select, tuple_

from engine.core.times import now_utc
from engine.core.types import UserId
from engine.events import people, tables, totals
from engine.events.check import EventLimits, as_told, check_event, check_impression, check_user, unknown_item
from engine.events.database import Database
from engine.events.errors import EventError
from engine.events.identity import event_id
from engine.events.insert import SAME, insert_all
from engine.events.times import bound, micros
from engine.events.types import (
    EventStats,
    Held,
    HistoryPage,
    Impression,
    KnownItems,
    ListPage,
    OutcomeKind,
    RecordOutcome,
    Retention,
    Served,
    UserEvent,
)

_STEP = 1000
"""Rows that a stream reads at once."""

Values = dict[str, Any]
Key = tuple[int, str]
_Named = TypeVar("_Named", UserEvent, Impression)


class SqlEventStore:
    """Keeps events in SQLite or PostgreSQL.

    Args:
        url: `sqlite:///var/events.db` or `postgresql://user:password@host/database`.
        limits: the largest event.
        known_items: says which items are in the catalogue, so that events on others are rejected; None keeps all.
        retention: how long what is kept is read; `purge` deletes what is older.
        clock: the time, with a time zone.
        existing: refuse a file that is not there, instead of making it.

    Raises:
        EventStoreError: if the URL is of another kind, or the database cannot be reached.
        EventSchemaError: if it is no database, or its tables are of another version.
        EventKeyError: if its people have other pseudonyms than the limits' ones, or none.
    """

    def __init__(
        self,
        url: str,
        *,
        limits: EventLimits | None = None,
        known_items: KnownItems | None = None,
        retention: Retention = Retention(),  # noqa: B008 (frozen)
        clock: Callable[[], datetime] = now_utc,
        existing: bool = False,
    ) -> None:
        self._limits = limits or EventLimits()
        self._known_items = known_items
        self._clock = clock
        self._keep = {tables.events: retention.events, tables.impressions: retention.lists}
        self._user = self._limits.users
        self._database = Database(url, existing=existing)
        try:
            self._database.keyed(getattr(self._user, "fingerprint", ""))
        except BaseException:
            self._database.close()
            raise

    def record(self, events: Sequence[UserEvent]) -> list[RecordOutcome]:
        """Record events, each for itself; see `EventStore.record`."""
        events = self._named(events)
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
        new, theirs = insert_all(self._database, tables.events, sorted(ours.values(), key=lambda row: row["id"]))
        for index, row in rows.items():
            name = row["id"]
            first = theirs.get(name) or ours[name]
            if any(row[column] != first[column] for column in SAME):
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
        user = self._user(user)
        check_user(user)
        wanted = tables.events.c.user_id == user, *people.of_kinds(kinds)
        last = bound(before, "before")
        query = self._within(select(tables.events).where(*wanted), tables.events, None, last)
        page = people.newest(query, tables.events.c.id, limit, cursor)
        with self._database.read() as connection:
            rows, following = page(connection)
        return HistoryPage(tuple(tables.event_of(row).event for row in rows), following)

    def lists(self, user: UserId, *, limit: int = 100, cursor: str | None = None) -> ListPage:
        """A page of what a person was served; see `EventStore.lists`."""
        user = self._user(user)
        check_user(user)
        own = select(tables.impressions).where(tables.impressions.c.user_id == user)
        query = self._within(own, tables.impressions)
        page = people.newest(query, tables.impressions.c.request_id, limit, cursor)
        with self._database.read() as connection:
            rows, following = page(connection)
        return ListPage(tuple(map(tables.impression_of, rows)), following)

    def held(self, user: UserId) -> Held:
        """What there is of a person; see `EventStore.held`."""
        user = self._user(user)
        check_user(user)
        with self._database.read() as connection:
            return people.held(connection, user)

    def delete_user(self, user: UserId) -> Held:
        """Delete all that is known of a person; see `EventStore.delete_user`."""
        user = self._user(user)
        check_user(user)
        with self._database.write() as connection:
            found = people.held(connection, user)
            people.delete_all(connection, user)
        return found

    def scrub(self) -> None:
        """Rid the files of what was deleted; see `EventStore.scrub`."""
        self._database.scrub()

    def export(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[UserEvent]:
        """All events, oldest first, as a stream; see `EventStore.export`."""
        bounds = bound(since, "since"), bound(until, "until")
        return (tables.event_of(row) for page in self._pages(tables.events, "id", *bounds) for row in page)

    def log_impressions(self, impressions: Sequence[Impression]) -> int:
        """Log served lists; see `EventStore.log_impressions`."""
        now = self._clock()
        impressions = self._named(impressions)
        for index, impression in enumerate(impressions):
            try:
                check_impression(impression, self._limits, now)
            except EventError as error:
                field = f"impressions[{index}].{error.field}"
                raise EventError(error.problem, error.remedy, field=field) from None
        rows = {impression.request_id: tables.impression_row(impression) for impression in reversed(impressions)}
        new, _ = insert_all(self._database, tables.impressions, [rows[name] for name in sorted(rows)])
        return len(new)

    def impressions(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[Served]:
        """The served lists, oldest first, each with what followed; see `EventStore.impressions`."""
        bounds = bound(since, "since"), bound(until, "until")
        pages = self._pages(tables.impressions, "request_id", *bounds)
        return (served for page in pages for served in self._followed(page, bounds[1]))

    def stats(self) -> EventStats:
        """What the store holds; see `EventStore.stats`."""
        events, lists = (self._within(select(table), table).subquery() for table in self._keep)
        with self._database.read() as connection:
            return totals.stats(connection, events, lists)

    def recent_kinds(self, most: int = 10_000) -> set[str]:
        """The kinds of the newest so many events."""
        query = self._within(select(tables.events.c.kind), tables.events)
        with self._database.read() as connection:
            return totals.kinds_of_newest(connection, query, most)

    def purge(self, most: int = 1000) -> int:
        """Delete what is older than it is kept; see `EventStore.purge`."""
        gone = 0
        for table in self._keep:
            oldest = self._oldest(table)
            if oldest is not None and gone < most:
                with self._database.write() as connection:
                    gone += people.delete_before(connection, table, oldest, most - gone)
        return gone

    def close(self) -> None:
        """Let go of files and connections. Twice is allowed."""
        self._database.close()

    def _rows(self, events: Sequence[UserEvent]) -> list[Values | EventError]:
        """The row of each event, or why it is rejected."""
        now, oldest = self._clock(), self._oldest(tables.events)
        rows: list[Values | EventError] = []
        for event in events:
            try:
                check_event(event, self._limits, now)
            except EventError as error:
                rows.append(error)
                continue
            time = micros(event.event.time or now)
            if oldest is not None and time < oldest:
                rows.append(_too_old(event))
                continue
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

    def _named(self, rows: Sequence[_Named]) -> Sequence[_Named]:
        """Events or lists with the names that people have here."""
        return rows if self._user is as_told else [replace(row, user=self._user(row.user)) for row in rows]

    def _oldest(self, table: Table) -> int | None:
        """From when on rows are read, in microseconds; None reads all."""
        kept = self._keep[table]
        return None if kept is None else micros(self._clock() - kept)

    def _within(
        self, query: Select[Any], table: Table, since: int | None = None, until: int | None = None
    ) -> Select[Any]:
        """The rows of a query that lie between two times, and are not too old."""
        since = max((one for one in (since, self._oldest(table)) if one is not None), default=None)
        if since is not None:
            query = query.where(table.c.time >= since)
        return query if until is None else query.where(table.c.time < until)

    def _pages(self, table: Table, name: str, since: int | None, until: int | None) -> Iterator[Sequence[Any]]:
        """The rows of a table by (time, key), a page at a time; no connection is held in between."""
        order = table.c.time, table.c[name]
        last: Key | None = None
        while True:
            query = self._within(select(table), table, since, until).order_by(*order).limit(_STEP)
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
        query = self._within(query, tables.events, None, until).order_by(columns.time, columns.id)
        by_request: dict[str, list[UserEvent]] = {}
        with self._database.read() as connection:
            for row in connection.execute(query):
                by_request.setdefault(row.request_id, []).append(tables.event_of(row))
        for row in page:
            impression = tables.impression_of(row)
            found = by_request.get(row.request_id, [])
            events = tuple(e.event for e in found if impression.user in ("", e.user))
            yield Served(impression, events)


def _too_old(event: UserEvent) -> EventError:
    problem = f"time {event.event.time} is older than events are kept"
    return EventError(problem, "leave it out, or raise events.retention_days", field="time")


def _taken(name: str) -> EventError:
    return EventError(
        f"event id {name[:80]!r} is taken by an event of another user, kind or item",
        "give every event an id of its own, or none",
        field="id",
    )
