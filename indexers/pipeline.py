"""Bulk indexing: a catalogue into a store."""

import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
        dead_letters: the file that bad rows and missing contents are written to; None writes none.
        watcher: is told how it goes.

    Raises:
        SpaceError: if the store is of another space.
        CatalogError: if the catalogue, or the file of dead letters, cannot be opened.
        IndexStoppedError: if the run ended early; it carries the report. Ctrl-C is no error: the report says it.
    """
    if store.fingerprint != space.fingerprint:
        problem = f"the store is of space {store.fingerprint}, not of {space.manifest.name} ({space.fingerprint})"
        raise SpaceError(problem, "index into a new store, or choose the space that it was built with")
    watcher = watcher or Silent()
    begun = time.monotonic()
    tally, interrupted, pruned = Tally(), False, 0
    failure: TriveniError | None = None
    with DeadLetters(dead_letters) as letters, IdSet() as seen:
        if not dry_run:
            _index_fields(store, catalog)
        watcher.start(catalog.reader().total())
        try:
            interrupted = _run(catalog, store, space, seen, tally, letters, watcher, batch, decoders, dry_run, strict)
            if prune and not interrupted:
                watcher.phase("pruning")
                pruned = prune_store(store, seen, nameless=tally.nameless, force=force, dry_run=dry_run)
        except KeyboardInterrupt:
            interrupted = True
        except TriveniError as error:
            failure = error
        finally:
            try:
                _finish(store, watcher, complete=not (interrupted or dry_run))
            except TriveniError as error:
                failure = failure or error
            except KeyboardInterrupt:
                interrupted = True
            finally:
                watcher.close()
    stored = 0
    try:
        stored = store.count()
    except TriveniError as error:
        failure = failure or error
    report = tally.report(
        seconds=time.monotonic() - begun,
        stored=stored,
        pruned=pruned,
        dry_run=dry_run,
        interrupted=interrupted,
    )
    if failure is not None:
        raise IndexStoppedError(report, failure) from failure
    return report


def _index_fields(store: VectorStore, catalog: Catalog) -> None:
    """Make fields filterable. A field that the store knows as another kind stays so, unless it is declared."""
    known = store.schema
    wanted: Schema = {INDEXED_AT: FieldKind.DATETIME, **catalog.schema()}
    new = {name: kind for name, kind in wanted.items() if name in catalog.fields or name not in known}
    if new:
        store.index_fields(new)


def _run(
    catalog: Catalog,
    store: VectorStore,
    space: Space,
    seen: IdSet,
    tally: Tally,
    letters: DeadLetters,
    watcher: Watcher,
    batch: int,
    decoders: int,
    dry_run: bool,
    strict: bool,
) -> bool:
    """Run all stages to their end, and say whether they were interrupted."""
    stop, interrupted = StopStages(), False
    count = decoders or os.cpu_count() or 1
    readers = ThreadPoolExecutor(count, thread_name_prefix="read")
    pool = ThreadPoolExecutor(count, thread_name_prefix="decode")
    try:
        flow = Flow(store, space, tally, letters, pool, stop, batch=batch, dry_run=dry_run, strict=strict)
        stages = flow.stages(catalog, seen, readers)
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


def _finish(store: VectorStore, watcher: Watcher, *, complete: bool) -> None:
    store.flush()
    if complete:
        watcher.phase("building search indexes")
        store.optimize()
