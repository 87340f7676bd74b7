"""The indexers' branch of the one tree of exceptions; see `encoders.errors` for its root."""

from encoders.errors import TriveniError


class CatalogError(TriveniError):
    """A catalogue cannot be read at all: it is missing, of an unknown kind, or broken."""

    status = "INVALID_ARGUMENT"


class RowError(TriveniError):
    """One row of a catalogue cannot be used; the others can."""

    status = "INVALID_ARGUMENT"


class DuplicateError(RowError):
    """Two rows have one id."""


class PathError(RowError):
    """A row names a file that it must not read, or that is not there."""


class PruneError(TriveniError):
    """Pruning would delete what it should not."""

    status = "FAILED_PRECONDITION"
