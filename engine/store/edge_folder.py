"""The folder of an embedded collection.

store.json      what the collection is, and which shard folder serves; replaced atomically
lock            held by the one process that has it open
shard-<name>/   Qdrant Edge's files
rows/           the columns that ranking reads
"""

import fcntl
import json
import os
import shutil
import sys
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from encoders.errors import SpaceError
from encoders.types import Modality
from engine.errors import StoreError, StoreInUseError
from engine.files import write_atomically
from engine.filters import FieldKind, Schema
from engine.store.base import Distance, VectorSpec

_FORMAT = 1


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
    graphed: int = 0
    """How many points the search graphs hold as they are."""
    extra: Mapping[str, VectorSpec] = field(default_factory=dict)
    """The extra vectors."""
    strays: tuple[str, ...] = ()
    """Extra vectors that were being added or dropped: if the process ended meanwhile, the shard may have them."""

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
            document["extra"] = {
                name: VectorSpec(int(spec["dimension"]), Distance(spec["distance"]))
                for name, spec in document.get("extra", {}).items()
            }
            document["strays"] = tuple(document.get("strays", ()))
            document["schema"] = {name: FieldKind(kind) for name, kind in document["schema"].items()}
            return cls(**document)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{path} cannot be read ({error})", "restore a snapshot elsewhere") from error

    def write(self, folder: Path) -> None:
        """Put the description in its place, atomically."""
        write_atomically(folder / "store.json", json.dumps({"format": _FORMAT, **asdict(self)}, indent=1))

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


class FolderLock:
    """The right to open a collection's folder. It goes with the process, however that ends.

    Args:
        folder: of the collection.

    Raises:
        StoreInUseError: if another process, or another store of this one, holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._file, 200, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise StoreInUseError(
                f"store {folder} is in use by process {holder}",
                "stop that process, or ask its server: --server HOST:PORT to search, UpsertItems to write, "
                "TrainModel to train",
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()} ({' '.join(sys.argv)[:150]})".encode(errors="replace"), 0)

    def release(self) -> None:
        """Let others open the folder. Twice is allowed."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def copy_shard(path: Path) -> Path:
    """Copy the folder of a flushed shard to a new one beside it."""
    target = path.with_name(f"shard-{uuid.uuid4().hex[:8]}")
    shutil.copytree(path, target)
    return target


def remove_strays(folder: Path, serving: str) -> None:
    """Remove the shard folders that no longer serve, or were left by an interrupted optimisation."""
    for path in folder.glob("shard-*"):
        if path.name != serving:
            shutil.rmtree(path, ignore_errors=True)
