"""`triveni evaluate`: how well rankers predict what people did next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli import times
from engine.cli.common import console, settings_of, tell
from engine.cli.evaluate_inputs import Catalogue, SplitKind, SplitOptions, catalogue_of, split_of
from engine.cli.groups import grouped
from engine.core.errors import NotFoundError
from engine.core.types import EventKind
from engine.learn.evaluation.baselines.names import BASELINES, OLD, SIMPLE, baseline_named

if TYPE_CHECKING:
    from engine.catalog.items import ItemTable
    from engine.cli.evaluate_versions import Trained
    from engine.config.settings import Settings
    from engine.learn.evaluation.options import EvaluateOptions, Evaluation
    from engine.learn.evaluation.report_tables import ReportTable
    from engine.learn.evaluation.served_lists import ServedFigures
    from engine.learn.evaluation.stats import Interval
    from engine.learn.ranker import Ranker, Split
    from engine.learn.splits import Positives


@dataclass(frozen=True, slots=True)
class RankerOptions:
    """What is compared."""

    catalog: Annotated[
        bool | None,
        typer.Option(
            "--catalog/--no-catalog",
            help="Whether to rank the catalogue's items, with their texts and vectors, or those that events name; "
            "the catalogue if there is one.",
        ),
    ] = None
    ranker: Annotated[
        list[str] | None,
        typer.Option(
            "--ranker",
            help=f"One of {', '.join(BASELINES)}, or of another distribution; may be given again. All of the named "
            "ones that can run if not given.",
        ),
    ] = None
    scores: Annotated[
        list[Path] | None,
        typer.Option("--scores", help="An .npz of scores made elsewhere: users, items, scores; may be given again."),
    ] = None
    version: Annotated[
        list[str] | None,
        typer.Option("--version", help="A trained version as well, or `serving`; may be given again."),
    ] = None
    learned: Annotated[
        bool, typer.Option("--learned", help="Also train the whole pipeline on the split; takes minutes.")
    ] = False
    ab: Annotated[
        bool,
        typer.Option(
            "--ab",
            help="Only compare two versions by what followed the lists that they served: those of the present trial, "
            "the last two, or two that --version names.",
        ),
    ] = False
    reference: Annotated[
        str,
        typer.Option(
            help="The ranker that all others are compared with; if not given, the baseline with the highest "
            "NDCG in this run, lambdamart apart."
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class CountOptions:
    """What counts, and where."""

    k: Annotated[list[int] | None, typer.Option("--k", min=1, help="Places that count; may be given again.")] = None
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="A kind of event that counts; may be given again.")
    ] = None
    min_value: Annotated[
        float | None, typer.Option(help="Ratings below this are no interest, such as 4 (stars).")
    ] = None
    seen: Annotated[bool, typer.Option("--seen/--no-seen", help="Whether items that were seen are ranked too.")] = (
        False
    )
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Also score without each modality's vectors, what was fitted with all.")
    ] = False
    regularization: Annotated[
        float, typer.Option("--ease-l2", min=0, help="The penalty of EASE; smaller for fewer events.")
    ] = 500.0
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal figures.")] = 0

    def positives(self, settings: Settings) -> Positives:
        """The events that count."""
        from engine import opening
        from engine.cli.event_inputs import kind_of
        from engine.learn.splits import Positives

        kinds = opening.event_kinds(settings)
        least: dict[str, float] = {} if self.min_value is None else {EventKind.RATE: self.min_value}
        return Positives(frozenset(kind_of("--kind", one, kinds) for one in self.kind or kinds.positive), least)


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """What is written."""

    write_train: Annotated[
        Path | None,
        typer.Option(help="Only write the events that may be learned from to a file, for --scores.", dir_okay=False),
    ] = None
    report: Annotated[Path | None, typer.Option(help="An HTML page to write.", dir_okay=False)] = None
    json_: Annotated[Path | None, typer.Option("--json", help="A JSON file to write; - for the output.")] = None


@grouped
def evaluate(
    ctx: typer.Context, asked: SplitOptions, compared: RankerOptions, counted: CountOptions, written: OutputOptions
) -> None:
    """Fit the baselines on one split, rank all items for each case, and compare them case by case.

    A version is also judged by the lists that were served since it learned: what it would have got (IPS, SNIPS, DR),
    and how well it predicts what follows. Columns of a file are those of `triveni events import`.
    Exit codes: 0 done, 1 failed, 2 called wrongly.

    Examples: triveni evaluate ratings.parquet --split time --k 10 --k 50 --report evaluation.html,
    triveni evaluate --split time --version serving, triveni evaluate --ab --since 30d
    """
    begin = times.since(asked.since, "--since", datetime.now(UTC))
    asked.check()
    for name in compared.ranker or ():
        baseline_named(name)
    settings = settings_of(ctx)
    if compared.ab:
        if asked.file is not None or compared.learned or written.write_train:
            raise typer.BadParameter("--ab compares served lists: give no EVENTS, --learned or --write-train with it")
        _trial(settings, compared.version or (), begin, counted.seed, written)
        return
    catalogue = catalogue_of(settings, compared.catalog)
    parted, items = split_of(settings, asked, begin, counted.seed, counted.positives(settings), catalogue)
    if written.write_train is None:
        _compare(settings, asked, begin, compared, counted, written, catalogue, parted, items)
        return
    from engine.events.files import export_events
    from engine.learn.log import user_events

    count = export_events(written.write_train, user_events(parted.train))
    console.print(f"written: {written.write_train}, {count:,} events", highlight=False, soft_wrap=True)


def _compare(
    settings: Settings,
    asked: SplitOptions,
    begin: datetime | None,
    compared: RankerOptions,
    counted: CountOptions,
    written: OutputOptions,
    catalogue: Catalogue | None,
    parted: Split,
    items: ItemTable,
) -> None:
    """Fit, score and tell; see `evaluate`."""
    from engine import opening
    from engine.cli import evaluate_versions
    from engine.learn.evaluation.baselines.built_in import BaselineOptions, baselines
    from engine.learn.evaluation.baselines.combined import Scores
    from engine.learn.evaluation.evaluate import evaluate as run
    from engine.rerank.table import TokenKinds

    named = [baseline_named(name) for name in compared.ranker] if compared.ranker else None
    seed, positives, cross_fit = counted.seed, counted.positives(settings), asked.split.cross_fit
    fitted_as = positives, not counted.seen, counted.regularization, settings.learn.fields, cross_fit, seed
    kinds = TokenKinds.of(opening.event_kinds(settings))
    chosen = baselines(items, named, BaselineOptions(*fitted_as, kinds))
    rankers: list[Ranker] = [*chosen.rankers, *(Scores(path) for path in compared.scores or ())]
    trained: list[Trained] = []
    with console.status("") as status:
        if compared.version or compared.learned:
            there, versions = _needed(catalogue), compared.version or ()
            by_time = asked.split is SplitKind.TIME and not asked.file  # a file's people were not served here
            before = evaluate_versions.lists_before(settings, parted, begin) if by_time else []
            trained = evaluate_versions.versions(settings, there, asked.split, versions, before)
            parted = evaluate_versions.with_vectors(there, parted)
            rankers += [one.ranker for one in trained]
            if compared.learned:
                rankers.append(evaluate_versions.learned(settings, there, asked.split, before, seed, status.update))
        options = _options(compared, counted, positives, [one.name for one in rankers])
        notes = {one.ranker.name: note for one in trained if (note := one.note(parted))}
        done = run(
            parted,
            items,
            rankers,
            options,
            ablate=counted.ablate,
            left_out=chosen.left_out,
            notes=notes,
            on_step=status.update,
        )
        judged: list[ServedFigures] = []
        if trained and not asked.file:
            judged = evaluate_versions.judged(settings, _needed(catalogue), trained, begin, seed)
    _tell_compared(done, judged, {} if asked.file else evaluate_versions.shown(settings, begin), written)
    for name, note in notes.items():
        tell("warning", "yellow", f"{name}: {note}")


def _options(
    compared: RankerOptions, counted: CountOptions, positives: Positives, names: list[str]
) -> EvaluateOptions:
    """What is measured of the rankers of these names."""
    from engine.learn.evaluation.options import EvaluateOptions
    from engine.learn.evaluation.stats import Draws

    ks = tuple(sorted(set(counted.k or [10])))
    reference = OLD.get(compared.reference, compared.reference)
    among = SIMPLE if set(SIMPLE) & set(names) else tuple(names[:1])
    return EvaluateOptions(ks, not counted.seen, reference, among, positives, draws=Draws(seed=counted.seed))


def _tell_compared(
    done: Evaluation, judged: Sequence[ServedFigures], shown: Mapping[str, Interval], written: OutputOptions
) -> None:
    from engine.learn.evaluation import report as reports
    from engine.learn.evaluation.report_tables import plain, served_tables

    document = {**reports.as_document(done), "shown": plain(shown), "served": plain(judged)}
    tables = [sheet for one in judged for sheet in served_tables(one)]
    if written.report is not None:
        reports.write_html(written.report, done, tables)
    if str(written.json_) != "-":
        for table in reports.as_tables(done):
            console.print(table)
        for name, interval in shown.items():
            said = interval if interval.mean else f"nothing of it followed, in {interval.count:,} places"
            console.print(f"{name} per position shown: {said}", highlight=False)
    _tell(document, tables, written)


def _trial(
    settings: Settings,
    versions: Sequence[str],
    begin: datetime | None,
    seed: int,
    written: OutputOptions,
) -> None:
    from engine.cli.evaluate_versions import trial
    from engine.learn.evaluation.report import write_tables
    from engine.learn.evaluation.report_tables import plain, trial_tables

    found = trial(settings, versions, begin, seed)
    tables = trial_tables(found)
    if written.report is not None:
        write_tables(written.report, f"{found.ours.version} against {found.theirs.version}", tables)
    _tell(plain(found), tables, written)


def _tell(document: object, tables: list[ReportTable], written: OutputOptions) -> None:
    """Print the sheets, or the document where it is asked for on the output; write the file."""
    from engine.learn.evaluation.report_tables import sheet_table

    text = json.dumps(document, indent=2)
    if str(written.json_) == "-":
        typer.echo(text)
        return
    if written.json_ is not None:
        written.json_.parent.mkdir(parents=True, exist_ok=True)
        written.json_.write_text(text + "\n", encoding="utf-8")
    for sheet in tables:
        console.print(sheet_table(sheet))
    for path in (written.report, written.json_):
        if path is not None:
            console.print(f"written: {path}", highlight=False, soft_wrap=True)


def _needed(catalogue: Catalogue | None) -> Catalogue:
    if catalogue is None:
        raise NotFoundError("trained versions rank a catalogue, and there is none", "index it, without --no-catalog")
    return catalogue
