"""All that is kept of one person, page by page, under the id by which it was asked for."""

from collections.abc import Iterator
from dataclasses import replace

from engine.core.types import UserId
from engine.events.base import EventStore
from engine.events.types import Impression, UserEvent

_PAGE = 1000


def events(store: EventStore, user: UserId) -> Iterator[UserEvent]:
    """Their events, newest first."""
    cursor: str | None = None
    while True:
        page = store.history(user, limit=_PAGE, cursor=cursor)
        yield from (UserEvent(user, event) for event in page.events)
        cursor = page.next_cursor
        if cursor is None:
            return


def lists(store: EventStore, user: UserId) -> Iterator[Impression]:
    """The lists that they were served, newest first."""
    cursor: str | None = None
    while True:
        page = store.lists(user, limit=_PAGE, cursor=cursor)
        yield from (replace(one, user=user) for one in page.lists)
        cursor = page.next_cursor
        if cursor is None:
            return
