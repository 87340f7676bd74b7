"""The time of day, where no test or simulation gives another."""

from datetime import UTC, datetime


def now_utc() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)
