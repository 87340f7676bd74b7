"""The file of dead letters: the rows that could not be indexed."""

import json
import os
import threading
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from indexers.errors import CatalogError
from indexers.rows import DeadLetter


class DeadLetters:
    """Writes dead letters, one JSON object per line, beside the file of the last run, which it then replaces.

    A run without bad rows leaves no file. A run that is killed leaves the last run's file, and a `.part` beside it.

    Args:
        path: the file; None writes none.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: TextIO | None = None
        self._count = 0
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._part = path.with_name(path.name + ".part")
                self._file = self._part.open("w", encoding="utf-8")
            except OSError as error:
                problem = f"dead letters cannot be written to {path} ({error.strerror})"
                raise CatalogError(problem, "name another file: --dead-letters") from None

    def add(self, letter: DeadLetter) -> None:
        """Write a letter; from any thread."""
        with self._lock:
            self._count += 1
            if self._file is not None:
                self._file.write(json.dumps(asdict(letter)) + "\n")

    def close(self) -> None:
        """Put the file in its place."""
        if self._path is None or self._file is None:
            return
        with self._lock:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
            if self._count:
                self._part.replace(self._path)
            else:
                self._part.unlink()
                self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
