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


@contextmanager
def real_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk of ext4 in a file beside a new folder, mounted there; the test is skipped where none can be mounted."""
    folder.mkdir()
    image = folder.with_suffix(".image")
    image.touch()
    os.truncate(image, megabytes * MB)
    for command in (["mkfs.ext4", "-q", str(image)], ["mount", "-o", "loop", str(image), str(folder)]):
        if not shutil.which(command[0]) or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a disk takes the rights of root, and a loop device")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def break_off(folder: Path) -> None:
    """Let a disk of ext4 go read-only under those who write to it, as it does when the device below it fails."""
    subprocess.run(["mount", "-o", "remount,abort", str(folder)], check=True)


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
