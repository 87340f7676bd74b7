"""How the engine searches the store: each call for itself, or the searches of many calls in one batch."""

import os
from collections.abc import Callable, Sequence
from typing import Protocol

from engine.core.deadline import Deadline
from engine.encode.batching import Batcher
from engine.store.base import Hits, VectorQuery, VectorStore

Searches = Sequence[VectorQuery]


class Search(Protocol):
    """Searches by several vectors; may be called from many threads at once."""

    def search(self, queries: Searches, deadline: Deadline) -> list[Hits]:
        """Search; hits come in the order of the queries. See `VectorStore.query`."""


class DirectSearch:
    """Each call asks the store for itself.

    Args:
        store: the store.
    """

    def __init__(self, store: VectorStore) -> None:
        self._store = store

    def search(self, queries: Searches, deadline: Deadline) -> list[Hits]:
        """Search; see `Search.search`."""
        deadline.check("searching")
        return self._store.query(queries)


class BatchedSearch:
    """What waits while the store searches goes into its next batch.

    A batch reads a collection without a search graph once for all its vectors, and keeps Python's lock less busy.

    Args:
        store: the store.
        max_batch: calls whose searches go together, at most.
        max_queue: calls that may wait, at most.
        workers: threads; 0 takes one per core.
        batched: is told, each time, how many calls are searched for together.
    """

    def __init__(
        self,
        store: VectorStore,
        *,
        max_batch: int = 32,
        max_queue: int = 256,
        workers: int = 0,
        batched: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._batcher: Batcher[Searches, list[Hits]] = Batcher(
            self._run,
            name="searching",
            max_batch=max_batch,
            max_queue=max_queue,
            workers=workers or os.cpu_count() or 1,
            batched=batched,
        )

    @property
    def waiting(self) -> int:
        """Calls that wait for the store."""
        return self._batcher.waiting

    def search(self, queries: Searches, deadline: Deadline) -> list[Hits]:
        """Search; see `Search.search`.

        Raises:
            OverloadedError: if too many calls wait already.
        """
        deadline.check("searching")
        found = self._batcher.do(queries, deadline)
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        """Finish what waits, and end the threads."""
        self._batcher.close()

    def _run(self, calls: Sequence[Searches]) -> list[list[Hits]]:
        hits = iter(self._store.query([query for call in calls for query in call]))
        return [[next(hits) for _ in call] for call in calls]
