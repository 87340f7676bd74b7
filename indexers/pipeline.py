"""Bulk indexing: a catalogue into a store."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from encoders.errors import SpaceError, TriveniError
from encoders.spaces.space import Space
from engine.catalog.ingest import INDEXED_AT
from engine.core.filters import FieldKind, Schema
from engine.store.base import VectorStore
from indexers.catalog import Catalog
from indexers.deadletters import DeadLetters
from indexers.flow import Flow
from indexers.progress import Silent, Watcher
from indexers.prune import prune as prune_store
from indexers.report import IndexStoppedError, Report, Tally
from indexers.seen import IdSet
from indexers.stages import StopStages

_TICK_SECONDS = 0.1


def index(
    catalog: Catalog,
    store: VectorStore,
    space: Space,
    *,
    batch: int = 64,
    decoders: int = 0,
    prune: bool = False,
    force: bool = False,
    dry_run: bool = False,
    strict: bool = False,
    words: Sequence[str] | None = None,
    dead_letters: Path | None = None,
    watcher: Watcher | None = None,
) -> Report:
    """Bring a store in line with a catalogue. What is in the store already is left as it is.

    It may be killed at any moment and run again: every point carries the digest of what was encoded, so nothing is
    lost and nothing is done twice. Its memory does not grow with the catalogue.

    Args:
        catalog: what is indexed.
        store: where to.
        space: the encoders; the store must be of this space.
        batch: items per batch of the networks and of the store.
        decoders: threads that decode files, and as many that read them; 0 takes one per core.
        prune: whether items that left the catalogue are deleted at the end.
        force: prune even if over half of the store goes, or ids of rows are unknown.
        dry_run: read and decode everything, write nothing.
        strict: refuse an item if one of its contents cannot be read; else the others are indexed, and those that were
            not are tried again by the next run.
        words: payload fields by whose words items are found; those that are there already get theirs at the end.
            None leaves it as it is.
        dead_letters: the file that bad rows and missing contents are written to; None writes none.
        watcher: is told how it goes.

    Raises:
        SpaceError: if the store is of another space.
        CatalogError: if the catalogue, or the file of dead letters, cannot be opened.
        IndexStoppedError: if the run ended early; it carries the report. Ctrl-C is no error: the report says it.
    """
    if store.fingerprint != space.fingerprint:
        found = f"the store is of space {store.fingerprint[:12]}…"
        problem = f"{found}, not of {space.manifest.name} ({space.fingerprint[:12]}…)"
        raise SpaceError(problem, "set space.name to the one that it was indexed with, or index into a new store")
    watcher = watcher or Silent()
    begun = time.monotonic()
    tally, ending, stored, pruned = Tally(), _Ending(), 0, 0
    with DeadLetters(dead_letters) as letters, IdSet() as seen:
        if not dry_run:
            _index_fields(store, catalog)
            if words is not None and not store.count():
                store.index_words(words)
        flow = partial(Flow, store, space, tally, letters, batch=batch, dry_run=dry_run, strict=strict)
        watcher.start(catalog.reader().total())
        with _finished(store, watcher, ending, dry_run):
            ending.interrupted = _run(flow, catalog, seen, tally, watcher, decoders or os.cpu_count() or 1)
            if prune and not ending.interrupted:
                watcher.phase("pruning")
                pruned = prune_store(store, seen, nameless=tally.nameless, force=force, dry_run=dry_run)
            if words is not None and store.words != tuple(words) and not (dry_run or ending.interrupted):
                watcher.phase("indexing words")
                store.index_words(words, tally.word)
    with ending.noted():
        stored = store.count()
    seconds = time.monotonic() - begun
    report = tally.report(
        seconds=seconds, stored=stored, pruned=pruned, dry_run=dry_run, interrupted=ending.interrupted
    )
    if ending.failure is not None:
        raise IndexStoppedError(report, ending.failure) from ending.failure
    return report


@dataclass(slots=True)
class _Ending:
    """How a run ended."""

    failure: TriveniError | None = None
    """The first."""
    interrupted: bool = False

    @contextmanager
    def noted(self) -> Iterator[None]:
        """What is done within may fail or be interrupted."""
        try:
            yield
        except KeyboardInterrupt:
            self.interrupted = True
        except TriveniError as error:
            self.failure = self.failure or error


def _index_fields(store: VectorStore, catalog: Catalog) -> None:
    """Make fields filterable. A field that the store knows as another kind stays so, unless it is declared."""
    known = store.schema
    wanted: Schema = {INDEXED_AT: FieldKind.DATETIME, **catalog.schema()}
    new = {name: kind for name, kind in wanted.items() if name in catalog.fields or name not in known}
    if new:
        store.index_fields(new)


def _run(
    flow: Callable[[Executor, StopStages], Flow],
    catalog: Catalog,
    seen: IdSet,
    tally: Tally,
    watcher: Watcher,
    threads_each: int,
) -> bool:
    """Run all stages to their end, and say whether they were interrupted.

    Args:
        flow: makes the stages, from what decodes and what ends them.
        catalog: what is indexed.
        seen: takes the ids of all rows.
        tally: counts.
        watcher: is told how it goes.
        threads_each: threads that read, and as many that decode.
    """
    stop, interrupted = StopStages(), False
    readers = ThreadPoolExecutor(threads_each, thread_name_prefix="read")
    pool = ThreadPoolExecutor(threads_each, thread_name_prefix="decode")
    try:
        stages = flow(pool, stop).stages(catalog, seen, readers)
        threads = [threading.Thread(target=stage, daemon=True) for stage in stages]
        for thread in threads:
            thread.start()
        try:
            _watch(threads, tally, watcher)
        except KeyboardInterrupt:
            interrupted = True
            stop.set()
            _watch(threads, tally, watcher)
    finally:
        stop.set()
        for executor in (readers, pool):
            executor.shutdown(wait=True, cancel_futures=True)
    if stop.error is not None:
        raise stop.error
    return interrupted


def _watch(threads: Sequence[threading.Thread], tally: Tally, watcher: Watcher) -> None:
    for thread in threads:
        while thread.is_alive():
            thread.join(_TICK_SECONDS)
            watcher.update(*tally.done())


@contextmanager
def _finished(store: VectorStore, watcher: Watcher, ending: _Ending, dry_run: bool) -> Iterator[None]:
    """What is done within is brought to the disk, however it ends."""
    try:
        with ending.noted():
            yield
    finally:
        try:
            with ending.noted():
                store.flush()
                if not (ending.interrupted or dry_run):
                    watcher.phase("building search indexes")
                    store.optimize()
        finally:
            watcher.close()
