"""The archive: an uncompressed tar file, as its parts are compressed already.

    settings.toml               the settings, without secrets
    models/serving.json         which version serves
    models/deletions.jsonl      which versions may know of people who were deleted
    models/<version>/<file>     the versions of the model
    events/<table>.parquet      the event store, see engine/events/dump.py
    store.parquet               the catalogue with its vectors, see engine/store/snapshot.py
    manifest.json               what it is, and the size and SHA-256 of each file

The manifest comes last, so an archive that was cut off anywhere has none. An archive is read where it lies, and
never extracted.
"""

import hashlib
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, Self

from engine.backup.errors import BackupError
from engine.backup.manifest import FileSum, Manifest, read_manifest

MANIFEST, SETTINGS, STORE = "manifest.json", "settings.toml", "store.parquet"
POINTER, DELETED = "models/serving.json", "models/deletions.jsonl"
EVENTS, MODELS = "events/", "models/"
CHUNK = 1 << 20
"""Bytes that are handed on at once."""

_NAMES = re.compile(
    r"manifest\.json|settings\.toml|store\.parquet|models/serving\.json|models/deletions\.jsonl|events/[a-z_]{1,60}\.parquet"
    r"|models/[a-z0-9][a-z0-9._-]{0,63}/[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.(safetensors|onnx|json)"
)
_MOST_FILES, _LARGEST_MANIFEST = 10_000, 16 << 20
_BLOCK = tarfile.BLOCKSIZE
_BROKEN = (tarfile.TarError, OSError, EOFError, ValueError, OverflowError)


def write_archive(
    files: Iterable[tuple[str, BinaryIO]], describe: Callable[[Mapping[str, FileSum]], Manifest], time: float
) -> Iterator[bytes]:
    """The bytes of an archive, as they come about.

    Args:
        files: names and what is to be read from its beginning; each is used before the next is asked for.
        describe: makes the manifest, once all files are through.
        time: that the files bear, in seconds since 1970.
    """
    sums: dict[str, FileSum] = {}
    for name, file in files:
        size = file.seek(0, 2)
        file.seek(0)
        digest = hashlib.sha256()
        yield _head(name, size, time)
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            yield chunk
        yield bytes(-size % _BLOCK)
        sums[name] = FileSum(size=size, sha256=digest.hexdigest())
    raw = describe(sums).model_dump_json(indent=1).encode()
    yield _head(MANIFEST, len(raw), time) + raw + bytes(-len(raw) % _BLOCK)
    yield bytes(2 * _BLOCK)


def _head(name: str, size: int, time: float) -> bytes:
    about = tarfile.TarInfo(name)
    about.size, about.mode, about.mtime = size, 0o600, int(time)
    return about.tobuf(tarfile.PAX_FORMAT)


class Archive:
    """An archive that is open, and whose files were all compared with their checksums.

    The checksums tell of damage, and not of forgery: whoever can write an archive can write its manifest.

    Args:
        path: of the archive.

    Raises:
        BackupError: if it is no backup, damaged or cut off, of a newer format, or holds what no backup has.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._tar = tarfile.open(path, "r:")  # noqa: SIM115 (closed by `close`)
        except OSError as error:
            raise BackupError(
                f"{path} cannot be read: {(error.strerror or str(error)).lower()}", "name an archive"
            ) from None
        except _BROKEN as error:
            raise BackupError(f"{path} is no backup: {error}", "name an archive of `triveni backup`") from None
        try:
            self._members = self._index()
            self.manifest = self._described()
            self._verify()
        except BaseException:
            self._tar.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tar.close()

    def names(self, begin: str = "") -> list[str]:
        """The names of all files, or of those that begin so."""
        return sorted(name for name in self._members if name.startswith(begin))

    def open(self, name: str) -> IO[bytes]:
        """A file of it; it can be read anywhere."""
        file = self._tar.extractfile(self._members[name])
        assert file is not None, "only plain files are members"
        return file

    def read(self, name: str) -> bytes:
        """The contents of a small file of it."""
        with self.open(name) as file:
            return file.read()

    def _index(self) -> dict[str, tarfile.TarInfo]:
        """The members by name. Only plain files of known names are any, so no path leads anywhere else."""
        found: dict[str, tarfile.TarInfo] = {}
        end = self.path.stat().st_size
        try:
            for member in self._tar:
                plain = member.type == tarfile.REGTYPE and not member.issparse() and _NAMES.fullmatch(member.name)
                if not plain or member.name in found or len(found) >= _MOST_FILES:
                    problem = f"{self.path} holds {member.name[:200]!r}, which no backup has"
                    raise BackupError(problem, "name an archive of `triveni backup`")
                if member.offset_data + member.size > end:
                    raise self._cut_off()
                found[member.name] = member
        except _BROKEN as error:
            raise BackupError(
                f"{self.path} is damaged: {error}", "take another backup, or use another copy"
            ) from None
        return found

    def _described(self) -> Manifest:
        if MANIFEST not in self._members or self._members[MANIFEST].size > _LARGEST_MANIFEST:
            raise self._cut_off()
        manifest = read_manifest(self.read(MANIFEST), self.path)
        del self._members[MANIFEST]
        if self._members.keys() != manifest.files.keys():
            differ = ", ".join(sorted(self._members.keys() ^ manifest.files.keys()))[:200]
            problem = f"{self.path} does not hold what its manifest says: {differ}"
            raise BackupError(problem, "take another backup, or use another copy")
        return manifest

    def _verify(self) -> None:
        for name, wanted in self.manifest.files.items():
            with self.open(name) as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
            if found != wanted.sha256:
                raise BackupError(
                    f"{name} of {self.path} is corrupt: its checksum is {found}, the manifest says {wanted.sha256}",
                    "take another backup, or use another copy",
                )

    def _cut_off(self) -> BackupError:
        return BackupError(f"{self.path} is cut off: it has no manifest at its end", "take another backup")
