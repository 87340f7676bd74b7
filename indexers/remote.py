"""Catalogues and media at a URL (`s3://bucket/items.parquet`), through fsspec.

A catalogue is copied into a temporary folder, once for a run: readers read it more than once, and some jump about in
it. Media are read one by one.
"""

import os
import posixpath
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from encoders.errors import LimitError
from indexers.errors import CatalogError, PathError
from indexers.paths import ReadMedia, read_under

_BLOCK = 8 << 20
_PASSWORD = re.compile(r"(://[^\s/:@]*):[^\s/]*@")
_QUERY = re.compile(r"(://[^\s?]*)\?[^\s)'\"]+")


def is_url(where: Path | str) -> bool:
    """Whether a place is given by a URL."""
    return isinstance(where, str) and "://" in where


def without_secrets(words: str) -> str:
    """Words in which URLs have neither passwords nor queries, as those may be signatures."""
    return _QUERY.sub(r"\1?…", _PASSWORD.sub(r"\1:***@", words))


class LocalCopy:
    """A file at a URL, copied to this machine for as long as it is referred to.

    Args:
        url: the file's.

    Raises:
        CatalogError: if it cannot be read.
    """

    def __init__(self, url: str) -> None:
        folder = tempfile.mkdtemp(prefix="triveni-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        with _told(url):
            files, path = _opened(url)
            if files.isdir(path):
                raise CatalogError(
                    f"{without_secrets(url)} is a folder", "name a catalogue file; --root may be a folder at a URL"
                )
            self.path = Path(folder) / posixpath.basename(path.rstrip("/"))
            """The copy, under its own name."""
            with files.open(path, "rb") as source, self.path.open("wb") as target:
                shutil.copyfileobj(source, target, _BLOCK)


def media_at(root: str) -> ReadMedia:
    """Reads files below a URL, and no others.

    Raises:
        CatalogError: if it cannot be opened.
    """
    with _told(root):
        files, base = _opened(root)
    if "file" in files.protocol:  # with the rules of a root here, as links can lead out of it
        return partial(read_under, os.path.realpath(base))
    base, shown = base.rstrip("/"), without_secrets(root)

    def read(name: str, field: str, max_bytes: int) -> tuple[bytes, str]:
        relative = posixpath.normpath(name)
        if name.startswith("/") or "://" in name or relative.split("/")[0] == "..":
            problem = f"{field} path {name[:200]!r} leads outside the root {shown}"
            raise PathError(problem, "write a path relative to the root", field=field)
        try:
            with files.open(f"{base}/{relative}", "rb") as file:
                raw: bytes = file.read(max_bytes + 1)
        except FileNotFoundError:
            raise PathError(
                f"{field} file {name!r} is not under {shown}", "correct it or --root", field=field
            ) from None
        except Exception as error:  # noqa: BLE001 (each file system has errors of its own)
            problem = f"{field} file {name[:200]!r} cannot be read from {shown} ({_said(error)})"
            raise PathError(problem, "let it be read, and run again", field=field) from None
        if len(raw) > max_bytes:
            problem = f"{field} file {name!r} has over {max_bytes} bytes, the limit"
            raise LimitError(problem, "raise limits.max_bytes or shrink the file", field=field)
        return raw, relative

    return read


def _opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    import fsspec  # an extra

    files, path = fsspec.core.url_to_fs(url)
    return files, path


@contextmanager
def _told(url: str) -> Iterator[None]:
    """What goes wrong at a URL as a CatalogError."""
    shown = without_secrets(url)
    try:
        yield
    except CatalogError:
        raise
    except ImportError as error:
        remedy = "install what reads it: pip install 'triveni[remote]' (s3://, memory:// and others)"
        raise CatalogError(f"{shown} needs a package that is not installed ({_said(error)})", remedy) from None
    except FileNotFoundError:
        raise CatalogError(f"no catalogue at {shown}", "name a file that is there") from None
    except Exception as error:  # noqa: BLE001 (each file system has errors of its own)
        raise CatalogError(f"{shown} cannot be read ({_said(error)})", "correct it, or let it be read") from None


def _said(error: Exception) -> str:
    lines = without_secrets(str(error)).strip().splitlines()
    return lines[0][:200].lower() if lines else type(error).__name__
