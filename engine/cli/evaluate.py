"""`triveni evaluate`: how well rankers predict what people did next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli import times
from engine.cli.common import console, settings_of, tell
from engine.cli.evaluate_inputs import Asked, Catalogue, SplitKind, catalogue_of, split_of
from engine.core.errors import NotFoundError
from engine.core.types import EventKind
from engine.learn.evaluation.baselines.names import BASELINES, OLD, SIMPLE, baseline_named

if TYPE_CHECKING:
    from engine.config.settings import Settings
    from engine.learn.evaluation.report_tables import ReportTable


def evaluate(
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[EVENTS]", help="A .jsonl, .csv or .parquet file of events; the store if not given."),
    ] = None,
    split: Annotated[
        SplitKind,
        typer.Option(
            help="Foretell each person's last event; all from a time on; the --test file; or events on hidden items."
        ),
    ] = SplitKind.LEAVE_LAST_OUT,
    since: Annotated[
        str,
        typer.Option(
            help="Only use events and served lists from then on, to learn from and to judge, as if nothing had "
            "happened before: a time (RFC 3339; UTC without a zone) or how long ago, such as 30d, 12h."
        ),
    ] = "",
    at: Annotated[str, typer.Option(help="With --split time, the time: RFC 3339; UTC without a zone.")] = "",
    share: Annotated[
        float, typer.Option(help="With time, the share of events to predict; with hidden-items, of items to hide.")
    ] = 0.1,
    valid: Annotated[
        Path | None, typer.Option(help="With --split ready, the validation file; known for the test.", dir_okay=False)
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="With --split ready, the file to predict; EVENTS is then the training file.")
    ] = None,
    catalog: Annotated[
        bool | None,
        typer.Option(
            "--catalog/--no-catalog",
            help="Whether to rank the catalogue's items, with their texts and vectors, or those that events name; "
            "the catalogue if there is one.",
        ),
    ] = None,
    ranker: Annotated[
        list[str] | None,
        typer.Option(
            "--ranker",
            help=f"One of {', '.join(BASELINES)}; may be given again. All that can run if not given.",
        ),
    ] = None,
    scores: Annotated[
        list[Path] | None,
        typer.Option("--scores", help="An .npz of scores made elsewhere: users, items, scores; may be given again."),
    ] = None,
    version: Annotated[
        list[str] | None,
        typer.Option("--version", help="A trained version as well, or `serving`; may be given again."),
    ] = None,
    learned: Annotated[
        bool, typer.Option("--learned", help="Also train the whole pipeline on the split; takes minutes.")
    ] = False,
    ab: Annotated[
        bool,
        typer.Option(
            "--ab",
            help="Only compare two versions by what followed the lists that they served: those of the present trial, "
            "the last two, or two that --version names.",
        ),
    ] = False,
    reference: Annotated[
        str,
        typer.Option(
            help="The ranker that all others are compared with; if not given, the baseline with the highest "
            "NDCG in this run, lambdamart apart."
        ),
    ] = "",
    k: Annotated[list[int] | None, typer.Option("--k", min=1, help="Places that count; may be given again.")] = None,
    kind: Annotated[
        list[EventKind] | None, typer.Option("--kind", help="A kind of event that counts; may be given again.")
    ] = None,
    min_value: Annotated[
        float | None, typer.Option(help="Ratings below this are no interest, such as 4 (stars).")
    ] = None,
    seen: Annotated[
        bool, typer.Option("--seen/--no-seen", help="Whether items that were seen are ranked too.")
    ] = False,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Also score without each modality's vectors, what was fitted with all.")
    ] = False,
    regularization: Annotated[
        float, typer.Option("--ease-l2", min=0, help="The penalty of EASE; smaller for fewer events.")
    ] = 500.0,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal figures.")] = 0,
    write_train: Annotated[
        Path | None,
        typer.Option(help="Only write the events that may be learned from to a file, for --scores.", dir_okay=False),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="An HTML page to write.", dir_okay=False)] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="A JSON file to write; - for the output.")] = None,
) -> None:
    """Fit the baselines on one split, rank all items for each case, and compare them case by case.

    A version is also judged by the lists that were served since it learned: what it would have got (IPS, SNIPS, DR),
    and how well it predicts what follows. Columns of a file are those of `triveni events import`.
    Exit codes: 0 done, 1 failed, 2 called wrongly.

    Examples: triveni evaluate ratings.parquet --split time --k 10 --k 50 --report evaluation.html,
    triveni evaluate --split time --version serving, triveni evaluate --ab --since 30d
    """
    begin = times.since(since, "--since", datetime.now(UTC))
    asked = Asked(split, file, valid, test, at, share, seed, begin)
    asked.check()
    named = [baseline_named(name) for name in ranker] if ranker else None
    settings = settings_of(ctx)
    if ab:
        if file is not None or learned or write_train:
            raise typer.BadParameter("--ab compares served lists: give no EVENTS, --learned or --write-train with it")
        _trial(settings, version or (), begin, seed, report, json_)
        return
    from engine.cli import evaluate_versions
    from engine.events.files import export_events
    from engine.learn.evaluation import report as reports
    from engine.learn.evaluation.baselines.choose import baselines
    from engine.learn.evaluation.baselines.combined import Scores
    from engine.learn.evaluation.evaluate import evaluate as run
    from engine.learn.evaluation.options import EvaluateOptions
    from engine.learn.evaluation.report_tables import plain, served_tables
    from engine.learn.log import user_events
    from engine.learn.ranker import Ranker
    from engine.learn.splits import POSITIVE_KINDS, Positives

    least = {} if min_value is None else {EventKind.RATE: min_value}
    positives = Positives(frozenset(kind) if kind else POSITIVE_KINDS, least)
    catalogue = catalogue_of(settings, catalog)
    parted, items = split_of(settings, asked, positives, catalogue)
    if write_train is not None:
        count = export_events(write_train, user_events(parted.train))
        console.print(f"written: {write_train}, {count:,} events", highlight=False, soft_wrap=True)
        return
    chosen = baselines(
        items,
        named,
        positives=positives,
        leave_seen_out=not seen,
        regularization=regularization,
        fields=settings.learn.fields,
        cross_fit=split.cross_fit,
        seed=seed,
    )
    rankers: list[Ranker] = [*chosen.rankers, *(Scores(path) for path in scores or ())]
    trained: list[evaluate_versions.Trained] = []
    with console.status("") as status:
        if version or learned:
            there = _needed(catalogue)
            by_time = split is SplitKind.TIME and not file  # a file's people were not served here
            before = evaluate_versions.lists_before(settings, parted, begin) if by_time else []
            trained = evaluate_versions.versions(settings, there, split, parted, version or (), before)
            parted = evaluate_versions.with_vectors(there, parted)
            rankers += [one.ranker for one in trained]
            if learned:
                rankers.append(evaluate_versions.learned(settings, there, split, before, seed, status.update))
        names = [one.name for one in rankers]
        among = SIMPLE if set(SIMPLE) & set(names) else tuple(names[:1])
        options = EvaluateOptions(
            tuple(sorted(set(k or [10]))), not seen, OLD.get(reference, reference), among, positives, seed=seed
        )
        notes = {one.ranker.name: note for one in trained if (note := one.note(parted))}
        done = run(
            parted,
            items,
            rankers,
            options,
            ablate=ablate,
            left_out=chosen.left_out,
            notes=notes,
            on_step=status.update,
        )
        judged = (
            []
            if file or not trained
            else evaluate_versions.judged(settings, _needed(catalogue), trained, begin, seed)
        )
    shown = {} if file else evaluate_versions.shown(settings, begin)
    document = {**reports.as_document(done), "shown": plain(shown), "served": plain(judged)}
    tables = [sheet for one in judged for sheet in served_tables(one)]
    if report is not None:
        reports.write_html(report, done, tables)
    if str(json_) != "-":
        for table in reports.as_tables(done):
            console.print(table)
        for name, interval in shown.items():
            said = interval if interval.mean else f"nothing of it followed, in {interval.count:,} places"
            console.print(f"{name} per place shown: {said}", highlight=False)
    _tell(document, tables, report, json_)
    for name, note in notes.items():
        tell("warning", "yellow", f"{name}: {note}")


def _trial(
    settings: Settings,
    versions: Sequence[str],
    begin: datetime | None,
    seed: int,
    report: Path | None,
    json_: Path | None,
) -> None:
    from engine.cli.evaluate_versions import trial
    from engine.learn.evaluation.report import write_tables
    from engine.learn.evaluation.report_tables import plain, trial_tables

    found = trial(settings, versions, begin, seed)
    tables = trial_tables(found)
    if report is not None:
        write_tables(report, f"{found.ours.version} against {found.theirs.version}", tables)
    _tell(plain(found), tables, report, json_)


def _tell(document: object, tables: list[ReportTable], report: Path | None, json_: Path | None) -> None:
    """Print the sheets, or the document where it is asked for on the output; write the file."""
    from engine.learn.evaluation.report_tables import sheet_table

    text = json.dumps(document, indent=2)
    if str(json_) == "-":
        typer.echo(text)
        return
    if json_ is not None:
        json_.parent.mkdir(parents=True, exist_ok=True)
        json_.write_text(text + "\n", encoding="utf-8")
    for sheet in tables:
        console.print(sheet_table(sheet))
    for path in (report, json_):
        if path is not None:
            console.print(f"written: {path}", highlight=False, soft_wrap=True)


def _needed(catalogue: Catalogue | None) -> Catalogue:
    if catalogue is None:
        raise NotFoundError("trained versions rank a catalogue, and there is none", "index it, without --no-catalog")
    return catalogue
