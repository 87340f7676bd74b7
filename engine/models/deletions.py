"""The deletions of people, noted beside the versions that may have learned from them: `<registry>/deletions.jsonl`.

A line each, with an id of its own, the time and the versions; nothing of the person. A training that had begun to
read when somebody was deleted makes its version later, which no line names: the times tell.
"""

import os
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from engine.core.files import disk_errors, locked, sync
from engine.models.card import ModelCard

DELETIONS = "deletions.jsonl"
_SLACK = timedelta(minutes=1)
"""How far the clocks of two machines may differ, and how long a deletion and the writing of a version may take."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """That somebody was deleted."""

    id: str
    time: AwareDatetime
    versions: tuple[str, ...]
    """Those of that time that may have learned from the person."""

    def touches(self, card: ModelCard) -> bool:
        """Whether a version may have learned from the person; also one that was made since."""
        if card.version in self.versions:
            return True
        began = card.read_at or card.created
        return began < self.time + _SLACK and card.created > self.time - _SLACK


@dataclass(frozen=True, slots=True)
class Deleted:
    """People who were deleted after a version may have learned from them."""

    count: int
    last: datetime | None
    """When the last of them was; None if nobody was."""


_ADAPTER = TypeAdapter(Deletion)


def new_deletion(now: datetime, versions: Iterable[str] = ()) -> Deletion:
    """A deletion with an id of its own."""
    return Deletion(secrets.token_hex(8), now, tuple(versions))


class Deletions:
    """The note of deletions of a registry.

    Args:
        folder: the registry's.
        clock: tells the time, with a time zone.
    """

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self._folder, self._path, self._clock = folder, folder / DELETIONS, clock

    def note(self, cards: Iterable[ModelCard], first: datetime | None, last: datetime | None) -> Deletion:
        """Note durably that a person is being deleted; before they are, so that of a crash in between a note remains.

        Args:
            cards: of all versions.
            first: the time of the oldest event or served list of the person; None if there is none.
            last: of the newest.

        Raises:
            DiskError: if it cannot be written.
        """
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / ".deletions.lock"), disk_errors(self._path):
            now = self._clock()
            learned = sorted(card.version for card in cards if first and last and card.may_know(first, last))
            deletion = new_deletion(now, learned)
            with self._path.open("ab+") as file:
                end = file.seek(0, os.SEEK_END)
                torn = end > 0 and os.pread(file.fileno(), 1, end - 1) != b"\n"
                file.write(b"\n" * torn + _ADAPTER.dump_json(deletion) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            sync(self._folder)
        return deletion

    def all(self) -> list[Deletion]:
        """All that were noted, the oldest first. A line that a crash cut off is left out."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            with suppress(ValidationError):
                found.append(_ADAPTER.validate_json(line))
        return found

    def since(self, cards: Iterable[ModelCard]) -> dict[str, Deleted]:
        """By version, who was deleted after it may have learned from them."""
        noted, found = self.all(), dict[str, Deleted]()
        for card in cards:
            times = [one.time for one in noted if one.touches(card)]
            found[card.version] = Deleted(len(times), max(times, default=None))
        return found
