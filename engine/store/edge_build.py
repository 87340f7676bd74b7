"""Copies of an embedded store's shard that another process builds search graphs over, and how they come to serve.

A build takes a copy as it is if little was written since the last one: Edge then builds one more graph, over what no
graph holds. Where more was written than the budget of memory lets it build over at once, or vectors are to be
quantised otherwise, all points are written again into an empty shard, part by part, each with a graph of its own.
Edge searches the parts as one.
"""

import contextlib
import json
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from engine.core.types import ItemId
from engine.store.base import point_id
from engine.store.edge_folder import Building, Description, copy_shard, new_shard, remove_strays
from engine.store.edge_read import Directory
from engine.store.edge_repair import leave_on_disk
from engine.store.edge_shard import Record, Shard, create_shard
from engine.store.edge_space import DiskRoom, size_of_folder, size_of_records
from engine.store.edge_vectors import EdgeVectors
from engine.store.parts import parts_name
from engine.store.quantization import Quantization

_FIXED = 256 << 20
"""Bytes that a build takes however few points it has: the program, and a shard's log."""
_TIMES = 4.0
"""How often a build holds what its points take on disk; measured 3 to 3.4, by `python -m benchmarks.million`."""
_LEAST = 10_000
"""Points of a part, whatever the budget."""
_FEW = 1024
"""So many changed points hold up the exchange of a shard for a moment only."""
_CHUNK = 256
"""Points that are brought to a copy at once, while writers wait."""


