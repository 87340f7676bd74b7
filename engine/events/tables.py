"""The tables of an event store, their version, and how rows become events and served lists.

Times are whole microseconds since 1970, contexts and lists JSON, vectors raw little-endian float32.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Table,
    Text,
    literal_column,
)

from encoders.types import Modality
from encoders.types import Text as TextContent
from engine.core.kinds import kind_named
from engine.core.types import Event, ItemId, UserId, VectorInput
from engine.events.times import from_micros, micros
from engine.events.types import Impression, UserEvent

VERSION = 1
"""Of the tables. A change of them raises it, and brings the step from the version before; an index or table that is
missing is made when the database is opened."""

BYTEWISE = Text().with_variant(Text(collation="C"), "postgresql")
"""Ordered by bytes, so that both databases order ids alike; SQLite does so by itself."""

metadata = MetaData()

schema = Table("triveni_schema", metadata, Column("version", Integer, primary_key=True))

pseudonyms = Table("triveni_pseudonyms", metadata, Column("fingerprint", Text, primary_key=True))
"""Of the key that made the ids of people; no row where they are as they came."""

events = Table(
    "triveni_events",
    metadata,
    Column("id", BYTEWISE, primary_key=True),
    Column("user_id", BYTEWISE, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("item_id", Text),
    Column("text", Text),
    Column("vector", LargeBinary),
    Column("modality", Text),
    Column("fingerprint", Text),
    Column("value", Double),
    Column("request_id", BYTEWISE),
    Column("context", Text, nullable=False),
)
Index("triveni_events_by_user", events.c.user_id, events.c.time, events.c.id)
ACTED = events.c.kind != literal_column("'impression'")
"""What people did, without what they were shown: a condition that has an index of its own, because somebody may have
been shown a million things since they last did one. Databases see that it is the index's only if it is a literal."""
Index(
    "triveni_events_acted",
    events.c.user_id,
    events.c.time,
    events.c.id,
    sqlite_where=ACTED,
    postgresql_where=ACTED,
)
Index("triveni_events_by_time", events.c.time, events.c.id)
Index(
    "triveni_events_by_request",
    events.c.request_id,
    sqlite_where=events.c.request_id.is_not(None),
    postgresql_where=events.c.request_id.is_not(None),
)

impressions = Table(
    "triveni_impressions",
    metadata,
    Column("request_id", BYTEWISE, primary_key=True),
    Column("user_id", BYTEWISE, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("items", Text, nullable=False),
    Column("positions", Text, nullable=False),
    Column("propensities", Text, nullable=False),
    Column("context", Text, nullable=False),
)
Index("triveni_impressions_by_time", impressions.c.time, impressions.c.request_id)
Index("triveni_impressions_by_user", impressions.c.user_id)


def event_row(event: UserEvent, event_id: str, time: int) -> dict[str, Any]:
    """The row of a checked event."""
    inner = event.event
    row: dict[str, Any] = {
        "id": event_id,
        "user_id": event.user,
        "time": time,
        "kind": str(inner.kind),
        "item_id": inner.item,
        "text": None,
        "vector": None,
        "modality": None,
        "fingerprint": None,
        "value": None if inner.value is None else float(inner.value),
        "request_id": inner.request_id or None,
        "context": _dump(dict(inner.context)) if inner.context else "{}",
    }
    match inner.content:
        case TextContent(text):
            row["text"] = text
        case VectorInput(modality, values, fingerprint):
            row["vector"] = np.ascontiguousarray(values, "<f4").tobytes()
            row["modality"], row["fingerprint"] = str(modality), fingerprint
    return row


def event_of(row: Row[Any]) -> UserEvent:
    """The event of a row."""
    content: TextContent | VectorInput | None = None
    if row.text is not None:
        content = TextContent(row.text)
    elif row.vector is not None:
        values = np.frombuffer(row.vector, "<f4").astype(np.float32)
        content = VectorInput(Modality(row.modality), values, row.fingerprint)
    event = Event(
        kind_named(row.kind),
        None if row.item_id is None else ItemId(row.item_id),
        content,
        from_micros(row.time),
        row.value,
        row.id,
        row.request_id or "",
        _load(row.context),
    )
    return UserEvent(UserId(row.user_id), event)


def impression_row(impression: Impression) -> dict[str, Any]:
    """The row of a checked served list."""
    return {
        "request_id": impression.request_id,
        "user_id": impression.user,
        "time": micros(impression.time),
        "model": impression.model,
        "tier": impression.tier,
        "items": _dump(list(impression.items)),
        "positions": _dump([int(position) for position in impression.positions]),
        "propensities": _dump([float(propensity) for propensity in impression.propensities]),
        "context": _dump(dict(impression.context)),
    }


def impression_of(row: Row[Any]) -> Impression:
    """The served list of a row."""
    return Impression(
        row.request_id,
        UserId(row.user_id),
        tuple(json.loads(row.items)),
        tuple(json.loads(row.positions)),
        tuple(json.loads(row.propensities)),
        row.model,
        row.tier,
        from_micros(row.time),
        _load(row.context),
    )


def _dump(value: dict[str, str] | Sequence[str] | Sequence[float]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _load(raw: str) -> dict[str, str]:
    return {} if raw == "{}" else dict(json.loads(raw))
