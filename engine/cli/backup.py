"""`triveni backup` and `triveni restore`: everything into one archive, and back."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import ExitStack, chdir, closing, contextmanager
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.common import console, server_error, settings_of, stderr, tell, terminable

if TYPE_CHECKING:
    from engine.backup.archive import Archive
    from engine.backup.manifest import Manifest
    from engine.config.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON.")]


def backup(
    ctx: typer.Context,
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The archive to write.", dir_okay=False)],
    server: Annotated[
        str, typer.Option(help="Ask the server at HOST:PORT; one that has the store open is found without it.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Write everything into one archive: items, vectors, events, served lists, versions of the model, settings.

    A server may run, and answers and records meanwhile: what was acknowledged before the backup began is in it. The
    archive is there once it is whole and was read back; secrets of the settings are in none.

    Example: triveni backup triveni-2026-06-01.tar
    """
    from engine import opening
    from engine.backup.archive import Archive
    from engine.backup.errors import BackupError
    from engine.core.files import disk_errors, replacing

    if output.exists():
        raise BackupError(f"{output} is there already", "name a new file, or remove that one")
    settings, began = settings_of(ctx), time.perf_counter()
    address = server or opening.running_server(settings)
    with terminable(), disk_errors(output), replacing(output) as new:
        new.chmod(0o600)  # people's data is in it
        with new.open("wb") as file, _taken(settings, address) as chunks:
            file.writelines(chunks)
        with Archive(new) as archive:
            manifest = archive.manifest
    seconds = time.perf_counter() - began
    _show(output, manifest, as_json, {"seconds": round(seconds, 3), "bytes": output.stat().st_size})
    if not as_json:
        console.print(
            f"next: {shlex.join(['triveni', 'restore', str(output), '--into', 'FOLDER', '--with-settings'])}",
            style="dim",
        )
    for problem in manifest.left_out:
        tell("warning", "yellow", f"left out: {problem}")


@contextmanager
def _taken(settings: Settings, address: str) -> Iterator[Iterator[bytes]]:
    """The bytes of a backup: from the server at an address, or from the stores themselves."""
    from engine.core.errors import NotFoundError

    if address:
        tell("note", "dim", f"the server at {address} takes it")
        yield _from_server(address)
        return
    from engine import opening
    from engine.compose.tenant import backups

    store = opening.open_catalogue(settings)
    if store is None:
        raise NotFoundError(f"there is no collection {settings.store.collection}", "index a catalogue first")
    with closing(store):
        yield backups(settings, store)()


def _from_server(address: str) -> Iterator[bytes]:
    import grpc

    from engine.cli.calling import channel_to
    from triveni.v1 import admin_pb2, admin_pb2_grpc

    with channel_to(address) as channel:
        try:
            for response in admin_pb2_grpc.AdminServiceStub(channel).Backup(admin_pb2.BackupRequest()):
                yield response.data
        except grpc.RpcError as error:
            raise server_error(address, error) from None


