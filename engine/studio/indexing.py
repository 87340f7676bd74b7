"""What `triveni index` leaves beside the store: the rows that it refused, and how its last run went or goes."""

import json
import os
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

DEAD_LETTERS = "dead-letters.jsonl"
RUN = "index-run.json"
LETTERS = 200_000
"""Lines of the file that are counted."""


@dataclass(frozen=True, slots=True)
class Letters:
    """A page of dead letters."""

    path: Path
    total: int
    errors: tuple[tuple[str, int], ...]
    """How many of each class of error, most first."""
    rows: tuple[dict[str, Any], ...]


class IndexFiles:
    """Reads them; whoever indexes may write them meanwhile.

    Args:
        folder: of the store; they lie in it unless `triveni index` was told otherwise.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def letters(self, offset: int, limit: int, error: str = "") -> Letters:
        """Rows that could not be indexed, or lack a content.

        Args:
            offset: rows that are passed over.
            limit: rows that are wanted.
            error: only those of this class of error; "" is all.
        """
        path = self._folder / DEAD_LETTERS
        counts: Counter[str] = Counter()
        rows: list[dict[str, Any]] = []
        met = 0
        for letter in self._read(path):
            counts[str(letter.get("error", ""))] += 1
            if error and letter.get("error") != error:
                continue
            if offset <= met < offset + limit:
                rows.append(letter)
            met += 1
        return Letters(path, counts.total(), tuple(counts.most_common()), tuple(rows))

    def run(self) -> dict[str, Any] | None:
        """The last run of `triveni index` as it noted it; None if none did. One that was killed is not running."""
        try:
            noted = json.loads((self._folder / RUN).read_text(encoding="utf-8"))
            if not isinstance(noted, dict):
                return None
        except (OSError, ValueError):
            return None
        if noted.get("state") == "running" and not _alive(noted.get("process")):
            noted["state"] = "killed"
        return noted

    @staticmethod
    def _read(path: Path) -> Any:
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                for line in islice(file, LETTERS):
                    try:
                        letter = json.loads(line)
                    except ValueError:
                        continue
                    if isinstance(letter, dict):
                        yield letter
        except OSError:
            return


def _alive(process: object) -> bool:
    if not isinstance(process, int) or process <= 0:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
