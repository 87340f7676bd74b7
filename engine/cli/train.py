"""`triveni train`: what people did becomes a version of the model, which serves if it is better."""

from __future__ import annotations

import os
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from engine.cli import times
from engine.cli.common import console, settings_of
from engine.cli.progress import told

if TYPE_CHECKING:
    from engine.config.settings import Settings
    from engine.learn.pace import Tell
    from engine.models.card import ModelCard


def train(
    ctx: typer.Context,
    since: Annotated[str, typer.Option(help="Only events from this time on: RFC 3339; UTC without a zone.")] = "",
    until: Annotated[str, typer.Option(help="Only events before this time.")] = "",
    seed: Annotated[int | None, typer.Option(min=0, help="Makes it repeatable; learn.seed if not given.")] = None,
    promote: Annotated[
        bool, typer.Option(help="Let the version serve if it beats what serves now, with the interval above zero.")
    ] = True,
) -> None:
    """Train a version of the model from the recorded events, judge it, and let it serve if it is better.

    How far it is, and how long it will still take, is shown on a terminal and logged elsewhere.
    With a GPU for each of several processes: `torchrun --nproc-per-node 4 -m engine.cli train`.

    A running server takes it over within a second. While a server holds an embedded store, ask it instead: its
    ModelService has TrainModel. Exit codes: 0 it serves, or was found better with --no-promote; 1 it does not;
    2 called wrongly.
    """
    settings = settings_of(ctx)
    bounds = times.moment(since, "--since"), times.moment(until, "--until") or datetime.now(UTC)
    number = settings.learn.seed if seed is None else seed
    with told(settings, "training", shown=os.environ.get("RANK", "0") == "0") as tell:  # torchrun sets it
        card = _train(settings, bounds, number, tell)
    if card is None:
        return
    _tell(card)
    better = card.gate is not None and card.gate.promote
    if better and promote:
        from engine import opening

        opening.registry(settings).change(lambda pointer: pointer.promoted(card.version, over=card.parent))
        console.print(f"{card.version} serves now: {card.gate.reason if card.gate else ''}")
    elif card.gate is not None:
        why = card.gate.reason if not better else "--no-promote"
        console.print(f"{card.version} does not serve: {why}; `triveni model promote {card.version}` lets it")
        raise typer.Exit(0 if better else 1)


def _train(settings: Settings, bounds: tuple[datetime | None, datetime], seed: int, tell: Tell) -> ModelCard | None:
    """The card of the version; None in all processes but the first."""
    tell(0.0, "loading the program")
    from engine.learn.jobs.job import fitted_on, train_version
    from engine.learn.network.processes import part, processes
    from engine.learn.window import TimeWindow

    mine = processes()
    window = TimeWindow(bounds[0], mine.agreed(bounds[1]))
    with tempfile.TemporaryDirectory() as folder:
        items_file = mine.agreed(Path(folder) / "items.npz")
        if mine.first:
            _write_items(settings, items_file, tell)
        mine.agreed(None)
        card = None
        if mine.first:
            card = train_version(settings, items_file, tell, lambda: False, window, seed)
            tell(1.0, "done")
        else:
            fitted_on(settings, items_file, tell, lambda: False, window, seed)
    part()
    return card


def _write_items(settings: Settings, path: Path, tell: Tell) -> None:
    from engine import opening
    from engine.catalog.items import read_items, save_items

    tell(0.0, "loading the encoders")
    with closing(opening.open_store(settings, opening.open_space(settings))) as store:
        tell(0.0, "reading the catalogue")
        save_items(read_items(store), path)


def _tell(card: ModelCard) -> None:
    from engine.learn.judging import REPLAYED

    table = Table(title=f"version {card.version}, on {card.counts['cases']} users of the youngest events")
    for heading in ("", "this version", "95 % interval", str(card.settings["held_against"])):
        table.add_column(heading)
    judged = card.gate.metric if card.gate else ""
    for name, value in card.metrics.items():
        low, high = card.intervals[name]
        label, style = (f"{name}: the gate's", "bold") if name == judged else (name, "dim")
        cells = (f"{value:.4f}", f"{low:.4f} to {high:.4f}", f"{card.baseline_metrics[name]:.4f}")
        table.add_row(label, *cells, style=style)
    console.print(table)
    if len(card.metrics) > 1 and judged == REPLAYED:
        console.print(
            "those not replayed rank all items; they favour what served, for only what it showed could be chosen"
        )
    console.print("  ".join(f"{name} {count:,}" for name, count in card.counts.items()))
    if card.privacy is not None:
        spent = card.privacy
        console.print(f"private, by {spent.unit}: ε {spent.epsilon:.2f}, δ {spent.delta:g} ({spent.people:,} people)")
