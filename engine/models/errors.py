"""Learning's branch of the one tree of exceptions; see `encoders.errors` for its root."""

from encoders.errors import TriveniError


class ModelError(TriveniError):
    """A model version cannot do what is asked: retire while it serves, go back where nothing served before."""

    status = "FAILED_PRECONDITION"


class CheckpointError(ModelError):
    """A model version cannot be loaded: it is corrupt, of another space, or of a newer format."""


class OvertakenError(ModelError):
    """Another version serves by now than the one that it was held against."""


class NotBetterError(ModelError):
    """The gate: a new model version did not beat the one that serves."""


class TooLittleDataError(TriveniError):
    """There is not enough to learn from; no version was made."""

    status = "FAILED_PRECONDITION"


class TrainingError(TriveniError):
    """A training ended without a model, or none can begin."""

    status = "FAILED_PRECONDITION"


class LeakError(ModelError):
    """A training row knows the future."""
