"""The branch of backups in the one tree of exceptions; see `encoders.errors` for its root."""

from encoders.errors import TriveniError


class BackupError(TriveniError):
    """An archive is damaged, cut off, or no backup; or the place that it is to be restored into is not empty."""

    status = "FAILED_PRECONDITION"
