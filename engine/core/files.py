"""Files that are there whole or not at all, and what a disk says that is full, in our words."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.core.errors import DiskError


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Tells an error of the system that befalls the writing of a file or folder.

    Raises:
        DiskError: for any OSError of the context.
    """
    try:
        yield
    except OSError as error:
        said = error.strerror or str(error)
        raise DiskError(
            f"cannot write {path}: {said}", "free space, or let the folder be written, then try again"
        ) from error


def write_atomically(path: Path, text: str) -> None:
    """Replace a file as a whole, durably: after a crash the old one is there or the new one.

    Raises:
        DiskError: if it cannot be written; the old one stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with disk_errors(path):
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync(path.parent)


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
