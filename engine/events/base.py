"""The protocol of an event store."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from engine.core.types import UserId
from engine.events.types import (
    EventStats,
    Held,
    HistoryPage,
    Impression,
    ListPage,
    RecordOutcome,
    Served,
    UserEvent,
)

MAX_PAGE = 10_000
"""The most events of a page of a history."""


@runtime_checkable
class EventStore(Protocol):
    """Keeps what people did and what they were shown. Append-only, but for the deletion of people and of what is
    too old.

    **Idempotent by event id.** The same event sent again, in any order, changes nothing. An event without an id
    gets one made from its contents and its time (see `engine.events.identity`), so sending it again is safe if it
    carries a time; without a time it happens now, and sent later again it happened again. An id that another event
    (of another person, kind or item) already has is rejected: it would be lost as a duplicate.

    **Contents.** A text is kept as it is, so that any later space can encode it. Of a picture or sound only the
    vector is kept (float32, with its modality and the fingerprint of its space), never the media; it comes back as
    a `VectorInput`. `engine.events.encode.with_vectors` makes events fit to be recorded.

    **Order.** Events are ordered by (time, id), so that every store that holds the same events gives the same
    history, whatever order they came in. Times come back in UTC, to the microsecond.

    All methods may be called from many threads at once. What a write has acknowledged is there after kill -9.
    Every method raises EventStoreError if the database fails; a write may then be sent again.
    """

    def record(self, events: Sequence[UserEvent]) -> list[RecordOutcome]:
        """Record events, each for itself: one that is rejected does not keep out the others.

        Returns:
            For each event, in order, what became of it.
        """

    def history(
        self,
        user: UserId,
        *,
        limit: int = 100,
        cursor: str | None = None,
        before: datetime | None = None,
        kinds: Collection[str] = (),
    ) -> HistoryPage:
        """A page of what a person did, newest first; empty for somebody unknown.

        Each event comes once over all pages, also while others are recorded.

        Args:
            user: the person.
            limit: at most so many events, 1 to `MAX_PAGE`.
            cursor: the last page's `next_cursor`; None begins.
            before: only events before this time; None means all.
            kinds: only events of these kinds; empty means all.

        Raises:
            EventError: if the user id cannot be one, the limit is out of range, the cursor is not one of this
                store's, or `before` has no time zone.
        """

    def lists(self, user: UserId, *, limit: int = 100, cursor: str | None = None) -> ListPage:
        """A page of the lists that a person was served, newest first; see `history` for the arguments and errors."""

    def held(self, user: UserId) -> Held:
        """What there is of a person.

        Raises:
            EventError: if the user id cannot be one.
        """

    def delete_user(self, user: UserId) -> Held:
        """Delete all events of a person and all lists that they were served, and say what it was.

        Raises:
            EventError: if the user id cannot be one.
        """

    def scrub(self) -> None:
        """Rid the database's own files of what was deleted, as far as the database lets us.

        SQLite writes its file anew and empties its log, in time that grows with the file; writes wait meanwhile,
        reads do not. PostgreSQL vacuums the tables; its log, replicas and backups are not ours.
        """

    def purge(self, most: int = 1000) -> int:
        """Delete the oldest of the events and lists that are older than they are kept, and say how many it were.

        Reads do not give them any more before that, and events that are so old are rejected.

        Args:
            most: rows of a transaction, so that others write in between; call again until nothing is deleted.
        """

    def export(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[UserEvent]:
        """All events from `since` on and before `until`, oldest first, as a stream.

        Of what is recorded meanwhile, it gives what is younger than where it is.

        Raises:
            EventError: if a time has no time zone.
        """

    def log_impressions(self, impressions: Sequence[Impression]) -> int:
        """Log served lists, and say how many were new. Idempotent by request id.

        Raises:
            EventError: if one of them makes no sense, naming its place; nothing is logged.
        """

    def impressions(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[Served]:
        """The lists served from `since` on and before `until`, oldest first, each with what followed, as a stream.

        What followed are the events that name the request and are the same person's (anybody's, where the list was
        served to nobody named), and that happened before `until`: nothing later leaks in.

        Raises:
            EventError: if a time has no time zone.
        """

    def stats(self) -> EventStats:
        """What the store holds. Counts all events."""

    def close(self) -> None:
        """Let go of files and connections. Twice is allowed."""
