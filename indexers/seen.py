"""The ids of a catalogue, kept on disk while it is read: for duplicates, and for what left the catalogue."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from engine.core.types import ItemId

_STEP = 500


class IdSet:
    """A set of ids in a temporary database, which SQLite keeps in a nameless file and deletes by itself.

    The memory it takes is that of SQLite's page cache (2 MB), whatever the number of ids.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The name "" asks SQLite for a temporary database on disk: https://sqlite.org/inmemorydb.html#temp_db
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, item_id: ItemId) -> bool:
        """Add an id, and say whether it is new."""
        with self._lock:
            return self._database.execute("INSERT OR IGNORE INTO ids VALUES (?)", (item_id,)).rowcount == 1

    def missing(self, ids: Iterable[ItemId]) -> list[ItemId]:
        """Those of some ids that are not in the set."""
        wanted = list(dict.fromkeys(ids))
        have: set[str] = set()
        with self._lock:
            for start in range(0, len(wanted), _STEP):
                part = wanted[start : start + _STEP]
                marks = ",".join("?" * len(part))
                query = f"SELECT id FROM ids WHERE id IN ({marks})"  # nosec B608
                rows = self._database.execute(query, part)
                have.update(row[0] for row in rows)
        return [item_id for item_id in wanted if item_id not in have]

    def pages(self, size: int) -> Iterator[list[ItemId]]:
        """All ids in order, in lists of at most `size`."""
        last = ""
        while True:
            with self._lock:
                query = "SELECT id FROM ids WHERE id > ? ORDER BY id LIMIT ?"
                page = [ItemId(row[0]) for row in self._database.execute(query, (last, size))]
            if not page:
                return
            yield page
            last = page[-1]

    def __len__(self) -> int:
        with self._lock:
            count: int = self._database.execute("SELECT count(*) FROM ids").fetchone()[0]
            return count

    def close(self) -> None:
        """Delete the set."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
