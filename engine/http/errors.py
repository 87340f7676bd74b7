"""What the door itself refuses; each class names its HTTP status beside its gRPC status."""

from typing import ClassVar

from encoders.errors import TriveniError


class HttpError(TriveniError):
    """A request that does not get as far as a call."""

    status = "INVALID_ARGUMENT"
    http_status: ClassVar[int] = 400


class MalformedBodyError(HttpError):
    """The body is not what its content type says, or not the message that the call takes."""


class MalformedRequestError(HttpError):
    """What came is no HTTP."""


class CrowdedError(HttpError):
    """There are more connections than the door takes."""

    status = "UNAVAILABLE"
    http_status = 503


class RangeError(HttpError):
    """A part of a file is asked for that it does not have."""

    status = "OUT_OF_RANGE"
    http_status = 416

    def __init__(self, size: int) -> None:
        super().__init__(f"the file has {size} bytes, and not those", "ask for a part of it", field="range")
        self.size = size


class MalformedHeaderError(HttpError):
    """A header that the door reads makes no sense."""


class NoSuchPathError(HttpError):
    """There is nothing at this path."""

    status = "NOT_FOUND"
    http_status = 404


class NoSuchMethodError(HttpError):
    """The path does not take this method."""

    status = "UNIMPLEMENTED"
    http_status = 405


class SlowBodyError(HttpError):
    """The body did not arrive in time."""

    status = "DEADLINE_EXCEEDED"
    http_status = 408


class TooLargeError(HttpError):
    """The body, or the message that it makes, is larger than the service takes."""

    http_status = 413


class ContentTypeError(HttpError):
    """The body is of a content type, or an encoding, that the call does not take."""

    http_status = 415


class WrongHostError(HttpError):
    """The request asks for a host that this server does not answer for."""

    status = "PERMISSION_DENIED"
    http_status = 421


class WrongOriginError(HttpError):
    """A page of another site sent the request."""

    status = "PERMISSION_DENIED"
    http_status = 403
