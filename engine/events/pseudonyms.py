"""Pseudonyms of people: what an event store knows them by, so that their ids never reach the disk."""

import hmac
import re
from pathlib import Path

from engine.core.errors import SettingsError
from engine.core.types import UserId
from engine.events.check import check_user
from engine.events.errors import EventError

_LEAST = 16
"""Bytes of a key."""
_FORM = re.compile(r"p-[0-9a-f]{32}")


class Pseudonyms:
    """Makes a pseudonym of an id: the first 128 bits of its HMAC-SHA-256, in hexadecimal, behind `p-`.

    A pseudonym is its own, so that it does no harm to ask twice. What cannot be an id stays as it is, to be refused.

    Args:
        key: a secret. Who has it can tell whose a pseudonym is, by trying ids.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.fingerprint = hmac.digest(key, b"\0fingerprint of the key", "sha256")[:8].hex()
        """Tells keys apart, and says nothing of them."""

    def __call__(self, user: str) -> UserId:
        """The pseudonym of a person."""
        if _FORM.fullmatch(user):
            return UserId(user)
        try:
            check_user(user)
        except EventError:
            return UserId(user)
        return UserId(f"p-{hmac.digest(self._key, user.encode(), 'sha256')[:16].hex()}")


def read_key(path: Path) -> bytes:
    """The key in a file; white space around it does not count.

    Raises:
        SettingsError: if it cannot be read, or is short.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise SettingsError(
            f"events.pseudonym_key_file {path} cannot be read: {error.strerror}",
            "put the key there, or name its file",
        ) from None
    if len(key) < _LEAST:
        problem = f"the key in {path} has {len(key)} bytes, {_LEAST} are the least"
        raise SettingsError(problem, f"make one: openssl rand -hex 32 > {path}")
    return key
