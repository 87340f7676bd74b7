"""`triveni model`: the versions of the trained model, and which of them serves."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from engine.cli.common import console, settings_of, tell

if TYPE_CHECKING:
    from engine.models.card import ModelCard
    from engine.models.pointer import Pointer

app = typer.Typer(
    help="Versions of the trained model: list, show, promote, try on a share of users, roll back, export, retire.",
    no_args_is_help=True,
)

Version = Annotated[str, typer.Argument(metavar="VERSION", help="As `triveni model list` names it.")]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON.")]


@app.command("list")
def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the versions, the newest first, with the figure that the gate judged; `show` has all of them."""
    from engine import opening

    registry = opening.registry(settings_of(ctx))
    cards, wrong = registry.scan()
    pointer, deleted = registry.pointer(), registry.deletions.since(cards)
    if as_json:
        print(json.dumps([_entry(card, pointer, deleted[card.version].count) for card in cards], indent=1))
    elif not cards:
        console.print(f"no model version in {registry.path}")
    else:
        table = Table()
        table.add_column("version", no_wrap=True)
        for heading in ("role", "made", "events until", "the gate's figure"):
            table.add_column(heading, overflow="fold")
        if some := any(one.count for one in deleted.values()):
            table.add_column("deleted people", justify="right")
        for card in cards:
            figures = "\n".join(
                _figure(card, name) for name in card.metrics if not card.gate or name == card.gate.metric
            )
            count = [f"{deleted[card.version].count:,}"] if some else []
            until = _time(card.data_until)
            table.add_row(card.version, _role(card.version, pointer), _time(card.created), until, figures, *count)
        console.print(table)
    for error in wrong:
        tell("unusable", "yellow", error)
    if wrong:
        raise typer.Exit(1)


@app.command()
def show(
    ctx: typer.Context,
    version: Annotated[
        str, typer.Argument(metavar="[VERSION]", help="As `triveni model list` names it; what serves if not given.")
    ] = "",
) -> None:
    """Show the card of a version as JSON, once its files are compared with their checksums.

    `deleted_people` says how many were deleted after it may have learned from them.
    """
    from engine import opening
    from engine.core.errors import NotFoundError

    registry = opening.registry(settings_of(ctx))
    name = version or registry.pointer().serving
    if not name:
        raise NotFoundError("no model version serves", "name one of `triveni model list`")
    card = registry.verified(name)[1]
    deleted = registry.deletions.since([card])[name]
    about = {"count": deleted.count, "last": deleted.last and deleted.last.isoformat()}
    print(json.dumps({**card.model_dump(mode="json"), "deleted_people": about}, indent=1, ensure_ascii=False))


@app.command()
def promote(ctx: typer.Context, version: Version) -> None:
    """Let a version serve. A running server follows within a second, and fails no call."""
    from engine import opening

    registry = opening.registry(settings_of(ctx))
    registry.verified(version)
    before, after = registry.change(lambda pointer: pointer.promoted(version))
    _say(before, after)


@app.command()
def rollback(ctx: typer.Context) -> None:
    """Let the version that served before serve again. A running server follows within a second."""
    from engine import opening
    from engine.models.pointer import Pointer

    registry = opening.registry(settings_of(ctx))
    target = registry.pointer().rolled_back().serving
    if target:
        registry.verified(target)
    _say(*registry.change(Pointer.rolled_back))


@app.command()
def candidate(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(metavar="[VERSION]", help="As `triveni model list` names it.")] = "",
    share: Annotated[
        float | None, typer.Option(min=0, max=1, help="The part of all users; models.candidate_share if not given.")
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="End the trial: everybody gets what serves.")] = False,
) -> None:
    """Try a version on a share of users, chosen by a hash of their ids. Responses and logs name both versions.

    Example: triveni model candidate 20260601-120000-1a2b3c --share 0.1
    """
    from engine import opening

    if stop == bool(version):
        raise typer.BadParameter("name a version, or give --stop")
    settings = settings_of(ctx)
    registry = opening.registry(settings)
    if stop:
        before, after = registry.change(lambda pointer: pointer.untried())
        console.print(f"{before.candidate or 'no version'} was tried, {_name(after.serving)} serves everybody now")
        return
    after = registry.try_out(version, settings.models.candidate_share if share is None else share)
    console.print(f"{version} serves {after.share:.1%} of users now, {_name(after.serving)} the others")


@app.command()
def export(
    ctx: typer.Context,
    version: Version,
    output: Annotated[Path, typer.Option("--output", "-o", dir_okay=False, help="The .onnx file to write.")],
    small: Annotated[
        bool, typer.Option("--small", help="The network of the small tier, which is ONNX already.")
    ] = False,
) -> None:
    """Write a network of a version as ONNX, for other runtimes; needs no store.

    The inputs of the full one are named as in engine/rerank/model.py; the file's metadata names features, kinds,
    outcomes and their calibration.

    Example: triveni model export 20260601-120000-1a2b3c -o model.onnx
    """
    from engine import opening
    from engine.core.errors import NotFoundError
    from engine.models.errors import ModelError
    from engine.rerank.export import export_network
    from engine.rerank.version import KIND, load_version

    folder, card = opening.registry(settings_of(ctx)).verified(version)
    if card.kind != KIND:
        raise ModelError(f"{version} is of kind {card.kind}, which has no such networks", f"name one of kind {KIND}")
    loaded = load_version(folder)
    if small and loaded.small is None:
        raise NotFoundError(f"{version} has no small network", "export the full one, or train again")
    graph = loaded.small.graph if small and loaded.small else export_network(loaded)
    part = output.with_name(f".{output.name}.part")
    try:
        part.write_bytes(graph)
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
    console.print(
        f"{output}: the {'small' if small else 'full'} network of {version}, {len(graph):,} bytes",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def retire(ctx: typer.Context, version: Version) -> None:
    """Delete a version. One that serves, or is tried, is refused."""
    from engine import opening

    opening.registry(settings_of(ctx)).retire(version)
    console.print(f"{version} is deleted")


def _say(before: Pointer, after: Pointer) -> None:
    console.print(f"{_name(before.serving)} served, {_name(after.serving)} serves now")


def _name(version: str) -> str:
    return version or "the untrained engine"


def _role(version: str, pointer: Pointer) -> str:
    if version == pointer.serving:
        return "serves"
    if version == pointer.candidate:
        return f"tried on {pointer.share:.1%}"
    return "before" if version in pointer.previous[-1:] else ""


def _entry(card: ModelCard, pointer: Pointer, deleted: int) -> dict[str, object]:
    share = pointer.share if card.version == pointer.candidate else 0.0
    about = {"serving": card.version == pointer.serving, "share": share, "deleted_people": deleted}
    return {**card.model_dump(mode="json"), **about}


def _figure(card: ModelCard, name: str) -> str:
    low, high = card.intervals.get(name, (None, None))
    interval = "" if low is None else f" ({low:.4f} to {high:.4f})"
    baseline = f", before {card.baseline_metrics[name]:.4f}" if name in card.baseline_metrics else ""
    return f"{name} {card.metrics[name]:.4f}{interval}{baseline}"


def _time(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else ""
