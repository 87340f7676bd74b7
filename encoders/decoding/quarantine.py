"""Contents that killed processes which decoded them: whoever killed two is refused from then on, undecoded.

The file has a line of JSON for each process that was lost, so a person can read it, and lift the quarantine of a
content by removing its lines. Any number of processes may share it, and see at once what others add or remove.
"""

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from encoders.errors import QuarantineError

STRIKES = 2
"""Processes that a content may kill."""
MAX_BYTES = 1 << 22
"""Of the file; when it is full, the older half of its lines goes."""
MAX_LOST = 20_000
"""Lines that are remembered."""
_TEXT = 200
"""Characters of a name or a reason."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A process that was lost to a content: a line of the file."""

    sha256: str
    bytes: int
    name: str
    said: str
    """What became of the process."""
    time: str
    seconds: float | None
    """The limit that it took longer than; None where it ended by itself."""


class Quarantine:
    """What killed the processes that decoded it.

    Args:
        path: the file, which may be missing; None remembers only as long as this object lives.
        seconds: that a content may take. One that took longer under a lower limit gets another try.
    """

    def __init__(self, path: Path | None, seconds: float) -> None:
        self._path, self._seconds = path, seconds
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._lost: list[Lost] = []
        self._sizes: frozenset[int] = frozenset()
        """Bytes of the contents that are refused: no other has to be hashed."""

    def check(self, kind: str, content: bytes) -> None:
        """Refuse a content that is in quarantine.

        Raises:
            QuarantineError: if it is.
        """
        with self._lock:
            self._follow()
            if len(content) not in self._sizes:
                return
            lost = self._lost
        name = hashlib.sha256(content).hexdigest()
        found = [one.said for one in lost if one.sha256 == name and self._counts(one)]
        if len(found) >= STRIKES:
            lift = f"remove the lines with {name[:16]} from {self._path}" if self._path else "start again"
            raise QuarantineError(
                f"{kind} is in quarantine, it cost {len(found)} decoders: {found[-1]}",
                f"make it anew from its source; to have it tried once more {lift}",
            )

    def add(self, content: bytes, name: str, said: str, seconds: float | None = None) -> None:
        """Take note of a process that was lost to a content.

        Args:
            content: the bytes.
            name: for people.
            said: what happened.
            seconds: the limit that it took longer than, if that was it.

        Raises:
            OSError: if it cannot be written; it is remembered all the same.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        digest = hashlib.sha256(content).hexdigest()
        one = Lost(digest, len(content), name[-_TEXT:], said[:_TEXT], now, seconds)
        with self._lock:
            self._follow()
            self._take([*self._lost, one])
            if self._path is not None:
                with _locked(self._path) as file:
                    _append(self._path, file, one)

    def _counts(self, one: Lost) -> bool:
        return one.seconds is None or one.seconds >= self._seconds

    def _follow(self) -> None:
        """Read the file again if it has changed."""
        if self._path is None:
            return
        try:
            found = self._path.stat()
            stamp = found.st_ino, found.st_mtime_ns, found.st_size
        except OSError:
            stamp = 0, 0, 0
        if stamp != self._stamp:
            self._stamp = stamp
            self._take(_read(self._path))

    def _take(self, lost: list[Lost]) -> None:
        strikes: dict[str, int] = {}
        for one in filter(self._counts, lost):
            strikes[one.sha256] = strikes.get(one.sha256, 0) + 1
        self._lost = lost[-MAX_LOST:]
        self._sizes = frozenset(one.bytes for one in lost if strikes.get(one.sha256, 0) >= STRIKES)


def _read(path: Path) -> list[Lost]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    return [one for line in lines if (one := _parsed(line)) is not None]


def _parsed(line: bytes) -> Lost | None:
    """What a line says; None if it is none of ours, or only half of one."""
    try:
        said = json.loads(line)
        seconds = None if said["seconds"] is None else float(said["seconds"])
        return Lost(str(said["sha256"]), int(said["bytes"]), said["name"], str(said["said"]), said["time"], seconds)
    except (ValueError, TypeError, KeyError):
        return None


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file, to be changed by nobody else meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(path, file):  # else another has put a shorter one there
                yield file
                return
        finally:
            os.close(file)


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _append(path: Path, file: int, one: Lost) -> None:
    size = os.fstat(file).st_size
    line = json.dumps(asdict(one)).encode() + b"\n"
    if size + len(line) <= MAX_BYTES:
        torn = size and os.pread(file, 1, size - 1) != b"\n"  # by a loss of power
        os.write(file, b"\n" * bool(torn) + line)
        os.fsync(file)
        return
    lines: Sequence[bytes] = path.read_bytes().splitlines(keepends=True)
    shorter = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with shorter.open("wb") as new:
            new.writelines(lines[len(lines) // 2 :])
            new.write(line)
            new.flush()
            os.fsync(new.fileno())
        shorter.replace(path)
    finally:
        shorter.unlink(missing_ok=True)
