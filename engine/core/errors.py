"""The engine's branches of the one tree of exceptions; see `encoders.errors` for its root."""

from encoders.errors import TriveniError


class InvalidQueryError(TriveniError):
    """A request asks for something that makes no sense: a negative limit, an unknown filter field."""

    status = "INVALID_ARGUMENT"


class InvalidItemError(TriveniError):
    """An item cannot be stored: no id, no content, a payload that is not plain data."""

    status = "INVALID_ARGUMENT"


class NotFoundError(TriveniError):
    """No item has this id."""

    status = "NOT_FOUND"


class StoreError(TriveniError):
    """The vector store did not do what was asked of it."""

    status = "UNAVAILABLE"


class StoreInUseError(StoreError):
    """Another process holds the store."""

    status = "FAILED_PRECONDITION"


class DiskError(TriveniError):
    """A file cannot be written: the disk is full, or the folder may not be written."""

    status = "UNAVAILABLE"


class DiskFullError(DiskError):
    """There is too little room on the disk to begin, or to go on."""

    status = "RESOURCE_EXHAUSTED"


class SettingsError(TriveniError):
    """A setting is missing, unknown, or out of range."""

    status = "FAILED_PRECONDITION"


class MissingExtraError(TriveniError):
    """A library that only this part needs is not installed; the remedy names the extra that brings it."""

    status = "FAILED_PRECONDITION"


class PluginError(TriveniError):
    """A part that another distribution adds is broken."""

    status = "FAILED_PRECONDITION"


class DeadlineError(TriveniError):
    """The deadline passed before the work was done."""

    status = "DEADLINE_EXCEEDED"


class CancelledError(TriveniError):
    """The caller went away; the work was stopped."""

    status = "CANCELLED"


class OverloadedError(TriveniError):
    """Too much work is waiting; the caller may try again.

    Args:
        problem: what is wrong.
        remedy: what to do about it.
        field: the request field at fault, "" if none.
        retry_seconds: after which it may be tried again; None if that is not known.
    """

    status = "RESOURCE_EXHAUSTED"

    def __init__(
        self, problem: str, remedy: str = "", *, field: str = "", retry_seconds: float | None = None
    ) -> None:
        super().__init__(problem, remedy, field=field)
        self.retry_seconds = retry_seconds
