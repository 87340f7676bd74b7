"""Reads a catalogue from tar files in the form of WebDataset (https://github.com/webdataset/webdataset).

Files of one stem that stand together are one item: `0001.jpg`, `0001.txt` and `0001.json` are the item `0001`. Its
text is the `.txt`, its payload the object in `.json`, which may name the item's id itself; a `.cls` is the payload
`cls`. The stem ends at the first dot of the file's name; of two pictures or sounds the first is taken. Nothing is
extracted: files are read from the archive one by one, under the limit of a content; links, devices and names that
lead out of the archive are refused. `shards-{000..009}.tar` names ten archives, read one after the other.
"""

import gzip
import json
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, product
from math import prod
from pathlib import Path, PurePosixPath
from typing import IO, cast

from encoders.errors import LimitError, TriveniError
from engine.core.types import Json
from indexers.errors import CatalogError, PathError, RowError
from indexers.paths import decode_utf8
from indexers.readers.base import BadRow, Columns, ReadOptions, Row, Value, check_columns
from indexers.readers.folder import AUDIOS, IMAGES, TEXTS

_DAMAGE = (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, IndexError, RecursionError)
"""Of what `tarfile` raises, the last two come of headers that are cut off or lead from one to the next."""
_MAX_HEADERS = 1 << 20
"""Bytes of the headers of one member."""
_MAX_SHARDS = 100_000
_RANGE = re.compile(r"\{(\d{1,12})\.\.(\d{1,12})\}")
_HEAD = 16

Parts = dict[str, bytes]
"""Per role, `json` or `cls` what its file holds."""


@dataclass(frozen=True, slots=True)
class TarShards:
    """One tar file or several.

    Args:
        path: the file; `{000..009}` in its name stands for the numbers.
        columns: see `Columns`.
        max_bytes: a larger file in it makes its item a bad row.
    """

    path: Path
    columns: Columns
    max_bytes: int

    def check(self) -> None:
        """See `Reader.check`: looks at the first items.

        Raises:
            CatalogError: if a shard is not there, or the items have no ids or contents.
        """
        for path in self.shards():
            if not path.is_file():
                raise CatalogError(f"no shard at {path}", "correct the numbers in the braces")
        names: dict[str, None] = {}
        for row, _ in zip(self.rows(), range(_HEAD), strict=False):
            if isinstance(row, Row):
                names.update(dict.fromkeys(row.values))
        if names:
            check_columns(self.path, names, self.columns, all_named=False)

    def rows(self) -> Iterator[Row | BadRow]:
        """See `Reader.rows`; the lines are numbers of items over all shards."""
        line = 0
        for path in self.shards():
            item = line
            try:
                for line, row in enumerate(_items(path, self.max_bytes), start=item + 1):
                    yield _row(line, *row)
            except _DAMAGE as error:
                said = str(error)[:200].lower()
                problem = f"{path} is not readable as tar after item {line} ({said})"
                raise CatalogError(problem, "write it again, or leave this shard out") from None

    def total(self) -> int | None:
        """Not known: the archives would have to be read."""
        return None

    def shards(self) -> list[Path]:
        """The files.

        Raises:
            CatalogError: if they are too many, or none.
        """
        parts = _RANGE.split(self.path.name)  # text, first, last, text, …
        ranges = list(zip(parts[1::3], parts[2::3], strict=True))
        count = prod(max(int(last) - int(first) + 1, 0) for first, last in ranges)
        if not 0 < count <= _MAX_SHARDS:
            problem = f"{self.path.name} names {count} shards"
            raise CatalogError(problem, f"name 1 to {_MAX_SHARDS}, such as {{000..009}}")
        numbers = [[f"{n:0{len(first)}d}" for n in range(int(first), int(last) + 1)] for first, last in ranges]
        names = ("".join(chain(*zip(parts[::3], (*chosen, ""), strict=True))) for chosen in product(*numbers))
        return [self.path.with_name(name) for name in names]


def open_tar(options: ReadOptions) -> TarShards:
    """The reader of .tar, .tar.gz and .tgz files."""
    return TarShards(options.path, options.columns, options.max_bytes)


def _items(path: Path, max_bytes: int) -> Iterator[tuple[str, Parts, TriveniError | None]]:
    """The stem and files of each item, and what is wrong with one of them."""
    key, parts, wrong = "", Parts(), None
    with _opened(path) as (tar, file):
        for member in _members(tar, file):
            stem, role = _named(member.name)
            if member.isdir() or not role:
                continue
            if stem != key:
                if key:
                    yield key, parts, wrong
                key, parts, wrong = stem, Parts(), None
            try:
                if role not in parts:
                    file.allow(member.size)
                    parts[role] = _content(tar, member, role, max_bytes)
            except TriveniError as error:
                wrong = wrong or error
    if key:
        yield key, parts, wrong


