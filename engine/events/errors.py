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


class EventDiskFullError(EventStoreError):
    """There is no room for more on the disk of the database."""

    status = "RESOURCE_EXHAUSTED"


class EventSchemaError(EventStoreError):
    """The database is no event store, or one of another version."""

    status = "FAILED_PRECONDITION"


class EventKeyError(EventStoreError):
    """The people in the database are called otherwise than the settings say.

    Args:
        store: where it is.
        found: the fingerprint of the key that made their pseudonyms; "" if they have none.
        given: that of the settings' key; "" if there is none.
    """

    status = "FAILED_PRECONDITION"

    def __init__(self, store: str, found: str, given: str) -> None:
        has = f"pseudonyms of the key {found}" if found else "user ids as they came"
        says = f"events.pseudonym_key_file has the key {given}" if given else "events.pseudonym_key_file is not set"
        remedy = (
            "name the file of that key"
            if found
            else "export its events, then import them into an empty database, which takes the key"
        )
        super().__init__(f"event store {store} has {has}, but {says}", remedy)
