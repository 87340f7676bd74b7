"""Times as whole microseconds since 1970 in UTC: exact, and the same in every database and file."""

from datetime import UTC, datetime, timedelta

from engine.events.errors import EventError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(time: datetime) -> int:
    """A time with a time zone as microseconds since 1970."""
    return (time - EPOCH) // _MICROSECOND


def from_micros(value: int) -> datetime:
    """The time, in UTC."""
    return EPOCH + timedelta(microseconds=value)


def bound(time: datetime | None, field: str) -> int | None:
    """The bound of a stretch of time in microseconds; None is open.

    Raises:
        EventError: if it has no time zone.
    """
    if time is None:
        return None
    if time.tzinfo is None:
        raise EventError(f"{field} {time} has no time zone", "add one, such as UTC", field=field)
    return micros(time)
