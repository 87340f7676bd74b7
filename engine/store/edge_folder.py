"""The folder of an embedded collection.

store.json      what the collection is, and which shard folder serves; replaced atomically
lock            held by the one process that has it open
shard-<name>/   Qdrant Edge's files
building.json   how far the search graphs are, while they are built
rows/           the columns that ranking reads
"""

import fcntl
import json
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from encoders.errors import SpaceError
from encoders.types import Modality
from engine.core.errors import StoreError, StoreInUseError
from engine.core.files import write_atomically
from engine.core.filters import FieldKind, Schema
from engine.store.parts import parts_name
from engine.store.quantization import Quantization

_FORMAT = 1
_SERVES = re.compile(r"[ /](serve|studio)\b")
"""A command line that will tell where it answers."""
_TRIES, _TRY_SECONDS = 5, 0.01


@dataclass(frozen=True, slots=True)
class Description:
    """What a collection is: the content of `store.json`."""

    fingerprint: str
    dimension: int
    modalities: tuple[Modality, ...]
    schema: Schema
    shard: str = "shard-0"
    """The folder of the shard that serves."""
    unused: tuple[Modality, ...] = ()
    """Modalities that no item has had: the shard has no vector of that name, which would take space for all."""
    parts: tuple[Modality, ...] = ()
    """Modalities of which some item has had several parts: the shard has a multivector for them."""
    words: tuple[str, ...] = ()
    """The payload fields by whose words items are found."""
    word_form: int = 0
    """Of the words that the items have; see `engine.store.words.FORM`."""
    graphed: int = 0
    """How many points the search graphs hold as they are."""
    quantization: Quantization = "none"
    """Of the vectors under the search graphs."""
    extra: Mapping[str, int] = field(default_factory=dict)
    """The extra vectors, with their dimensions."""
    strays: tuple[str, ...] = ()
    """Extra vectors that were being added or dropped: if the process ended meanwhile, the shard may have them."""

    @property
    def unneeded(self) -> set[str]:
        """Vectors that no point needs; of those that were being added or dropped, the shard may have something."""
        partless = (parts_name(modality) for modality in self.modalities if modality not in self.parts)
        return {*self.strays, *self.unused, *partless}

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The description of the collection in a folder, None if there is none.

        Raises:
            StoreError: if it cannot be read, or another version of the program wrote it.
        """
        path = folder / "store.json"
        try:
            document = json.loads(path.read_text())
            if document.pop("format") != _FORMAT:
                raise StoreError(f"{path} was written by another version", "index the catalogue again")
            document["modalities"] = tuple(Modality(name) for name in document["modalities"])
            document["unused"] = tuple(Modality(name) for name in document.get("unused", ()))
            document["parts"] = tuple(Modality(name) for name in document.get("parts", ()))
            document["extra"] = {name: int(one["dimension"]) for name, one in document.get("extra", {}).items()}
            document["words"] = tuple(document.get("words", ()))
            document["strays"] = tuple(document.get("strays", ()))
            document["schema"] = {name: FieldKind(kind) for name, kind in document["schema"].items()}
            return cls(**document)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{path} cannot be read ({error})", "restore a snapshot elsewhere") from error

    def write(self, folder: Path) -> None:
        """Put the description in its place, atomically."""
        extra = {name: {"dimension": dimension, "distance": "cosine"} for name, dimension in self.extra.items()}
        document = {"format": _FORMAT, **asdict(self), "extra": extra}
        write_atomically(folder / "store.json", json.dumps(document, indent=1))

    def found_in(self, folder: Path) -> Self:
        """The description that a folder has, after comparing it with this one; this one, written, if it has none.

        Raises:
            SpaceError: if the folder keeps vectors of another space.
        """
        found = type(self).read(folder)
        if found is None:
            self.write(folder)
            return self
        if found.fingerprint != self.fingerprint:
            raise SpaceError(
                f"store {folder} keeps vectors of space {found.fingerprint}, not of {self.fingerprint}",
                "set the space that it was indexed with, or index into another collection",
            )
        if (found.dimension, found.modalities) != (self.dimension, self.modalities):
            raise SpaceError(
                f"store {folder} keeps {found.dimension} dimensions of {', '.join(found.modalities)}, "
                f"not {self.dimension} of {', '.join(self.modalities)}",
                "index into another collection",
            )
        return found


@dataclass(frozen=True, slots=True)
class Building:
    """How far the search graphs are that somebody builds: the content of `building.json`."""

    share: float
    """That is done, 0 to 1."""
    stage: str
    """What is being done."""

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """What a folder says; None if nothing is built."""
        try:
            return cls(**json.loads((folder / "building.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, folder: Path) -> None:
        """Let others know."""
        write_atomically(folder / "building.json", json.dumps(asdict(self)))

    @staticmethod
    def end(folder: Path) -> None:
        """Nothing is built any more."""
        (folder / "building.json").unlink(missing_ok=True)


class FolderLock:
    """The right to open a collection's folder. It goes with the process, however that ends.

    The file says who holds it, and on a second line where the holder answers, if it is a server.

    Args:
        folder: of the collection.

    Raises:
        StoreInUseError: if another process, or another store of this one, holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        if not _locked(self._file, fcntl.LOCK_EX):
            holder = _holder(self._file)
            os.close(self._file)
            raise _in_use(folder, *holder)
        os.ftruncate(self._file, 0)
        self._who = f"{os.getpid()} ({' '.join(sys.argv)[:150]})".replace("\n", " ").encode(errors="replace")
        os.pwrite(self._file, self._who, 0)

    def announce(self, address: str) -> None:
        """Say where the holder answers, HOST:PORT."""
        os.pwrite(self._file, b"\n" + address.encode(), len(self._who))

    def release(self) -> None:
        """Let others open the folder. Twice is allowed."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def server_of(folder: Path) -> str:
    """The address of the server that has a collection's folder open; "" if nobody has.

    Raises:
        StoreInUseError: if another process has it open, and tells no address.
    """
    try:
        file = os.open(folder / "lock", os.O_RDONLY)
    except OSError:
        return ""
    try:
        if _locked(file, fcntl.LOCK_SH):
            return ""
        who, address = _holder(file)
    finally:
        os.close(file)
    if not address:
        raise _in_use(folder, who, "")
    return address


def _locked(file: int, kind: int) -> bool:
    """Try to take a lock. Someone may hold it for a moment, only to see whether another does: so try for longer."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            return True
        except OSError:
            time.sleep(_TRY_SECONDS)
    return False


