"""The words of an embedded store's items: a sparse vector of the shard, made of their payloads."""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import qdrant_edge as edge

from engine.core.types import ItemId, Payload
from engine.store.edge_folder import Description
from engine.store.edge_read import ID, Directory
from engine.store.edge_shard import Shard
from engine.store.edge_space import DiskRoom
from engine.store.words import FORM, WORDS, words_of


class Describe(Protocol):
    """Changes the description of the store, on disk first."""

    def __call__(self, *, words: tuple[str, ...] = ..., word_form: int = ..., strays: tuple[str, ...] = ...) -> None:
        """Change what is given."""


class EdgeWords:
    """Makes the words of items as they are written, and of those that are there.

    Args:
        shard: of the store.
        directory: of the store.
        writing: the lock of the store's writers.
        about: gives the description of the store.
        describe: changes it.
        wrote: takes note of points that were written.
        room: refuses writes where the disk is almost full.
        chunk: points per write of the shard.
    """

    def __init__(
        self,
        shard: Shard,
        directory: Directory,
        writing: threading.RLock,
        about: Callable[[], Description],
        describe: Describe,
        wrote: Callable[[Iterable[ItemId]], None],
        room: DiskRoom,
        chunk: int,
    ) -> None:
        self._shard = shard
        self._directory = directory
        self._writing = writing
        self._about = about
        self._describe = describe
        self._wrote = wrote
        self._room = room
        self._chunk = chunk
        self._made = self.fields
        """Of what is written: also while others still lack theirs."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields whose words all items have."""
        about = self._about()
        return about.words if about.word_form == FORM else ()

    def put(self, payloads: Iterable[Payload], vectors: Sequence[dict[str, Any]]) -> None:
        """Add to the vectors of points that are about to be written their words; called with the lock."""
        for payload, named in zip(payloads, vectors, strict=True) if self._made else ():
            words = words_of(payload, self._made)
            if words.indices:
                named[WORDS] = edge.SparseVector(words.indices, words.values)

    def index(self, fields: Sequence[str], written: Callable[[int], None]) -> None:
        """Make the words of all items; see `VectorStore.index_words`."""
        wanted = tuple(dict.fromkeys(fields))
        with self._writing:
            self._shard.check_open()
            if self.fields == wanted:
                return
            self._room.check(0, "indexing words")
            self._describe(words=(), strays=(*self._about().strays, WORDS))
            self._shard.drop_vector(WORDS)
            self._shard.add_words()
            self._describe(strays=tuple(name for name in self._about().strays if name != WORDS))
            self._made = wanted
        items = list(self._directory.entries)
        for start in range(0, len(items) if wanted else 0, self._chunk):
            chunk = items[start : start + self._chunk]
            self._write(chunk)
            written(len(chunk))
        with self._writing:
            self._shard.flush()
            if self._made == wanted:
                self._describe(words=wanted, word_form=FORM)

    def _write(self, items: Sequence[ItemId]) -> None:
        with self._writing:
            entries = self._directory.entries
            keys = {item: entries[item].key for item in items if item in entries}
            payloads = {str(payload[ID]): payload for payload in self._shard.payloads([*keys.values()])}
            there = [(item, key) for item, key in keys.items() if item in payloads]
            vectors: list[dict[str, Any]] = [{} for _ in there]
            self.put((payloads[item] for item, _ in there), vectors)
            size = sum(8 * len(named[WORDS].indices) for named in vectors if named)
            self._room.check(2 * size, "indexing words")
            found = [(key, named) for (_, key), named in zip(there, vectors, strict=True) if named]
            if found:
                self._shard.update_vectors(found)
            self._wrote(keys)
