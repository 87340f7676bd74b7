"""`triveni encode`: the vectors of a catalogue as a file, for an evaluation of one's own."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.catalog import CatalogOptions, catalog_of
from engine.cli.common import common_settings, console, stderr, watcher_of
from engine.cli.groups import grouped

if TYPE_CHECKING:
    from encoders.spaces.space import Space
    from encoders.types import Floats, Modality, Prepared
    from engine.cli.vector_files import VectorFile
    from indexers.catalog import Catalog
    from indexers.progress import Watcher
    from indexers.rows import CatalogEntry, DeadLetter

    Ready = tuple[CatalogEntry, tuple[Prepared, ...]]
    """An item, and its contents as the networks take them."""

BATCH_BYTES = 128 << 20
"""Decoded contents that are encoded together, at most."""


@grouped
def encode(
    ctx: typer.Context,
    catalog: CatalogOptions,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The .npz or .parquet file to write.", dir_okay=False)
    ],
    max_errors: Annotated[int, typer.Option(help="Fail when more rows than this are bad.", min=0)] = 0,
) -> None:
    """Encode a catalogue, and write ids and vectors to a file. Bad rows are named and left out.

    An .npz file holds `ids` (n,), `fingerprint`, and for each modality that occurs `<modality>` (n, d), float32 unit
    vectors, and `<modality>_present` (n,): rows without that modality are zeros and not to be read. It is made in
    memory.

    A .parquet file holds `id`, and for each modality of the space a list of d float32, null where the item has none;
    the fingerprint is in its metadata. It is written as the vectors come.

    Example: triveni encode items.csv -o vectors.npz --column id=sku --column text=title
    """
    from engine import opening
    from engine.cli.vector_files import KINDS

    if output.suffix.lower() not in KINDS:
        raise typer.BadParameter(f"{output.name} is of an unknown kind: name a .npz or .parquet file")
    settings = common_settings(ctx)
    source = catalog_of(settings, catalog)
    part = output.with_name(output.name + ".part")
    try:
        file = part.open("wb")
    except OSError as error:
        problem = (
            f"cannot write {part} ({(error.strerror or str(error)).lower()}): name a file in a folder that is there"
        )
        raise typer.BadParameter(problem) from None
    try:
        with file:
            space = opening.open_space(settings)
            made = _Encoded(space, KINDS[output.suffix.lower()](file, space))
            watcher = watcher_of(settings, "encoding")
            watcher.start(source.reader().total())
            try:
                _fill(made, source, settings.index.decoders or os.cpu_count() or 1, settings.index.batch, watcher)
            finally:
                watcher.close()
            made.file.close()
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
    counts = ", ".join(f"{count} of {modality}" for modality, count in made.counts.items())
    console.print(
        f"{output}: {made.items} items ({counts}), {space.dimension} dimensions, {made.bad} bad rows",
        highlight=False,
        soft_wrap=True,
    )
    if made.bad > max_errors:
        raise typer.Exit(1)


class _Encoded:
    """Encodes items into a file, and counts them."""

    def __init__(self, space: Space, file: VectorFile) -> None:
        self.space, self.file = space, file
        self.items = self.bad = 0
        self.counts: Counter[Modality] = Counter()

    def add(self, group: list[Ready]) -> None:
        """Encode items; one that the networks refuse is left out, and the others are not."""
        try:
            vectors = iter(self.space.forward([one for _, prepared in group for one in prepared]))
        except Exception as error:
            if len(group) == 1:
                self.refuse(_letter(group[0][0], error))
                return
            before = self.items
            for each in group:
                self.add([each])
            if self.items == before:
                raise  # not a bad item: the networks do not work
            return
        for entry, prepared in group:
            own: dict[Modality, Floats] = {}
            for one in prepared:
                own.setdefault(one.modality, next(vectors))  # of several pictures, say, the first
            self.file.add(entry.item.id, own)
            self.counts.update(one.modality for one in prepared)
        self.items += len(group)

    def refuse(self, letter: DeadLetter) -> None:
        """Name a bad row and count it."""
        self.bad += 1
        name = f"line {letter.line}" + (f", {letter.id}" if letter.id else "")
        stderr.print(f"{name}: {letter.reason}: {letter.remedy}", highlight=False, soft_wrap=True)


def _fill(made: _Encoded, source: Catalog, decoders: int, batch: int, watcher: Watcher) -> None:
    """Encode a catalogue: files are read and decoded in threads, a few rows ahead of the networks."""
    from indexers.rows import DeadLetter
    from indexers.seen import IdSet
    from indexers.stages import batches, ordered_map

    def prepare(entry: CatalogEntry | DeadLetter) -> Ready | DeadLetter:
        if isinstance(entry, DeadLetter):
            return entry
        for error in entry.missing.values():  # a file of vectors is whole, or names what it lacks
            return _letter(entry, error)
        try:
            return entry, tuple(made.space.prepare(content) for content in entry.item.contents)
        except Exception as error:  # noqa: BLE001 (whatever a file does to a decoder, the run goes on)
            return _letter(entry, error)

    def good(results: Iterator[Ready | DeadLetter]) -> Iterator[Ready]:
        for result in results:
            if isinstance(result, DeadLetter):
                made.refuse(result)
            else:
                yield result

    with ThreadPoolExecutor(decoders) as pool, IdSet() as seen:
        results = ordered_map(pool, prepare, source.entries(seen, pool), 2 * decoders)
        for group in batches(good(results), batch, _size, BATCH_BYTES):
            made.add(group)
            watcher.update(made.items + made.bad, made.bad)


def _size(ready: Ready) -> int:
    return sum(int(getattr(one.value, "nbytes", 0)) for one in ready[1])


def _letter(entry: CatalogEntry, error: Exception) -> DeadLetter:
    from indexers.rows import DeadLetter

    return DeadLetter.of(entry.line, entry.item.id, error)
