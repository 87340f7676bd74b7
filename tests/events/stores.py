"""The stores under test, and events for them."""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from encoders.types import Content, Modality
from engine.core.types import Event, EventKind, ItemId, UserId, VectorInput
from engine.events.base import EventStore
from engine.events.sql import SqlEventStore
from engine.events.types import Impression, OutcomeKind, RecordOutcome, UserEvent

STORES = ("sqlite", "postgresql")
POSTGRES_URL = os.environ.get("POSTGRES_URL", "postgresql://127.0.0.1:5432/test")
ANN, BOB = UserId("ann"), UserId("bob")
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
FINGERPRINT = "0123456789abcdef" * 2


@cache
def no_postgres() -> str:
    """Why PostgreSQL cannot be tested, "" if it can."""
    engine = create_engine(_driver(POSTGRES_URL), connect_args={"connect_timeout": 2})
    try:
        with engine.connect():
            return ""
    except OperationalError as error:
        return f"no PostgreSQL at POSTGRES_URL: {str(error.orig).splitlines()[0]}"
    finally:
        engine.dispose()


@contextmanager
def store_url(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database: a file, or a schema that is dropped afterwards."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'events.db'}"
        return
    name = f"test_{uuid.uuid4().hex}"
    admin = create_engine(_driver(POSTGRES_URL))
    with admin.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    try:
        inside = make_url(POSTGRES_URL).update_query_dict({"options": f"-csearch_path={name}"})
        yield inside.render_as_string(hide_password=False)
    finally:
        with admin.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
        admin.dispose()


def open_store(url: str, **options: Any) -> SqlEventStore:
    return SqlEventStore(url, clock=lambda: NOW, **options)


def _driver(url: str) -> Any:
    return make_url(url).set(drivername="postgresql+psycopg")


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def click(user: str = "ann", item: str = "bird", name: str = "", **fields: Any) -> UserEvent:
    fields.setdefault("time", ago(hours=1))
    return UserEvent(UserId(user), Event(EventKind.CLICK, ItemId(item), id=name, **fields))


def on(content: Content | VectorInput, user: str = "ann", kind: EventKind = EventKind.SEARCH) -> UserEvent:
    return UserEvent(UserId(user), Event(kind, content=content, time=ago(hours=1)))


def vector(seed: int = 0, dimension: int = 16) -> VectorInput:
    values = np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)
    return VectorInput(Modality.IMAGE, values, FINGERPRINT)


def served(request: str = "r1", user: str = "ann", items: tuple[str, ...] = ("a", "b"), **fields: Any) -> Impression:
    count = len(items)
    given: dict[str, Any] = {
        "positions": tuple(range(1, count + 1)),
        "propensities": tuple(1 / (position + 1) for position in range(count)),
        "model": "m1",
        "tier": "retrieval",
        "time": ago(hours=2),
        "context": {"device": "phone"},
    } | fields
    return Impression(request, UserId(user), tuple(map(ItemId, items)), **given)


def plain(event: UserEvent | Event) -> Any:
    """All that an event says, in a form that can be compared."""
    user, inner = (event.user, event.event) if isinstance(event, UserEvent) else (None, event)
    content: Any = inner.content
    if isinstance(content, VectorInput):
        content = content.modality, content.values.dtype.str, content.values.tobytes(), content.fingerprint
    said = inner.kind, inner.item, content, inner.time, inner.value, inner.id, inner.request_id, dict(inner.context)
    return user, *said


def kinds(outcomes: Sequence[RecordOutcome]) -> list[OutcomeKind]:
    return [outcome.kind for outcome in outcomes]


def whole_history(store: EventStore, user: UserId = ANN, limit: int = 3) -> list[Event]:
    found: list[Event] = []
    cursor: str | None = None
    while True:
        page = store.history(user, limit=limit, cursor=cursor)
        assert len(page.events) <= limit
        found += page.events
        cursor = page.next_cursor
        if cursor is None:
            return found
