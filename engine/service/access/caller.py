"""Who calls."""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """A kind of things that may be done. None includes another: a key for everything names all."""

    READ = "read"
    """Ask: recommendations, searches, items, histories, versions, how trainings go."""
    WRITE = "write"
    """Change items and events, and delete them."""
    TRAIN = "train"
    """Start and cancel trainings."""
    ADMIN = "admin"
    """Decide what serves, and all that no other scope is for."""


EVERY_SCOPE = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls."""

    subject: str
    """The name of the key, or what the token says; "" if nobody was asked."""
    tenant: str
    """The tenant that the credential is of; "" is the one that there is by itself."""
    scopes: frozenset[Scope]
    """What they may do."""


ANYONE = Caller("", "", EVERY_SCOPE)
"""Whoever calls a server that asks for no credentials."""

NOBODY = Caller("", "", frozenset())
"""Whoever calls a method that needs no credentials, such as health, where others do."""
