"""`triveni index` and `triveni verify`: a catalogue into the store, and whether the two agree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from engine.catalog.settings import IndexSettings
from engine.cli.catalog import CatalogOptions, catalog_of
from engine.cli.common import console, settings_of, stderr, tell, terminable, watcher_of
from engine.cli.groups import grouped
from engine.cli.switching import switch_to, warn_of_server

if TYPE_CHECKING:
    from encoders.spaces.space import Space
    from engine.config.settings import Settings
    from engine.store.base import VectorStore
    from indexers.report import Report
    from indexers.verify import Verification

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """What is done with the rows, and what is told."""

    prune: Annotated[bool, typer.Option("--prune", help="Delete items that left the catalogue.")] = False
    force: Annotated[bool, typer.Option("--force", help="Prune even if over half of the items would go.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and decode everything, write nothing.")] = False
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse an item if one of its contents cannot be read.")
    ] = False
    max_errors: Annotated[
        int,
        typer.Option(min=0, help="Exit with 1 if more rows than this were refused; the others are indexed anyway."),
    ] = 0
    dead_letters: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="The file for bad rows; dead-letters.jsonl beside the store if not given."),
    ] = None
    switch: Annotated[
        bool,
        typer.Option(
            "--switch", help="Index beside the items of another space, and let this one serve when it is done."
        ),
    ] = False
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False


@grouped
def index(ctx: typer.Context, catalog: CatalogOptions, how: IndexOptions) -> None:
    """Index a catalogue. Run it again after a change or an interruption: only what differs is done.

    Bad rows are written to the dead letters, with the reason and a remedy, and the run goes on. An item is indexed
    without a content that cannot be read; the dead letters name it, and the next run tries it again. Exit codes: 0
    done, 1 failed or more rows refused than --max-errors, 2 called wrongly, 130 interrupted.

    --switch waits for nobody: while a server has the collection open that is to be replaced, all is indexed, the
    switch is refused (1), and `triveni space switch` does it once that server is stopped.

    Example: triveni index items.jsonl --root media --prune
    """
    from engine import opening
    from engine.studio.indexing import RUN
    from indexers.noted import Noted
    from indexers.pipeline import index as run
    from indexers.report import IndexStoppedError

    settings = settings_of(ctx)
    source = catalog_of(settings, catalog)
    for name, text in source.mixed().items():
        refused = f"--field {name}=float makes it one of numbers, and refuses the rows with texts"
        tell("note", "yellow", f"field {name} holds numbers, and texts such as {text[:40]!r}: {refused}")
    for name in source.without(set(settings.index.words) - set(IndexSettings().words)):
        tell(
            "warning",
            "yellow",
            f"none of the first rows has the field {name} of index.words: is it called otherwise?",
        )
    letters = how.dead_letters or settings.store.path.parent / "dead-letters.jsonl"
    space = opening.open_space(settings)
    if how.switch and not how.dry_run:
        warn_of_server(settings, space)
    store = _open(settings, space, read_only=how.dry_run, beside=how.switch)
    watcher = Noted(watcher_of(settings, "indexing"), None if how.dry_run else settings.store.path.parent / RUN)
    try:
        if not how.dry_run:
            _note_media_root(settings, space.fingerprint, source.media_root)
        with terminable():
            report = run(
                source,
                store,
                space,
                batch=settings.index.batch,
                decoders=settings.index.decoders,
                prune=how.prune,
                force=how.force,
                dry_run=how.dry_run,
                strict=how.strict or settings.index.strict,
                words=settings.index.words,
                dead_letters=letters,
                watcher=watcher,
            )
    except IndexStoppedError as error:
        watcher.end("stopped", {**_document(error.report, letters), "problem": str(error)})
        _summary(error.report, letters, how.as_json)
        raise
    finally:
        store.close()
    watcher.end("interrupted" if report.interrupted else "done", _document(report, letters))
    _summary(report, letters, how.as_json)
    if report.interrupted:
        stderr.print("interrupted: run the same command again to go on", highlight=False)
        raise typer.Exit(INTERRUPTED)
    if report.errors > how.max_errors:
        stderr.print(
            f"{report.errors} rows were refused, --max-errors is {how.max_errors}: see {letters}", highlight=False
        )
        raise typer.Exit(1)
    if how.switch and not how.dry_run:
        switch_to(settings, space)


@grouped
def verify(
    ctx: typer.Context,
    catalog: CatalogOptions,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Compare a catalogue with the store. Exits with 1 if they differ; changes nothing.

    Example: triveni verify items.jsonl --root media
    """
    from engine import opening
    from indexers.verify import verify as run

    settings = settings_of(ctx)
    source = catalog_of(settings, catalog)
    space = opening.open_space(settings)
    store = _open(settings, space, read_only=True, beside=False)
    try:
        readers = settings.index.decoders
        verdict = run(source, store, fingerprint=space.fingerprint, space=space, readers=readers)
    finally:
        store.close()
    if as_json:
        console.print_json(json.dumps({"in_order": verdict.in_order, **asdict(verdict)}))
    else:
        _show(verdict, space.fingerprint)
    if not verdict.in_order:
        raise typer.Exit(1)


