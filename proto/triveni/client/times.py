"""Times on the wire and here: always with a zone."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from triveni.client.errors import InvalidError


def aware(time: datetime | str, field: str = "time") -> datetime:
    """A time with a zone, from one, or from RFC 3339 (UTC where no zone is written).

    Raises:
        InvalidError: if it is no time, or a `datetime` without a zone: nobody could say which time is meant.
    """
    if isinstance(time, str):
        try:
            found = datetime.fromisoformat(time.upper())
        except ValueError:
            raise InvalidError(f"{field} {time!r} is no time", "write 2025-01-31T12:00:00Z") from None
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    if not isinstance(time, datetime):
        raise InvalidError(f"{field} {time!r} is no time", "give a datetime, or text such as 2025-01-31T12:00:00Z")
    if time.tzinfo is None:
        raise InvalidError(f"{field} {time} has no time zone", "give it one: datetime.now(UTC)")
    return time


def timestamp(time: datetime | str, field: str = "time") -> Timestamp:
    """The same as a message."""
    message = Timestamp()
    message.FromDatetime(aware(time, field))
    return message


def time_of(message: Timestamp) -> datetime:
    """A time, in UTC."""
    return message.ToDatetime(UTC)
