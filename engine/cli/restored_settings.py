"""What a backup says of settings: in force in the folder that it is restored into, or as a proposal beside that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit

from engine.backup.archive import SETTINGS, Archive
from engine.backup.errors import BackupError
from engine.cli.common import stderr, tell

if TYPE_CHECKING:
    from engine.config.settings import Settings

IN_FORCE, PROPOSED = "triveni.toml", "triveni.proposed.toml"

_HERE: Mapping[str, Mapping[str, Any]] = {
    "store": {"backend": "edge", "path": Path("var/store")},
    "events": {"url": "sqlite:///var/events.db"},
    "models": {"path": Path("var/trained")},
}
"""Settings with which all state is below the folder that one is in."""

_NAMES = (("space", "name"), ("store", "collection"))
"""Settings without which the data cannot be opened."""

_SHOWN = 100
"""Settings that are listed, at most."""


def settings_of_backup(archive: Archive) -> tomlkit.TOMLDocument:
    """What the archive says.

    Raises:
        BackupError: if that makes no sense.
    """
    try:
        said = tomlkit.parse(archive.read(SETTINGS).decode())
    except (ValueError, RecursionError):
        said = None
    if said is None or not all(isinstance(section, Mapping) for section in said.values()):
        raise BackupError(f"{SETTINGS} of {archive.path} makes no sense", "take another backup")
    return said


def files_of(said: tomlkit.TOMLDocument, *, in_force: bool) -> Mapping[str, str]:
    """By name the files of settings of a folder that holds all state.

    Args:
        said: what the archive says.
        in_force: whether all of it is to count, or only what the data is called, and the rest is a proposal.
    """
    needed = tomlkit.document()
    for section, key in _NAMES:
        if key in (found := said.get(section, {})):
            needed[section] = {key: found[key]}
    whole = tomlkit.parse(tomlkit.dumps(said))
    for document in (needed, whole):
        for section, keys in _HERE.items():
            document.setdefault(section, tomlkit.table()).update({name: str(value) for name, value in keys.items()})
    if in_force:
        return {IN_FORCE: tomlkit.dumps(whole)}
    more = {PROPOSED: tomlkit.dumps(whole)} if whole.unwrap() != needed.unwrap() else {}
    return {IN_FORCE: tomlkit.dumps(needed), **more}


def with_state_here(settings: Settings) -> Settings:
    """The same settings, whatever the environment says of where state is."""
    sections = {name: getattr(settings, name).model_copy(update=keys) for name, keys in _HERE.items()}
    return settings.model_copy(update=sections)


def tell_settings(folder: Path, said: tomlkit.TOMLDocument, *, in_force: bool) -> None:
    """Say which settings came with a backup, a line each and as plain ASCII, whoever made it."""
    lines = [
        f"{_name(section)}.{_name(key)} = {json.dumps(value, default=str)}"
        for section, keys in said.unwrap().items()
        for key, value in keys.items()
        if key not in _HERE.get(section, {}) and (in_force or (section, key) not in _NAMES)
    ]
    if in_force:
        tell("note", "dim", f"{folder / IN_FORCE} has the settings of the backup")
    elif lines:
        remedy = f"look at them, and rename it to {IN_FORCE} if they should be"
        tell("warning", "yellow", f"{folder / PROPOSED} has settings of the backup, none is in force: {remedy}")
    shown = [*lines[:_SHOWN], *([f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else [])]
    for line in shown:
        stderr.print(f"  {line}", style="dim", markup=False, highlight=False, soft_wrap=True)
    first = tomlkit.dumps(said).partition("\n")[0]
    if in_force and first.startswith("#"):
        tell("warning", "yellow", f"{folder / IN_FORCE}: {ascii(first.strip('# ').strip())[1:-1]}")


def _name(key: str) -> str:
    return key if key.isascii() and key.isidentifier() else json.dumps(key)
