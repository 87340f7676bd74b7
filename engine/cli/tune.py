"""`triveni tune`: searches the settings of training that matter, on what was recorded."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from engine.cli.common import console, settings_of
from engine.cli.progress import told
from engine.core.errors import NotFoundError, SettingsError
from engine.core.files import write_atomically

if TYPE_CHECKING:
    from engine.config.settings import Settings
    from engine.learn.tuning.tried import SearchResult, Setting, Tried


def tune(
    ctx: typer.Context,
    trials: Annotated[int, typer.Option(min=1, help="Until so many are done, those of earlier runs counted.")] = 20,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="No trial begins after so long; the one that runs is ended.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin a new search on all events, instead of going on.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Only show what was tried, also while another runs.")] = False,
    write: Annotated[
        Path | None,
        typer.Option(help="A settings file whose section `learn` gets the best settings.", dir_okay=False),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Makes it repeatable; learn.seed if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Search the settings of `learn` that matter: learning_rate, batch, width, dropout and id_dropout.

    Each trial trains on the older events and is measured on the youngest of them. The events that `triveni train`
    judges on are not looked at. It may be killed at any time: run it again, and it goes on. Exit codes: 0 done, 1
    failed, 2 called wrongly.

    Example: triveni tune --trials 30 --minutes 60
    """
    from engine.learn.tuning.tried import found

    settings = settings_of(ctx)
    folder = settings.models.path / ".tuning"
    if not show:
        _search(settings, folder, trials, minutes, fresh, settings.learn.seed if seed is None else seed)
    result = found(folder)
    if result is None:
        raise NotFoundError(f"nothing was tried yet in {folder}", "run triveni tune")
    if as_json:
        print(json.dumps(_document(result)))
    else:
        _show(result)
    if write is not None:
        if result.best is None:
            raise NotFoundError("no trial is done yet", "run triveni tune")
        write_learn(write, result.best.setting)
        if not as_json:
            console.print(f"written: {write}", highlight=False, soft_wrap=True)


def _search(settings: Settings, folder: Path, trials: int, minutes: float | None, fresh: bool, seed: int) -> None:
    from engine import opening
    from engine.catalog.items import read_items
    from engine.core.errors import SettingsError
    from engine.learn.fit import training_rows
    from engine.learn.jobs.job import fit_settings
    from engine.learn.network.trainer import Run, heard_by
    from engine.learn.pace import within
    from engine.learn.splits import by_time
    from engine.learn.training_data import read_training_data
    from engine.learn.tuning.tried import SEARCHED
    from engine.learn.tuning.tune import SettingsSearch, alone
    from engine.learn.window import TimeWindow

    now = {key: getattr(settings.learn, key) for key in SEARCHED}
    with alone(folder), told(settings, "tuning") as tell:
        tell(0.0, "loading the encoders")
        space, device = opening.open_space(settings), opening.torch_device(settings)
        with closing(opening.open_store(settings, space)) as store:
            items = read_items(store)
        search = SettingsSearch(folder, now, datetime.now(UTC), fresh=fresh)
        window = TimeWindow(None, search.until)
        data = read_training_data(settings, space, items, window, within(tell, 0.0, 0.02))
        made = fit_settings(settings, space.manifest, seed)
        if made.private is not None:
            raise SettingsError(
                "learn.private: each trial of a search would tell more of the same people",
                "search on made-up people (triveni simulate) with learn.private = false, then train privately",
            )
        with data.told(made.positives):
            split = by_time(data.log, items, share=settings.learn.held_out, positives=made.positives)
            served = data.before(float(split.cases.time.min()))
            run = Run(device, search.folder, heard_by(within(tell, 0.02, 0.2)))
            rows = training_rows(split.train, items, made, run, impressions=served)
            seconds = float("inf") if minutes is None else minutes * 60
            search.run(rows, made, trials, seconds=seconds, device=device, report=within(tell, 0.2, 1.0))


def write_learn(path: Path, setting: Setting) -> None:
    """Set keys of the `[learn]` table of a settings file, which keeps its comments; the file may be new.

    Raises:
        SettingsError: if it is no TOML.
        DiskError: if it cannot be written.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    from engine.learn.settings import LearnSettings

    try:
        document = tomlkit.parse(path.read_text(encoding="utf-8") if path.is_file() else "")
        learn = document.setdefault("learn", tomlkit.table())
        for old, new in LearnSettings.renamed.items():
            if new in setting:
                learn.pop(old, None)
        learn.update(setting)
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}", "correct that line") from None
    write_atomically(path, tomlkit.dumps(document))


def _document(result: SearchResult) -> dict[str, object]:
    gain = result.gain()
    rows = [asdict(one) for one in result.tried]
    for row in rows:
        del row["values"]
    best = None if result.best is None else dict(result.best.setting)
    return {"until": result.until.isoformat(), "trials": rows, "best": best, "gain": gain and asdict(gain)}


def _show(result: SearchResult) -> None:
    from engine.learn.tuning.tried import SEARCHED

    title = f"Tried on the events until {result.until:%Y-%m-%d %H:%M}Z"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for heading in ("trial", "ndcg@10", *SEARCHED, "epochs", "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for one in result.tried:
        figure = "" if one.figure is None else f"{one.figure:.4f}"
        cells = (f"{one.setting[key]:g}" if one.setting else "" for key in SEARCHED)
        table.add_row(str(one.number), figure, *cells, str(one.epochs), f"{one.seconds:.0f}", _state(one))
    console.print(table)
    if result.best is None:
        console.print("no trial is done yet")
        return
    gain = result.gain()
    if result.best is result.now:
        tried = sum(one.figure is not None for one in result.tried)
        console.print(f"the settings as they are are the best of {tried} that were tried: there is nothing to change")
        return
    if gain is not None:
        held = "" if gain.low > 0 else ", which holds zero: it may be chance"
        console.print(
            f"trial {result.best.number} less the settings as they are: {gain.mean:+.4f}, 95 % interval "
            f"{gain.low:+.4f} to {gain.high:+.4f}{held}. It was chosen by these rows, so expect less.",
            highlight=False,
            soft_wrap=True,
        )
    console.print("to use it, paste this, or give --write triveni.toml; then triveni train, whose gate judges it:")
    console.print("\n[learn]")
    for key, value in result.best.setting.items():
        console.print(f"{key} = {value}", highlight=False)


def _state(one: Tried) -> str:
    said = "" if one.state == "done" else one.state
    return ", ".join(part for part in ("as it is" if one.as_it_was else "", said) if part)