def quarter_of_memory(group: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """A quarter of the bytes of memory that this machine has, or this container may take."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit
        whole = min(whole, int(group.read_text()))
    return whole // 4


@dataclass(frozen=True, slots=True)
class Shape:
    """How the search graphs of a collection are."""

    m: int
    """Edges per node (HNSW, Malkov and Yashunin 2018)."""
    ef_construct: int
    """How widely the graph is searched while it is built."""
    quantization: Quantization
    """Of the vectors that searches compare."""
    memory: int = 0
    """Bytes that a build may take; 0 is `quarter_of_memory`."""


@dataclass(frozen=True, slots=True)
class Build:
    """What `engine.store.edge_optimize` is to do."""

    path: Path
    """The shard that is to serve: a copy, or an empty one."""
    source: Path | None
    """A copy whose points are written into the empty shard, in parts."""
    quantization: Quantization
    points: int
    part: int
    """Points of a part."""
    segment_kb: int
    """Kilobytes of vectors under one graph, at most."""

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return -(-self.points // self.part)

    def order(self, niceness: int) -> str:
        """As the program reads it."""
        places = {"path": str(self.path), "source": self.source and str(self.source)}
        return json.dumps({**asdict(self), **places, "parts": self.parts, "niceness": niceness})

    def remove(self) -> None:
        """Remove the folders, and what tells others of the build."""
        Building.end(self.path.parent)
        for path in (self.path, self.source):
            if path is not None:
                shutil.rmtree(path, ignore_errors=True)


class Describe(Protocol):
    """Changes the description of the store, on disk first."""

    def __call__(self, *, shard: str = ..., graphed: int = ..., quantization: Quantization = ...) -> None:
        """Change what is given."""


class EdgeBuilds:
    """Prepares builds, and lets their shards serve.

    Args:
        folder: of the store.
        shard: of the store.
        directory: of the store.
        writing: the lock of the store's writers.
        about: gives the description of the store.
        describe: changes it.
        extra: the extra vectors.
        room: refuses to begin where the disk is almost full.
        shape: of the graphs.
        flush: makes all writes durable.
    """

    def __init__(
        self,
        folder: Path,
        shard: Shard,
        directory: Directory,
        writing: threading.RLock,
        about: Callable[[], Description],
        describe: Describe,
        extra: EdgeVectors,
        room: DiskRoom,
        shape: Shape,
        flush: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._shard = shard
        self._directory = directory
        self._writing = writing
        self._about = about
        self._describe = describe
        self._extra = extra
        self._room = room
        self._shape = shape
        self._flush = flush

    def prepare(self, unbuilt: int) -> Build:
        """Copy the shard; called with the writers' lock.

        Args:
            unbuilt: points that no graph holds.

        Raises:
            DiskFullError: if there is too little room.
        """
        self._flush()
        about, points = self._about(), len(self._directory.entries)
        serving = self._folder / about.shard
        size = size_of_folder(serving)
        room = (self._shape.memory or quarter_of_memory()) - _FIXED
        most = max(_LEAST, int(room * points / (_TIMES * size)))
        first = about.quantization == "none" and not about.graphed
        again = (about.quantization != self._shape.quantization and not first) or unbuilt > most
        self._room.check(size * (2 if again else 1), "building the search index")
        self._extra.copied()
        copy, path = copy_shard(serving), None
        if again:
            leave_on_disk(copy)
            path = new_shard(self._folder)
            create_shard(path, self._shape.m, self._shape.ef_construct)
            fresh = Shard(path)
            self._equip(fresh)
            fresh.close()
        widest = max([about.dimension, *self._extra.dimensions.values()])
        return Build(
            path or copy,
            copy if path else None,
            self._shape.quantization,
            points,
            part=-(-points // -(-points // most)),
            segment_kb=most * widest * 4 // 1024,
        )

    def _equip(self, fresh: Shard) -> None:
        """Let a shard have the vectors and indexes that the store has now; called with the writers' lock."""
        about = self._about()
        for modality in set(about.modalities).difference(about.unused):
            fresh.add_vector(modality.value, about.dimension)
        for modality in about.parts:
            fresh.add_parts(parts_name(modality), about.dimension)
        self._extra.catch_up(fresh)
        self._extra.copied()
        fresh.add_words()
        for name in about.schema.keys() - fresh.indexed_fields():
            fresh.index(name, about.schema[name])

    def _follow(self, path: Path, changed: Callable[[], set[ItemId]]) -> tuple[int, set[ItemId]]:
        """Bring the writes that a build missed to its shard, until few are left; the store serves meanwhile.

        Returns:
            How many were brought, and which are left.
        """
        late = 0
        while True:
            with self._writing:
                items = [*changed()]
            if len(items) <= _FEW:
                return late, {*items}
            fresh = Shard(path)
            try:
                for start in range(0, len(items), _CHUNK):
                    with self._writing:
                        self._equip(fresh)
                        keys = _keys(items[start : start + _CHUNK])
                        missed = self._shard.records(keys)
                        self._room.check(size_of_records(missed), "taking over the search index")
                        _bring(fresh, keys, missed)
            finally:
                fresh.close()
            late += len(items)

    def adopt(self, build: Build, changed: Callable[[], set[ItemId]]) -> None:
        """Exchange the shard for the one that was built, after the writes that it missed.

        Args:
            build: what was built.
            changed: gives the points that were written since it was asked last; called with the writers' lock.
        """
        late, rest = self._follow(build.path, changed)
        with self._writing:
            self._shard.check_open()
            rest |= changed()

            def catch_up(fresh: Shard) -> None:
                self._equip(fresh)
                _bring(fresh, keys, missed)
                fresh.flush()
                self._describe(
                    shard=build.path.name,
                    graphed=max(0, len(self._directory.entries) - late - len(rest)),
                    quantization=build.quantization,
                )

            keys = _keys(rest)
            missed = self._shard.records(keys) if keys else []
            self._room.check(size_of_records(missed), "taking over the search index")
            self._flush()
            self._shard.exchange(build.path, catch_up)
            self._flush()
            remove_strays(self._folder, build.path.name)


def _keys(items: Iterable[ItemId]) -> list[uuid.UUID]:
    return [uuid.UUID(point_id(item)) for item in items]


def _bring(fresh: Shard, keys: Sequence[uuid.UUID], records: Sequence[Record]) -> None:
    """Replace points of a shard by these; those that there are no records of are gone."""
    fresh.delete(keys)
    fresh.upsert(records)
