"""The audit log: who changed what when, and who was refused; one JSON object a line, never what a call contained."""

import json
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from errno import ENOSPC
from pathlib import Path

import structlog

from engine.core.errors import SettingsError
from engine.service.access.caller import Caller, Scope

_REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED")


class AuditLog:
    """Appends to a file. Any number of threads, and of processes, may write to the same.

    The file is opened for each line, so it may be moved away at any time (logrotate). A line that cannot be written,
    because the disk is full, is lost: the server goes on, says so in its own log, and counts it.

    Args:
        path: of the file; None writes nothing.

    Raises:
        SettingsError: if it cannot be written to.
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self._lock = path, threading.Lock()
        self._torn = False
        """Whether the last line was written in part: the next begins with a line break."""
        self.lost = 0
        """Lines that could not be written."""
        if path is not None:
            try:
                os.close(self._open())
            except OSError as error:
                raise SettingsError(
                    f"the audit log {path} cannot be written ({error.strerror})",
                    "set log.audit to one that can be",
                ) from None

    @property
    def writes(self) -> bool:
        """Whether there is one."""
        return self._path is not None

    def ended(
        self,
        method: str,
        scope: Scope | None,
        caller: Caller,
        code: str,
        request_id: str,
        *,
        peer: str = "",
        why: str = "",
        time: datetime | None = None,
    ) -> None:
        """Note a call that has ended, if it was refused or may have changed something.

        Args:
            method: its full name, or the path of a route.
            scope: that it needs.
            caller: who called.
            code: the name of the gRPC status that it ended with.
            request_id: its id.
            peer: the address that it came from, as far as that is known.
            why: it was refused.
            time: when it began; None is now.
        """
        if self._path is None or not (code in _REFUSED or scope not in (None, Scope.READ)):
            return
        said: Mapping[str, str] = {
            "time": (time or datetime.now(UTC)).isoformat(timespec="milliseconds"),
            "request_id": request_id,
            "subject": caller.subject,
            "tenant": caller.tenant,
            "peer": peer,
            "method": method,
            "scope": str(scope or ""),
            "code": code,
            **({"why": why} if why else {}),
        }
        try:
            self._append(json.dumps(said).encode() + b"\n")
        except OSError as error:
            self.lost += 1
            structlog.get_logger("triveni.service").error(
                "audit line lost", file=str(self._path), reason=error.strerror, request_id=request_id
            )

    def _open(self) -> int:
        assert self._path is not None
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _append(self, line: bytes) -> None:
        with self._lock:
            file = self._open()
            try:
                whole = b"\n" * self._torn + line
                self._torn = os.write(file, whole) != len(whole)
            finally:
                os.close(file)
            if self._torn:
                raise OSError(ENOSPC, os.strerror(ENOSPC))
