"""What is fuzzed: a function of bytes, what it may be given first, and what may come of it."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from encoders.errors import TriveniError

REGRESSIONS = Path(__file__).parent / "regressions"
"""A folder for each target that something was found in."""

OK = "ok"
DEFECTS = ("INTERNAL", "UNKNOWN")
"""Statuses that no input may bring about."""


class Finding(Exception):  # noqa: N818 (it is what is looked for)
    """An input did what no input may do."""


@dataclass(frozen=True)
class Target:
    """Something that reads foreign bytes.

    Args:
        make: starts it; gives the function that reads an input, and says what came of it: `OK`, or the error.
        seeds: sound inputs, from which others are made.
        share: of all inputs.
        max_bytes: the longest input.
    """

    make: Callable[[], Callable[[bytes], str]]
    seeds: Callable[[], Mapping[str, bytes]]
    share: int
    max_bytes: int = 4096

    @cached_property
    def read(self) -> Callable[[bytes], str]:
        """The function, started once."""
        return self.make()


def outcome(read: Callable[[], object]) -> str:
    """What comes of reading: `OK`, or the name of the error.

    Raises:
        Finding: if the error is one that says of itself that it is a defect.
        Exception: whatever else is raised, which is a finding too.
    """
    try:
        read()
    except TriveniError as error:
        if error.status in DEFECTS:
            raise Finding(str(error)) from error
        str(error).encode()  # it can be told
        return type(error).__name__
    return OK


def in_file(name: str, read: Callable[[Path], object]) -> Callable[[], Callable[[bytes], str]]:
    """Starts a function that finds its input in a file of this name, alone in a folder."""

    def make() -> Callable[[bytes], str]:
        folder = tempfile.TemporaryDirectory(prefix="triveni-fuzz-")
        path = Path(folder.name) / name

        def one(data: bytes, _: object = folder) -> str:
            path.write_bytes(data)
            return outcome(partial(read, path))

        return one

    return make
