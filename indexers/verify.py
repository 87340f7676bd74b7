"""Compares a catalogue with a store by digests; only what the store lacks is decoded, to tell why it lacks it."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field

from encoders.spaces.space import Space
from engine.catalog.ingest import Digest, Key, keys_of, spans_of, vectors_of
from engine.core.types import ItemId
from engine.store.base import Point, VectorStore
from indexers.catalog import Catalog
from indexers.prune import collect_extra
from indexers.rows import CatalogEntry, DeadLetter
from indexers.seen import IdSet
from indexers.stages import batches

_GROUP = 256
_GROUP_BYTES = 64 << 20
MAX_EXAMPLES = 100


@dataclass(slots=True)
class StoreDifference:
    """How many items differ in one way, and the first of them."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, item_id: str) -> None:
        """Count an item."""
        self.count += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(item_id)


@dataclass(slots=True)
class Verification:
    """What `verify` found. In good order all differences are zero."""

    same: int = 0
    missing: StoreDifference = field(default_factory=StoreDifference)
    """In the catalogue, not in the store."""
    stale: StoreDifference = field(default_factory=StoreDifference)
    """In both, but the catalogue's item is another than the one that was indexed."""
    incomplete: StoreDifference = field(default_factory=StoreDifference)
    """Equal, but the store lacks the vector of a content that can be read."""
    extra: StoreDifference = field(default_factory=StoreDifference)
    """In the store, not in the catalogue."""
    unreadable: StoreDifference = field(default_factory=StoreDifference)
    """Rows of the catalogue that cannot be read, whole or in part, as "line: reason"."""
    wrong_space: str = ""
    """The fingerprint of the store's space, if it is not the one that was asked for."""

    @property
    def differences(self) -> dict[str, StoreDifference]:
        """By name."""
        return {
            "missing": self.missing,
            "stale": self.stale,
            "incomplete": self.incomplete,
            "extra": self.extra,
            "unreadable": self.unreadable,
        }

    @property
    def in_order(self) -> bool:
        """Whether catalogue and store agree."""
        return not self.wrong_space and not any(it.count for it in self.differences.values())


def verify(
    catalog: Catalog,
    store: VectorStore,
    *,
    fingerprint: str | None = None,
    space: Space | None = None,
    readers: int = 0,
) -> Verification:
    """Compare a catalogue with a store by the digests of their items. Nothing is changed.

    Args:
        catalog: the catalogue.
        store: the store.
        fingerprint: of the space that the store should be of; None does not ask.
        space: decodes what the store lacks: indexing again does not help where a file is broken. None takes every
            file for sound.
        readers: threads that read and hash files; 0 takes one per core.

    Raises:
        CatalogError: if the catalogue cannot be read.
    """
    verdict = Verification()
    if fingerprint is not None and store.fingerprint != fingerprint:
        verdict.wrong_space = store.fingerprint
    with IdSet() as seen, IdSet() as extra, ThreadPoolExecutor(readers or os.cpu_count() or 1) as pool:
        entries = _alive(catalog.entries(seen, pool, {**catalog.schema(), **store.schema}), verdict)
        for group in batches(entries, _GROUP, lambda entry: entry.size, _GROUP_BYTES):
            points = store.retrieve([entry.item.id for entry in group], once=True)
            lacking = [place for place, one in enumerate(points) if not _whole(group[place], one)]
            wanted = [(group[place], points[place]) for place in lacking]
            broken = dict(zip(lacking, _broken(wanted, space, pool), strict=True))
            for place, (entry, point) in enumerate(zip(group, points, strict=True)):
                _compare(entry, point, broken.get(place), verdict)
        collect_extra(store, seen, extra)
        for page in extra.pages(_GROUP):
            for item_id in page:
                verdict.extra.add(item_id)
    return verdict


def _alive(entries: Iterator[CatalogEntry | DeadLetter], verdict: Verification) -> Iterator[CatalogEntry]:
    for entry in entries:
        if isinstance(entry, DeadLetter):
            verdict.unreadable.add(f"{entry.line}: {entry.reason}")
        else:
            yield entry


def _same(entry: CatalogEntry, point: Point | None) -> bool:
    """Whether the store holds this very item."""
    return point is not None and Digest.of_payload(point.payload) == entry.digest


def _whole(entry: CatalogEntry, point: Point | None) -> bool:
    """Whether the store holds this very item with all of its contents."""
    return point is not None and not entry.missing and _same(entry, point) and _has_all(entry, point)


def _has_all(entry: CatalogEntry, point: Point) -> bool:
    """Whether the store has a vector of each content and passage, and of nothing else."""
    return _kept(point) == set(keys_of(entry.item))


def _kept(point: Point) -> set[Key]:
    """The contents that the store has vectors of; none where vectors of parts are lost."""
    if any(len(point.parts(name)) != len(spans_of(point.payload, name) or [0]) for name in point.vectors):
        return set()
    return {key.content for key in vectors_of(point)}


def _broken(
    wanted: Sequence[tuple[CatalogEntry, Point | None]], space: Space | None, pool: Executor
) -> Iterator[DeadLetter | None]:
    """For each entry the reason why what the store lacks of it cannot be read; None where it can be."""

    def decode(it: tuple[CatalogEntry, Point | None]) -> DeadLetter | None:
        entry, point = it
        for modality, error in entry.missing.items():
            return DeadLetter.of(entry.line, entry.item.id, error, modality)
        kept = _kept(point) if point is not None and _same(entry, point) else ()
        for key, content in zip(keys_of(entry.item), entry.item.contents, strict=True):
            try:
                if space is not None and key not in kept:
                    space.prepare(content)
            except Exception as error:  # noqa: BLE001 (whatever a file does to a decoder, as in indexing)
                return DeadLetter.of(entry.line, entry.item.id, error, content.modality)
        return None

    return pool.map(decode, wanted)


def _compare(entry: CatalogEntry, point: Point | None, broken: DeadLetter | None, verdict: Verification) -> None:
    item_id: ItemId = entry.item.id
    if broken is not None:
        verdict.unreadable.add(f"{broken.line}: {broken.reason}")
    elif point is None:
        verdict.missing.add(item_id)
    elif not _same(entry, point):
        verdict.stale.add(item_id)
    elif not _has_all(entry, point):
        verdict.incomplete.add(item_id)
    else:
        verdict.same += 1
