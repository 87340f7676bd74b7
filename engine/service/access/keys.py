"""API keys, and the file that knows them by their digests.

A key is `triveni_ID_SECRET`. The id says which one it is, and is no secret; the secret is 256 random bits.
The file holds the SHA-256 of the whole key. That is enough: what makes a password's digest worth a slow function and
a salt is that passwords can be guessed, and equal ones be seen to be equal; of 2^256 secrets neither holds. Digests
are compared in constant time.
"""

import hmac
import os
import re
import secrets
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from fcntl import LOCK_EX, flock
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import tomlkit
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from engine.core.errors import NotFoundError, SettingsError
from engine.core.files import disk_errors, write_atomically
from engine.service.access.caller import Caller, Scope
from engine.service.access.errors import UnauthenticatedError
from engine.service.access.watched import Watched, read_file

PREFIX = "triveni_"
"""Begins every key, so that a program that looks for leaked ones knows it."""
AT_ONCE = 2
"""Keys of one name that may be valid at once: the one in use, and the one that takes its place."""

_KEY = re.compile(r"triveni_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_NO_DIGEST = "0" * 64


class ApiKey(BaseModel):
    """A key as the file has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
    name: Annotated[str, Field(min_length=1, max_length=128)]
    """Whose it is; a key that takes another's place has its name."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Digest of the key."""
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    tenant: str = ""
    created: AwareDatetime
    expires: AwareDatetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires is None or now < self.expires


class KeyFile:
    """The file of keys, as those who change it see it: one process at a time.

    Args:
        path: of a TOML file with a table `[[key]]` for each; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def every(self) -> Sequence[ApiKey]:
        """All keys, in the order of the file.

        Raises:
            SettingsError: if it cannot be read.
        """
        return list(read_keys(self.path).values()) if self.path.exists() else []

    def add(
        self, name: str, scopes: frozenset[Scope], tenant: str, lifetime: timedelta | None, now: datetime
    ) -> tuple[str, ApiKey]:
        """Make a key.

        Args:
            name: whose it is.
            scopes: what it may do.
            tenant: that it is of.
            lifetime: after which it is valid no more; None is for ever.
            now: the time, with a time zone.

        Returns:
            The key itself, which is nowhere else from now on, and what the file has of it.

        Raises:
            SettingsError: if there are two valid ones of this name, or the file cannot be read.
            DiskError: if it cannot be written.
        """
        with self._alone():
            keys = self.every()
            valid = [key.id for key in keys if key.name == name and key.is_valid(now)]
            if len(valid) >= AT_ONCE:
                raise SettingsError(
                    f"{name} has {len(valid)} valid keys: {', '.join(valid)}",
                    "revoke one of them first: `triveni access revoke ID`",
                )
            now = now.astimezone(UTC).replace(microsecond=0)
            identity = secrets.token_hex(6)
            text = f"{PREFIX}{identity}_{secrets.token_urlsafe(32)}"
            made = ApiKey(
                id=identity,
                name=name,
                sha256=digest_of(text),
                scopes=scopes,
                tenant=tenant,
                created=now,
                expires=now + lifetime if lifetime else None,
            )
            self._write([*keys, made])
        return text, made

    def revoke(self, identity: str) -> ApiKey:
        """Take a key out of the file; servers know it no more within a second.

        Raises:
            NotFoundError: if there is no such key.
            SettingsError: if the file cannot be read.
            DiskError: if it cannot be written.
        """
        with self._alone():
            keys = self.every()
            found = next((key for key in keys if key.id == identity), None)
            if found is None:
                raise NotFoundError(
                    f"there is no key {identity!r}", "`triveni access list` shows those that there are"
                )
            self._write([key for key in keys if key is not found])
        return found

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with disk_errors(self.path):
            folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            flock(folder, LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _write(self, keys: Sequence[ApiKey]) -> None:
        document = tomlkit.document()
        document.add(tomlkit.comment("API keys, by their digests. Written by `triveni access`."))
        tables = tomlkit.aot()
        for key in keys:
            said = key.model_dump(exclude_none=True)
            tables.append(tomlkit.item({**said, "scopes": sorted(key.scopes)}))
        document.add("key", tables)
        write_atomically(self.path, tomlkit.dumps(document), mode=0o600)


class KeyChecker:
    """Knows the callers of API keys, from a file that is read again when it changes.

    Raises:
        SettingsError: if the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._keys = Watched[Mapping[str, ApiKey]]("keys", [path], lambda: read_keys(path), gone={})

    def knows(self, credential: str) -> bool:
        """Whether a credential looks like a key."""
        return credential.startswith(PREFIX)

    def caller(self, credential: str) -> Caller:
        """Whose key it is.

        Raises:
            UnauthenticatedError: if it is nobody's.
        """
        form = _KEY.fullmatch(credential)
        if form is None:
            raise UnauthenticatedError("malformed key")
        key = self._keys.current().get(form[1])
        same = hmac.compare_digest(key.sha256 if key else _NO_DIGEST, digest_of(credential))
        if key is None or not same:
            raise UnauthenticatedError(f"unknown key {form[1]}" if key is None else f"wrong secret of key {form[1]}")
        if not key.is_valid(datetime.now(UTC)):
            raise UnauthenticatedError(f"expired key {form[1]}")
        return Caller(key.name, key.tenant, key.scopes)


def digest_of(key: str) -> str:
    """SHA-256, in hexadecimal digits."""
    return sha256(key.encode()).hexdigest()


def read_keys(path: Path) -> Mapping[str, ApiKey]:
    """The keys of a file, by id.

    Raises:
        SettingsError: if it cannot be read, or says something that makes no sense.
    """
    try:
        said = tomllib.loads(read_file(path, "the file of keys").decode())
        keys = [ApiKey.model_validate(one) for one in said.pop("key", [])]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise SettingsError(f"{path}: a key's {where} is wrong: {first['msg']}", "correct it, or revoke it") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}", "correct that line") from None
    found = {key.id: key for key in keys}
    if said or len(found) != len(keys):
        problem = f"knows no {sorted(said)[0]!r}" if said else "has an id twice"
        raise SettingsError(f"{path} {problem}", "it holds tables [[key]], each with an id of its own")
    return found
