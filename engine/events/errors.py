"""The event store's branch of the one tree of exceptions; see `encoders.errors` for its root."""

from encoders.errors import TriveniError


class EventError(TriveniError):
    """One event, or one served list, cannot be kept; the others can."""

    status = "INVALID_ARGUMENT"


class EventFileError(TriveniError):
    """A file of events cannot be read at all: it is missing, of an unknown kind, or broken."""

    status = "INVALID_ARGUMENT"


class EventStoreError(TriveniError):
    """The database did not do what was asked of it; what was acknowledged before is safe."""

    status = "UNAVAILABLE"


class EventSchemaError(EventStoreError):
    """The database is no event store, or one of another version."""

    status = "FAILED_PRECONDITION"
