"""Where in a request an error lies, and the checks that any message needs."""

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from encoders.errors import TriveniError
from engine.core.errors import InvalidQueryError
from engine.core.types import ItemId, check_id

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_PLAIN = 512


def within(error: TriveniError, path: str) -> TriveniError:
    """The same error, its field now named from one level further out: `text` becomes `contents[1].text`."""
    error.field = f"{path}.{error.field}" if error.field else path
    return error


def id_of(value: str, field: str) -> ItemId:
    """An item's id.

    Raises:
        InvalidItemError: if it is empty, too long, or holds NUL.
    """
    try:
        check_id(value)
    except TriveniError as error:
        error.field = field
        raise
    return ItemId(value)


def plain(value: str, field: str) -> str:
    """A short text that goes into logs and keys.

    Raises:
        InvalidQueryError: if it holds NUL or is longer than 512 characters.
    """
    if len(value) > _MAX_PLAIN:
        raise InvalidQueryError(
            f"{field} has {len(value)} characters, the limit is {_MAX_PLAIN}", "shorten it", field=field
        )
    if "\0" in value:
        raise InvalidQueryError(f"{field} holds NUL", "remove it", field=field)
    return value


def time_of(message: Timestamp, field: str) -> datetime:
    """A time, in UTC.

    Raises:
        InvalidQueryError: if it lies outside the years 1 to 9999.
    """
    try:
        return _EPOCH + timedelta(0, message.seconds, message.nanos // 1000)
    except OverflowError:
        raise InvalidQueryError(
            f"timestamp of {message.seconds} seconds lies outside the years 1 to 9999",
            "send seconds since 1970-01-01 UTC",
            field=field,
        ) from None


def timestamp(time: datetime) -> Timestamp:
    """A time with a zone, as a message."""
    message = Timestamp()
    message.FromDatetime(time)
    return message