def restore(
    ctx: typer.Context,
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="What `triveni backup` wrote.", dir_okay=False)],
    into: Annotated[
        Path | None,
        typer.Option(
            help="A new or empty folder, for everything with its settings; else where the settings here say."
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only compare the archive with its checksums.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of what is there, instead of refusing that.")
    ] = False,
    with_settings: Annotated[
        bool,
        typer.Option(
            "--with-settings",
            help="Take over its settings (with --into) and the folder of its media; only of what you made.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put back what `triveni backup` saved. All checksums are compared before anything is written.

    With --into, the folder is there once all of it is, with triveni.toml; store and events are embedded in it. What
    the backup says of settings is shown and lies in triveni.proposed.toml beside it, unless --with-settings puts it
    in force: a backup that somebody forged could open the server to others.
    Without, everything goes where the settings here say, also to a Qdrant server and PostgreSQL; no server may run on
    it, and one that was cut short is completed with --replace. A backup of another space is refused.

    Example: triveni restore triveni-2026-06-01.tar --into restored --with-settings
    """
    from engine.backup.archive import Archive

    if into is not None and (check or replace):
        raise typer.BadParameter("--into takes a new or empty folder, and neither --check nor --replace")
    began = time.perf_counter()
    with terminable(), Archive(archive.absolute()) as opened:
        if check:
            _show(archive, opened.manifest, as_json, {"whole": True})
            return
        if into is None:
            _restore(opened, settings_of(ctx), replace=replace, media=with_settings)
        else:
            _restore_into(opened, into, with_settings)
        _show(archive, opened.manifest, as_json, {"seconds": round(time.perf_counter() - began, 3)})
    if not as_json:
        there = f"cd {shlex.quote(str(into))} && " if into else ""
        console.print(f"next: {there}triveni doctor && triveni serve", style="dim")
    for problem in opened.manifest.left_out:
        tell("warning", "yellow", f"was not in the backup: {problem}")


def _restore(archive: Archive, settings: Settings, *, replace: bool, media: bool) -> None:
    """Restore into what the settings name; `media` says whether the folder of media is taken over."""
    from engine import opening
    from engine.backup import restore as backups
    from engine.backup.take import State

    with stderr.status("loading the encoders"):
        space = opening.open_space(settings)
    backups.check_space(archive, space.fingerprint)
    with ExitStack() as opened, stderr.status("restoring"):
        store = opened.enter_context(closing(opening.open_store(settings, space, bulk=True)))
        events = opened.enter_context(closing(opening.event_database(settings)))
        backups.restore(archive, State(store, events, opening.registry(settings)), replace=replace)
    root = archive.manifest.media_root
    if root and not media:
        tell(
            "note",
            "dim",
            f"pictures and sounds were below {json.dumps(root)}: name that folder in studio.media to see them, "
            "or restore --with-settings",
        )
        return
    with closing(opening.store_collections(settings)) as collections:
        collections.note_media_root(settings.store.collection, space.fingerprint, Path(root) if root else None)


def _restore_into(archive: Archive, folder: Path, with_settings: bool) -> None:
    """Restore into a folder beside the one that is wanted, and let it take that place once it is whole."""
    from engine.backup.errors import BackupError
    from engine.cli.restored_settings import files_of, settings_of_backup, tell_settings, with_state_here
    from engine.config.settings import load_settings
    from engine.core.files import disk_errors, sync

    folder, said = folder.absolute(), settings_of_backup(archive)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupError(f"{folder} is not empty", "name a new folder")
    part = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        with disk_errors(part):
            part.mkdir(parents=True)
            for name, text in files_of(said, in_force=with_settings).items():
                (part / name).write_text(text, encoding="utf-8")
        with chdir(part):
            settings = with_state_here(load_settings(Path("triveni.toml")))
            _restore(archive, settings, replace=False, media=with_settings)
        with disk_errors(folder):
            sync(part)
            part.rename(folder)
            sync(folder.parent)
    finally:
        rmtree(part, ignore_errors=True)  # it is not there any more if all went well
    tell_settings(folder, said, in_force=with_settings)


def _show(path: Path, manifest: Manifest, as_json: bool, more: dict[str, Any]) -> None:
    if as_json:
        print(json.dumps({"archive": str(path), **more, **manifest.model_dump(mode="json", exclude={"files"})}))
        return
    counts = ", ".join(
        f"{count:,} {name.removeprefix('triveni_')}" for name, count in manifest.counts.items() if count
    )
    size = sum(file.size for file in manifest.files.values()) / 1e6
    took = f", {more['seconds']:.1f} s" if "seconds" in more else ""
    console.print(
        f"{path}: {counts}; space {manifest.fingerprint[:12]}, {manifest.created:%Y-%m-%d %H:%M:%S}Z, "
        f"{len(manifest.files)} files whole, {size:,.1f} MB{took}",
        highlight=False,
        soft_wrap=True,
    )
