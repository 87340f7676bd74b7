"""What was recorded of a person joins what a request says of them, before its query goes through the engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from engine.core.deadline import Deadline
from engine.core.types import Event, Query
from engine.core.validate import MAX_HISTORY
from engine.events.base import MAX_PAGE, EventStore
from engine.events.errors import EventStoreError
from engine.events.identity import event_id
from engine.events.times import micros
from engine.events.types import UserEvent


@dataclass(frozen=True, slots=True)
class Joined:
    """A query with what was recorded of its person."""

    query: Query
    """The request's own events first, so that their positions stay; then the recorded ones, oldest first."""
    own: int
    """How many of the history are the request's own."""
    unread: str = ""
    """Why what was recorded could not be read; "" if it was."""


class StoredHistory:
    """Adds the newest recorded events of a query's person to its history.

    Kinds that weigh nothing (by default impressions) are left out: they would only take the place of others, and
    keep what was merely shown from being shown again. So are kinds that are no longer declared.

    Args:
        store: what people did.
        weights: what kinds of events weigh in a history.
        max_events: how many events a request uses.
    """

    def __init__(self, store: EventStore, weights: Mapping[str, float], max_events: int) -> None:
        self._store = store
        self._limit = min(max_events, MAX_PAGE)
        self._kinds = tuple(kind for kind, weight in weights.items() if weight != 0)

    def join(self, query: Query, deadline: Deadline, before: datetime | None = None) -> Joined:
        """The query with its person's recorded history, as much as a query takes; without a person it stays as it is.

        An event that is both recorded and in the request counts once, as the request's. If the database fails, the
        request is answered from what it says itself, and the answer tells so: recommendations do not stop with it.

        Args:
            query: the query.
            deadline: when the answer has to be there.
            before: only what happened before this time; None means all.

        Raises:
            EventError: if the user id cannot be one.
            DeadlineError: if the time is up.
            CancelledError: if the caller went away.
        """
        own = len(query.history)
        if not query.user or not self._kinds:
            return Joined(query, own)
        deadline.check("reading the history")
        try:
            stored = self._store.history(query.user, limit=self._limit, kinds=self._kinds, before=before).events
        except EventStoreError as error:
            return Joined(query, own, str(error))
        sent = _ids(query, stored)
        room = max(MAX_HISTORY - own, 0)
        added = [event for event in stored if event.id not in sent][:room][::-1]
        return Joined(replace(query, history=(*query.history, *added)), own)


def _ids(query: Query, stored: Sequence[Event]) -> set[str]:
    """The ids of the request's events; made as for recording where one has none and may be among the stored ones."""
    times = {event.time for event in stored}
    return {
        event.id or event_id(UserEvent(query.user, event), micros(event.time))
        for event in query.history
        if event.time is not None and (event.id or event.time in times)
    } | {event.id for event in query.history if event.id}