def _members(tar: tarfile.TarFile, file: "_Guarded") -> Iterator[tarfile.TarInfo]:
    """The members, none of which is kept."""
    end = 0
    while True:
        file.allow(_MAX_HEADERS)
        member = tar.next()
        if member is None:
            break
        if tar.offset <= end:  # of a negative size: it would be read for ever
            raise tarfile.ReadError(f"{member.name[:200]!r} ends before it begins")
        end = tar.offset
        tar.members.clear()  # type: ignore[attr-defined]
        yield member
    if file.last.strip(b"\0"):  # tarfile takes a header that makes no sense for the end
        raise tarfile.ReadError("a header is damaged")


def _named(name: str) -> tuple[str, str]:
    """The stem of a file's name, and the role of its suffix; "" for one that is left alone."""
    path = PurePosixPath(name)
    stem, _, suffixes = path.name.partition(".")
    suffix = f".{suffixes.rpartition('.')[2].lower()}"
    known = {".json": "json", ".cls": "cls"} | {
        one: role for role, ends in (("image", IMAGES), ("audio", AUDIOS), ("text", TEXTS)) for one in ends
    }
    return str(path.with_name(stem)) if stem else "", known.get(suffix, "") if stem else ""


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, role: str, max_bytes: int) -> bytes:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise PathError(f"{member.name[:200]!r} leads out of the archive", "name files below it", field=role)
    if not member.isreg() or member.issparse():
        raise PathError(f"{member.name[:200]!r} is a link or no plain file", "put the file itself in", field=role)
    if member.size > max_bytes:
        problem = f"{role} file {member.name[:200]!r} has {member.size} bytes, the limit is {max_bytes}"
        raise LimitError(problem, "raise limits.max_bytes or shrink the file", field=role)
    file = tar.extractfile(member)
    raw = b"" if file is None else file.read()
    if len(raw) < member.size:
        raise tarfile.ReadError(f"{member.name[:200]!r} is cut off")
    return raw


def _row(line: int, key: str, parts: Parts, wrong: TriveniError | None) -> Row | BadRow:
    values: dict[str, Value] = {"id": key}
    try:
        if wrong is not None:
            raise wrong
        if "cls" in parts:
            values["cls"] = _class(decode_utf8(parts["cls"], f"{key}.cls"))
        values |= _object(parts["json"], key) if "json" in parts else {}
        if "text" in parts and (text := decode_utf8(parts["text"], f"{key}.txt")):
            values["text"] = text
    except TriveniError as error:
        return BadRow(line, error, key)
    values.update({role: parts[role] for role in ("image", "audio") if role in parts})
    return Row(line, values)


def _class(text: str) -> Json:
    return int(text) if re.fullmatch(r"-?\d{1,18}", text) else text


def _object(raw: bytes, key: str) -> dict[str, Json]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise RowError(f"{key}.json is not JSON: {str(error)[:80].lower()}", "write an object") from None
    if not isinstance(found, dict):
        raise RowError(f"{key}.json is a {type(found).__name__}, not an object", "write an object")
    return found


@contextmanager
def _opened(path: Path) -> Iterator[tuple[tarfile.TarFile, "_Guarded"]]:
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        with gzip.GzipFile(fileobj=raw) if packed else raw as file:
            guarded = _Guarded(cast("IO[bytes]", file))
            with tarfile.open(fileobj=cast("IO[bytes]", guarded), mode="r:") as tar:
                yield tar, guarded


class _Guarded:
    """An archive of which only so much is read as is allowed: tarfile reads headers as a whole, whatever their size.

    Contents are read by `tarfile` in pieces; their size is compared with the limit before.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable
        self.last = b""
        """What was read last."""
        self.allow(_MAX_HEADERS)

    def allow(self, size: int) -> None:
        """Let so many bytes be read until this is called again."""
        self._left = size

    def read(self, size: int = -1) -> bytes:
        """See `io.RawIOBase.read`."""
        if not 0 <= size <= self._left:
            raise tarfile.ReadError(f"headers of over {_MAX_HEADERS} bytes")
        self._left -= size
        self.last = self._file.read(size)
        return self.last