def _holder(file: int) -> tuple[str, str]:
    """Who holds the lock of an open file, and the address where they answer, "" if nowhere."""
    who, _, address = os.pread(file, 1000, 0).decode(errors="replace").partition("\n")
    return who.strip() or "unknown", address.strip()


def _in_use(folder: Path, who: str, address: str) -> StoreInUseError:
    if not address and _SERVES.search(who):
        return StoreInUseError(
            f"store {folder} is in use by process {who}, a server that is not ready yet",
            "try again once its log says `ready`, or ask another server: --server HOST:PORT to search",
        )
    return StoreInUseError(
        f"store {folder} is in use by process {who}",
        f"stop that process, or ask its server: --server {address or 'HOST:PORT'} to search, UpsertItems to write, "
        "TrainModel to train",
    )


def new_shard(folder: Path) -> Path:
    """The path of another shard of a store."""
    return folder / f"shard-{uuid.uuid4().hex[:8]}"


def copy_shard(path: Path) -> Path:
    """Copy the folder of a flushed shard to a new one beside it."""
    target = new_shard(path.parent)
    shutil.copytree(path, target)
    return target


def remove_strays(folder: Path, serving: str) -> None:
    """Remove the shard folders that no longer serve, or were left by an interrupted build, and what tells of it."""
    Building.end(folder)
    for path in folder.glob("shard-*"):
        if path.name != serving:
            shutil.rmtree(path, ignore_errors=True)
