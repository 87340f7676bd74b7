"""Files that are there whole or not at all, and what a disk says that is full, in our words."""

import errno
import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.core.errors import DiskError, DiskFullError


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Tells an error of the system that befalls the writing of a file or folder.

    Raises:
        DiskFullError: for an OSError of the context that says so.
        DiskError: for any other.
    """
    try:
        yield
    except OSError as error:
        said = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"cannot write {path}: {said}", "free space, then try again") from error
        raise DiskError(
            f"cannot write {path}: {said}", "free space, or let the folder be written, then try again"
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file beside another, to be written; at the end it takes its place, durably and as a whole.

    After a crash the old one is there or the new one. If the context fails the old one stays. What was left by
    processes that died meanwhile is removed; what others write at the same time is not.
    """
    prefix = f".{path.name}.new-"
    for other in path.parent.iterdir():
        if other.name.startswith(prefix):
            _remove_if_left(other)
    new, lock = _locked_new(path.parent, prefix)
    try:
        yield new
        os.fsync(lock)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
        os.close(lock)
    sync(path.parent)


def _locked_new(folder: Path, prefix: str) -> tuple[Path, int]:
    """A new file that is locked as long as its descriptor is open."""
    while True:
        path = folder / f"{prefix}{uuid.uuid4().hex}"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file).st_nlink:  # else another took it for one that was left, before it was locked
            return path, file
        os.close(file)


def _remove_if_left(path: Path) -> None:
    """Remove a file that nobody is writing."""
    with suppress(OSError):
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(file)


def write_atomically(path: Path, text: str, mode: int | None = None) -> None:
    """Replace a file as a whole, durably; see `replacing`.

    Args:
        path: of the file.
        text: that it holds.
        mode: who may read and write it; None is as the process's umask has it.

    Raises:
        DiskError: if it cannot be written; the old one stays.
    """
    with disk_errors(path), replacing(path) as new:
        if mode is not None:
            new.chmod(mode)
        new.write_text(text, encoding="utf-8")


@contextmanager
def locked(path: Path, mode: int = fcntl.LOCK_EX) -> Iterator[None]:
    """A lock between processes, which ends with the process that holds it.

    Args:
        path: the file that stands for it; it stays.
        mode: of `fcntl.flock`.

    Raises:
        DiskError: if the file cannot be made.
        BlockingIOError: if the mode does not wait, and another process has it.
    """
    with disk_errors(path):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, mode)
        yield
    finally:
        os.close(file)


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
