"""A loaded model that is closed when the last request that uses it has ended, and nobody is to get it any more."""

import threading

import structlog

from engine.query.models import ServedModel


class RefCounted:
    """A loaded model, and how many requests use it."""

    def __init__(self, model: ServedModel, log: structlog.stdlib.BoundLogger) -> None:
        self.model, self._log = model, log
        self._lock = threading.Lock()
        self._users = 0
        self._wanted = True

    def enter(self) -> bool:
        """Begin to use it; False if it may be closed already."""
        with self._lock:
            self._users += self._wanted
            return self._wanted

    def leave(self) -> None:
        """End to use it."""
        with self._lock:
            self._users -= 1
            last = not (self._wanted or self._users)
        if last:
            self._close()

    def retire(self) -> None:
        """Close it as soon as nobody uses it."""
        with self._lock:
            last = self._wanted and not self._users
            self._wanted = False
        if last:
            self._close()

    def _close(self) -> None:
        try:
            self.model.close()
        except Exception as error:  # noqa: BLE001 (it may be anybody's code, and the request is answered)
            self._log.error("model not closed", version=self.model.version, exc_info=error)
        else:
            self._log.info("model closed", version=self.model.version)
