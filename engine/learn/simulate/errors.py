"""The simulator's branch of the one tree of exceptions; see `encoders.errors` for its root."""

from encoders.errors import TriveniError


class SimulationError(TriveniError):
    """A world cannot be made as asked for, or something was served that is not there."""

    status = "INVALID_ARGUMENT"
