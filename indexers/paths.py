"""Finds and reads the files that a catalogue names, and no others.

Names are handled as texts by `os.path`, since a second run over an unchanged catalogue does little else than this.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from encoders.errors import LimitError
from indexers.errors import PathError

ReadMedia = Callable[[str, str, int], tuple[bytes, str]]
"""Reads a file that a row names: its name, the column for the error, the most bytes; see `read_under`."""


def read_under(root: str, name: str, field: str, max_bytes: int) -> tuple[bytes, str]:
    """Read a file that a row names.

    Args:
        root: the catalogue's root, with all links followed.
        name: a path relative to the root, or an absolute one under it.
        field: the column, for the error.
        max_bytes: the largest file that is read.

    Returns:
        Its bytes, and its path relative to the root.

    Raises:
        PathError: if there is no such file, or it lies outside the root, also through a link, or is no plain file.
        LimitError: if it is too large.
    """
    try:
        real = os.path.realpath(os.path.join(root, name), strict=True)  # noqa: PTH118
        if not real.startswith(root.rstrip(os.sep) + os.sep):
            problem = f"{field} path {name!r} leads outside the root {root}"
            raise PathError(problem, "move the file under the root, or give a --root above it", field=field)
        # No link may slip in after the check, and a named pipe must not be waited for.
        raw = _read(os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), name, field, max_bytes)
    except FileNotFoundError:
        raise PathError(f"{field} file {name!r} is not under {root}", "correct it or --root", field=field) from None
    except IsADirectoryError:
        raise _not_plain(name, field) from None
    except (OSError, ValueError) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
        problem = f"{field} path {name[:200]!r} cannot be used ({reason})"
        raise PathError(problem, "name a file under the root that may be read", field=field) from None
    relative = os.path.relpath(real, root) if name.startswith(os.sep) else os.path.normpath(name)
    return raw, relative.replace(os.sep, "/")


def decode_utf8(raw: bytes, name: str) -> str:
    """The text of a side-car file, without a byte-order mark and the white space around it.

    Raises:
        PathError: if it is not UTF-8.
    """
    try:
        return raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        problem = f"text file {Path(name).name!r} is not UTF-8 (byte {error.start})"
        raise PathError(problem, "save it as UTF-8", field="text") from None


def _read(handle: int, name: str, field: str, max_bytes: int) -> bytes:
    with open(handle, "rb", buffering=0) as file:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise _not_plain(name, field)
        if state.st_size > max_bytes:
            problem = f"{field} file {name!r} has {state.st_size} bytes, the limit is {max_bytes}"
            raise LimitError(problem, "raise limits.max_bytes or shrink the file", field=field)
        return file.readall()


def _not_plain(name: str, field: str) -> PathError:
    return PathError(f"{field} path {name!r} is not a plain file", "name a file", field=field)