def _note_media_root(settings: Settings, fingerprint: str, root: Path | str) -> None:
    """Note where the catalogue's media lie, for who shows them; not where that is a URL."""
    from engine import opening

    collections = opening.store_collections(settings)
    try:
        local = root if isinstance(root, Path) else None
        collections.note_media_root(settings.store.collection, fingerprint, local)
    finally:
        collections.close()


def _open(settings: Settings, space: Space, *, read_only: bool, beside: bool) -> VectorStore:
    """The store; where there is none yet and nothing is to be written, an empty one that leaves no trace."""
    from engine import opening
    from engine.store.memory import MemoryStore

    serving = opening.store_collections(settings).current(settings.store.collection)
    if read_only and (serving is None or (beside and serving != space.fingerprint)):
        return MemoryStore(fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities)
    return opening.open_store(settings, space, beside=beside, bulk=not read_only)


def _summary(report: Report, letters: Path, as_json: bool) -> None:
    """Print what was done."""
    if as_json:
        console.print_json(json.dumps(_document(report, letters)))
        return
    table = Table(title="Dry run" if report.dry_run else "Indexed", title_justify="left")
    table.add_column("rows")
    table.add_column("", justify="right")
    for outcome, number in report.outcomes.items():
        table.add_row(str(outcome), f"{number:,}")
    for (error, modality), number in sorted(report.failed.items(), key=lambda pair: -pair[1]):
        table.add_row(f"refused: {error}{f' ({modality})' if modality else ''}", f"{number:,}", style="red")
    for (error, modality), number in sorted(report.missing.items(), key=lambda pair: -pair[1]):
        table.add_row(f"indexed without {modality}: {error}", f"{number:,}", style="yellow")
    if report.pruned:
        table.add_row("to be pruned" if report.dry_run else "pruned", f"{report.pruned:,}")
    if report.worded:
        table.add_row("words added", f"{report.worded:,}")
    if report.thinned:
        table.add_row("without some passages: more than index.max_parts", f"{report.thinned:,}", style="yellow")
    table.add_section()
    table.add_row("in the store", f"{report.stored:,}")
    table.add_row("rows per second", f"{report.rate:,.1f}")
    table.add_row("seconds", f"{report.seconds:,.1f}")
    console.print(table)
    for letter in report.examples[:3]:
        where = f"line {letter.line}" + (f", {letter.id}" if letter.id else "")
        stderr.print(f"{where}: {letter.reason}: {letter.remedy}", highlight=False, markup=False, soft_wrap=True)
    counts = {"bad rows": report.errors, "missing contents": sum(report.missing.values())}
    if told := " and ".join(f"{number} {name}" for name, number in counts.items() if number):
        stderr.print(f"all {told} are in {letters}", highlight=False, soft_wrap=True)


def _document(report: Report, letters: Path) -> dict[str, object]:
    """What was done, for JSON."""

    def by_kind(counts: Mapping[tuple[str, str], int], what: str) -> list[dict[str, object]]:
        return [{"error": error, "modality": modality, what: count} for (error, modality), count in counts.items()]

    return {
        "rows": report.rows,
        **{str(outcome).replace(" ", "_"): number for outcome, number in report.outcomes.items()},
        "failed": by_kind(report.failed, "rows"),
        "errors": report.errors,
        "missing": by_kind(report.missing, "contents"),
        "pruned": report.pruned,
        "words_added": report.worded,
        "thinned": report.thinned,
        "stored": report.stored,
        "seconds": round(report.seconds, 3),
        "rows_per_second": round(report.rate, 1),
        "dry_run": report.dry_run,
        "interrupted": report.interrupted,
        "dead_letters": str(letters) if report.errors or report.missing else None,
    }


def _show(verdict: Verification, fingerprint: str) -> None:
    table = Table(title="In order" if verdict.in_order else "Catalogue and store differ", title_justify="left")
    table.add_column("items")
    table.add_column("", justify="right")
    table.add_column("first of them", style="dim", overflow="fold")
    table.add_row("same", f"{verdict.same:,}", "")
    for name, difference in verdict.differences.items():
        between = "\n" if name == "unreadable" else ", "
        table.add_row(name, f"{difference.count:,}", between.join(difference.examples[:5]))
    console.print(table)
    if verdict.wrong_space:
        text = (
            f"the store is of space {verdict.wrong_space[:12]}…, not {fingerprint[:12]}…: set space.name to the one "
            "that it was indexed with, or `triveni index CATALOG --switch`"
        )
        stderr.print(text, highlight=False, soft_wrap=True)
