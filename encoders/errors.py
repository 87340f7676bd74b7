"""The root of Triveni's one tree of exceptions, and the branch that belongs to the encoders.

An error says what is wrong, the value, and the remedy, in lower case. Each class carries the name of the
gRPC status that a client gets (https://grpc.io/docs/guides/status-codes/); nothing here imports gRPC.
"""

from typing import ClassVar


class TriveniError(Exception):
    """Something went wrong, in a way that the caller can read and act on.

    Args:
        problem: what is wrong, with the offending value, in lower case.
        remedy: what to do about it, in lower case; "" where there is nothing to do.
        field: the request field or catalogue column at fault, "" if none.
    """

    status: ClassVar[str] = "INTERNAL"

    def __init__(self, problem: str, remedy: str = "", *, field: str = "") -> None:
        super().__init__(f"{problem}: {remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy
        self.field = field


class ContentError(TriveniError):
    """A text, picture or sound cannot be read."""

    status = "INVALID_ARGUMENT"


class LimitError(ContentError):
    """A text, picture or sound is larger than the limits allow."""


class QuarantineError(ContentError):
    """A picture or sound killed the processes that decoded it; it is not decoded again."""


class VectorError(TriveniError):
    """A vector has the wrong dimension, or holds NaN, infinity or only zeros."""

    status = "INVALID_ARGUMENT"


class SpaceError(TriveniError):
    """Vectors of two spaces would meet, or a space cannot do what is asked of it."""

    status = "FAILED_PRECONDITION"


class WeightsError(TriveniError):
    """The weights of an encoder are missing, or are not the ones that the space was built with."""

    status = "FAILED_PRECONDITION"


class DecoderError(TriveniError):
    """The process that decodes pictures and sounds cannot be started."""

    status = "UNAVAILABLE"
