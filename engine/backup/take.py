"""Takes a backup while everything is in use.

Each part is as it was at one moment at which the backup already ran: the model first, then the events, then the
catalogue. So what was acknowledged before the backup began is in it, and what is written meanwhile may be or not.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from engine.backup import archive
from engine.backup.manifest import FileSum, Manifest, Taken
from engine.core.errors import NotFoundError
from engine.core.files import disk_errors
from engine.events.database import Database
from engine.events.dump import dump as dump_events
from engine.models.card import CARD
from engine.models.deletions import DELETIONS
from engine.models.errors import CheckpointError
from engine.models.pointer import pointer_json
from engine.models.registry import Registry
from engine.store.base import VectorStore
from engine.store.snapshot import dump as dump_store


@dataclass(frozen=True, slots=True)
class State:
    """All that a deployment keeps, opened."""

    store: VectorStore
    events: Database
    registry: Registry


def take(state: State, taken: Taken, scratch: Path) -> Iterator[bytes]:
    """The bytes of an archive of everything, as they come about.

    Memory stays bounded. On disk it needs room for the events, then for the catalogue, as they are in the archive.

    Args:
        state: what is saved.
        taken: what is said of it.
        scratch: a folder for files that are gone as soon as they are closed, also by kill -9.

    Raises:
        DiskError: if there is too little room.
        TriveniError: if the store or the database fails.
    """
    counts: dict[str, int] = {}
    left_out: list[str] = []

    def files() -> Iterator[tuple[str, BinaryIO]]:
        yield archive.SETTINGS, BytesIO(taken.settings.encode())
        yield from _models(state.registry, counts, left_out)
        yield from _events(state.events, scratch, counts)
        with TemporaryFile(dir=scratch) as file:
            counts["items"] = dump_store(state.store, file)
            yield archive.STORE, file

    def describe(sums: Mapping[str, FileSum]) -> Manifest:
        return Manifest(
            **taken.model_dump(exclude={"settings"}),
            fingerprint=state.store.fingerprint,
            counts=counts,
            left_out=tuple(left_out),
            files=sums,
        )

    with disk_errors(scratch):
        scratch.mkdir(parents=True, exist_ok=True)
        yield from archive.write_archive(files(), describe, taken.created.timestamp())


def _models(registry: Registry, counts: dict[str, int], left_out: list[str]) -> Iterator[tuple[str, BinaryIO]]:
    """The pointer, then all versions: so those that it names are among them."""
    yield archive.POINTER, BytesIO(pointer_json(registry.pointer()).encode())
    with suppress(FileNotFoundError):
        yield archive.DELETED, BytesIO((registry.path / DELETIONS).read_bytes())
    counts["versions"] = 0
    for version in registry.versions():
        with ExitStack() as opened:
            try:
                folder, card = registry.verified(version)
                names = (CARD, *card.files)  # all are opened at once: a version that is retired meanwhile stays whole
                files = [(name, opened.enter_context((folder / name).open("rb"))) for name in names]
            except (CheckpointError, NotFoundError, FileNotFoundError) as error:
                left_out.append(str(error))
                continue
            for name, file in files:
                yield f"{archive.MODELS}{version}/{name}", file
            counts["versions"] += 1


def _events(database: Database, scratch: Path, counts: dict[str, int]) -> Iterator[tuple[str, BinaryIO]]:
    with ExitStack() as opened:
        made: dict[str, BinaryIO] = {}

        def create(name: str) -> BinaryIO:
            made[name] = opened.enter_context(TemporaryFile(dir=scratch))
            return made[name]

        counts |= dump_events(database, create)
        for name, file in made.items():
            yield f"{archive.EVENTS}{name}.parquet", file
