"""What a check finds, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from engine.core.errors import StoreInUseError

if TYPE_CHECKING:
    from encoders.spaces.space import Space
    from engine.config.settings import Settings


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer."""

    level: Level
    said: str
    """What is there, in lower case, with the value."""
    remedy: str = ""
    """What to do about it; "" where all is well."""


def ok(said: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, said)


def warning(said: str, remedy: str) -> Finding:
    """It works, and will not for long, or not as it is meant to."""
    return Finding(Level.WARNING, said, remedy)


def problem(said: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(Level.PROBLEM, said, remedy)


class Patient:
    """What is looked at: the settings, and what several checks need of them.

    Args:
        settings: all of them.
        file: where they are from; None if there is no file.
    """

    def __init__(self, settings: Settings, file: Path | None = None) -> None:
        self.settings, self.file = settings, file

    @cached_property
    def space(self) -> Space:
        """The space that the settings name, loaded once."""
        from engine import opening

        return opening.open_space(self.settings)

    @cached_property
    def holder(self) -> StoreInUseError | str:
        """The address of the server that has the embedded store open, "" if nobody has; what is known of another."""
        from engine import opening

        try:
            return opening.running_server(self.settings)
        except StoreInUseError as error:
            return error


Check = Callable[[Patient], Iterator[Finding]]
"""Looks at one thing. An error that it raises is a finding too: the problem with its remedy."""
