"""Real disks that are small: they live in memory, and mounting them takes the rights of root."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MB = 1 << 20


@contextmanager
def small_disk(folder: Path, megabytes: int, *options: str) -> Iterator[Path]:
    """A disk of so many megabytes on a new folder; the test is skipped where none can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", ",".join((f"size={megabytes}m", *options)), "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a disk of memory takes the rights of root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def leave(folder: Path, size: int) -> None:
    """Let a file fill a disk until only so many bytes are free; the file of before goes."""
    filler = folder / "filler"
    filler.unlink(missing_ok=True)
    more = shutil.disk_usage(folder).free - size
    if more > 0:
        file = os.open(filler, os.O_CREAT | os.O_WRONLY)
        os.posix_fallocate(file, 0, more)
        os.close(file)


def remount(folder: Path, how: str) -> None:
    """Make a disk read-only ("ro"), or let it be written ("rw")."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)
