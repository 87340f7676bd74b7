"""The settings as a file for another machine: what was set, without secrets."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import BaseModel, SecretStr

from engine.config.settings import Settings
from engine.encode.spaces import STARTERS

_PASSWORDS = re.compile(
    r"(?<=://)([^:/@,]*):(?:(?!,\w+://).)*@|(?<=[?&])[^=&,]*pass[^=&,]*=(?:(?!,\w+://)[^&])*", re.IGNORECASE
)
"""In one URL or several with commas between them; a password may hold a comma."""


def portable_toml(settings: Settings) -> str:
    """What the file and the environment set, as TOML; defaults are left out.

    Passwords are taken out of URLs. Other secrets, which are those fields that no log shows (`SecretStr`,
    `repr=False`), are left out, and named in a comment.
    """
    hidden: list[str] = []
    table = _plain(settings, settings.model_dump(mode="json", exclude_unset=True, exclude_none=True), "", hidden)
    space = table.get("space", {})
    if space.get("name", "starter") not in STARTERS and Path(space["name"]).is_dir():  # a space that was built here
        space["name"] = str(Path(space["name"]).resolve())
    document = tomlkit.document()
    if hidden:
        document.add(tomlkit.comment(f"Set these again, no backup keeps them: {', '.join(hidden)}"))
    document.update(table)
    return tomlkit.dumps(document)


def _plain(value: Any, dumped: Any, name: str, hidden: list[str]) -> Any:
    """What is dumped of a value, without secrets; their names go to `hidden`."""
    if isinstance(value, BaseModel | Mapping):
        get = value.__getitem__ if isinstance(value, Mapping) else lambda key: getattr(value, key)
        found = {}
        for key, inner in dumped.items():
            path = f"{name}.{key}".lstrip(".")
            field = type(value).model_fields.get(key) if isinstance(value, BaseModel) else None
            secret = isinstance(get(key), SecretStr) or (
                field is not None and not field.repr and "://" not in str(inner)
            )
            if inner and secret:
                hidden.append(path)
            else:
                found[key] = _plain(get(key), inner, path, hidden)
        return found
    if not isinstance(dumped, str):
        return dumped
    without = _PASSWORDS.sub(lambda match: f"{match[1]}@" if match[1] else "", dumped)
    if without != dumped:
        hidden.append(f"the password in {name}")
    return without
