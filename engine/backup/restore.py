"""Puts back what a backup holds."""

from dataclasses import replace as changed
from functools import partial
from pathlib import Path
from shutil import copyfileobj

from sqlalchemy import select

from encoders.errors import SpaceError
from engine.backup.archive import DELETED, EVENTS, MODELS, POINTER, STORE, Archive
from engine.backup.errors import BackupError
from engine.backup.take import State
from engine.core.files import write_atomically
from engine.events.dump import dumped_tables, load
from engine.models.card import CARD
from engine.models.deletions import DELETIONS
from engine.models.errors import CheckpointError
from engine.models.pointer import NO_VERSION, Pointer, read_pointer
from engine.models.registry import Registry
from engine.store.snapshot import read_snapshot


def check_space(archive: Archive, fingerprint: str) -> None:
    """Refuse a backup of another space.

    Raises:
        SpaceError: naming both.
    """
    manifest = archive.manifest
    if manifest.fingerprint != fingerprint:
        raise SpaceError(
            f"{archive.path} is of space {manifest.fingerprint} ({manifest.space}), space {fingerprint} is set here",
            f"set space.name to what {manifest.space} was when the backup was taken",
        )


def check_empty(state: State) -> None:
    """Refuse a place that something is in.

    Raises:
        BackupError: naming what is there.
    """
    there = []
    if items := state.store.count():
        there.append(f"{items:,} items")
    with state.events.read() as connection:
        there += [
            f"rows in {name}"
            for name, table in dumped_tables().items()
            if connection.execute(select(table).limit(1)).first() is not None
        ]
    if versions := state.registry.versions():
        there.append(f"{len(versions)} versions of the model")
    if there:
        raise BackupError(
            f"there are {', '.join(there)} where the backup is to go", "restore --into an empty folder, or --replace"
        )


def restore(archive: Archive, state: State, *, replace: bool = False) -> None:
    """Make a deployment hold what an archive holds.

    If it is cut short, the same call with `replace` completes it.

    Args:
        archive: whose checksums are right.
        state: what is written to; nobody else uses it.
        replace: put it in the place of what is there. Versions of the model that the archive has not stay.

    Raises:
        SpaceError: if it is of another space. Nothing is changed.
        BackupError: if something is there, and not `replace`. Nothing is changed.
        TriveniError: if a part cannot be written.
    """
    check_space(archive, state.store.fingerprint)
    if not replace:
        check_empty(state)
    tables = {name.removeprefix(EVENTS).removesuffix(".parquet"): name for name in archive.names(EVENTS)}
    load(state.events, {table: archive.open(name) for table, name in tables.items()}, replace=replace)  # type: ignore[misc]
    _put_back_models(archive, state.registry)
    read_snapshot(state.store, archive.open(STORE))  # type: ignore[arg-type]
    state.store.optimize()


def _put_back_models(archive: Archive, registry: Registry) -> None:
    there = set(registry.versions())
    for name in archive.names(MODELS):
        version, _, file = name.removeprefix(MODELS).partition("/")
        if file != CARD or (version in there and _same(archive, registry, version)):
            continue
        registry.put_back(version, partial(_write, archive, version))
    if DELETED in archive.names():
        _note_deletions(registry.path / DELETIONS, archive.read(DELETED).decode())
    pointer = read_pointer(archive.read(POINTER).decode(), f"{POINTER} of {archive.path}")
    registry.change(lambda _: _with_versions(pointer, {*registry.versions(), NO_VERSION}))


def _note_deletions(path: Path, noted: str) -> None:
    """Add the deletions of an archive to those that are noted here; a line each."""
    here = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = dict.fromkeys([*noted.splitlines(), *here.splitlines()])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "".join(f"{line}\n" for line in lines if line))


def _same(archive: Archive, registry: Registry, version: str) -> bool:
    """Whether the version of this name that is there is whole, and the archive's."""
    try:
        folder, _ = registry.verified(version)
    except CheckpointError:
        return False
    return (folder / CARD).read_bytes() == archive.read(f"{MODELS}{version}/{CARD}")


def _write(archive: Archive, version: str, folder: Path) -> None:
    begin = f"{MODELS}{version}/"
    for name in archive.names(begin):
        with archive.open(name) as source, (folder / name.removeprefix(begin)).open("wb") as target:
            copyfileobj(source, target)


def _with_versions(pointer: Pointer, there: set[str]) -> Pointer:
    """A pointer without the versions that were left out of the archive as they were damaged."""
    kept = changed(pointer, previous=tuple(one for one in pointer.previous if one in there))
    if pointer.candidate not in there:
        kept = kept.untried()
    return kept if pointer.serving in there else changed(kept, serving=NO_VERSION)
