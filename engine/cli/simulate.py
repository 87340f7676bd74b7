"""`triveni simulate`: made-up people over the catalogue, whose clicks are a log to learn from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from engine.cli.common import console, settings_of, stderr
from engine.cli.groups import grouped
from engine.core.errors import NotFoundError

if TYPE_CHECKING:
    from engine.config.settings import Settings
    from engine.core.types import Event
    from engine.events.base import EventStore
    from engine.events.types import Impression
    from engine.learn.simulate.loop import Diary
    from engine.learn.simulate.world import World

OWN = Path("var/simulated")
"""Each world has a folder here: its events, and the versions that are trained on them."""


class ServedBy(StrEnum):
    """What is shown while the log is made."""

    POPULARITY = "popularity"
    RANDOM = "random"
    ENGINE = "engine"
    ORACLE = "oracle"


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """Who visits, and what they are shown."""

    users: Annotated[int, typer.Option(min=1, help="How many people there are.")] = 300
    impressions: Annotated[int, typer.Option(min=1, help="How many lists are served to them.")] = 20_000
    days: Annotated[float, typer.Option(help="The length of the period.")] = 30.0
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal events.")] = 0
    policy: Annotated[
        ServedBy, typer.Option(help="What is shown: popular items with exploration, any, the engine's, or the best.")
    ] = ServedBy.POPULARITY
    explore: Annotated[
        float,
        typer.Option(
            help="How probably a position shows another item than the popular or the engine's; 0: engine alone."
        ),
    ] = 0.2
    positions: Annotated[int, typer.Option(min=1, help="Items of a list.")] = 10
    until: Annotated[
        str, typer.Option(help="When the period ends: RFC 3339; the last midnight, UTC, if not given.")
    ] = ""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Where the events go."""

    store: Annotated[
        str, typer.Option(help="The URL of an event store to write to; one of its own in var/simulated if not given.")
    ] = ""
    mix: Annotated[bool, typer.Option("--mix", help="Write even into a store that holds real people.")] = False
    out: Annotated[
        Path | None,
        typer.Option(help="A .jsonl, .csv or .parquet file to write, instead of an event store.", dir_okay=False),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False

    def check(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            BadParameter: if they do.
        """
        if self.out is not None and (self.store or self.mix):
            raise typer.BadParameter("--out writes a file, --store and --mix are of an event store: give one of them")


@grouped
def simulate(ctx: typer.Context, asked: WorldOptions, to: LogOptions) -> None:
    """Let made-up people with tastes of their own visit the catalogue, and record what they see and do.

    They look at high positions more often, drift, dislike things, search and upload; some people and items are new.
    What they really like is known, so the table can say how near the lists came to the best possible ones. The file
    holds the served lists too, one event per position. Exit codes: 0 done, 1 failed, 2 called wrongly.

    Example: triveni simulate --users 300 --impressions 20000 --days 30 --seed 1
    """
    from engine.learn.simulate.output import into_file, into_store, refuse_real_users

    to.check()
    settings = settings_of(ctx)
    if to.store and not to.mix:
        with _opened(settings, to.store) as events:
            refuse_real_users(events)
    world, diary, made_by = _run(settings, asked)
    own = OWN / f"{world.name}{made_by}-{asked.impressions}"
    url = to.store or f"sqlite:///{own / 'events.db'}"
    if to.out is not None:
        written, place = into_file(diary, to.out), str(to.out)
    else:
        with _opened(settings, url) as events:
            written, place = into_store(diary, events), _without_password(url)
    _show(world, diary, asked.policy, written, place, to.as_json)
    if to.as_json:
        return
    what = "new events" if to.out is None else "lines"
    console.print(f"{written:,} {what} in {place}", highlight=False, soft_wrap=True)
    if to.out is None and not to.store:
        console.print("to train on them, apart from what serves real people:")
        told = f"    TRIVENI_EVENTS__URL={url} TRIVENI_MODELS__PATH={own / 'trained'} triveni train"
        console.print(told, highlight=False, soft_wrap=True)


@contextmanager
def _opened(settings: Settings, url: str) -> Iterator[EventStore]:
    """An event store that need not be the settings'."""
    from engine import opening

    events = settings.events.model_copy(update={"url": url})
    with closing(opening.open_events(settings.model_copy(update={"events": events}))) as store:
        yield store


def _without_password(url: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(url).render_as_string(hide_password=True)


def _run(settings: Settings, asked: WorldOptions) -> tuple[World, Diary, str]:
    """Make a world over the catalogue, and let its people visit; what served them is named too."""
    from engine import opening
    from engine.catalog.ingest import INDEXED_AT
    from engine.catalog.items import read_items
    from engine.compose.engine import build_engine
    from engine.core.filters import FieldKind
    from engine.learn.simulate import serving
    from engine.learn.simulate.config import WorldConfig
    from engine.learn.simulate.loop import simulate as visit
    from engine.learn.simulate.world import World

    start = _end(asked.until).timestamp() - asked.days * 86400
    config = WorldConfig(users=asked.users, days=asked.days, seed=asked.seed, positions=asked.positions, start=start)
    if opening.store_collections(settings).current(settings.store.collection) is None:
        raise NotFoundError("there is no catalogue to simulate people over", "index it first")
    space, explore = opening.open_space(settings), asked.explore
    with closing(opening.open_store(settings, space)) as store:
        world = World(read_items(store), config, space.fingerprint)
        watch = None
        tag = f"-{asked.policy}"
        serve: serving.Serve
        match asked.policy:
            case ServedBy.POPULARITY:
                serve = popular = serving.PopularServe(world, explore)
                watch = popular.learn
                tag += f"{explore:g}"
            case ServedBy.RANDOM:
                serve = serving.RandomServe(world)
            case ServedBy.ENGINE:
                store.index_fields({INDEXED_AT: FieldKind.DATETIME})  # a store that no bulk run made lacks it
                serve = serving.EngineServe(world, build_engine(settings, space, store))
                if explore > 0:
                    serve, tag = serving.ExploringServe(world, serve, explore), f"{tag}{explore:g}"
            case ServedBy.ORACLE:
                serve = serving.OracleServe(world)
        with Progress(console=stderr, transient=True) as bar:
            task = bar.add_task("lists", total=asked.impressions)

            def told(shown: Impression, followed: Sequence[Event]) -> None:
                bar.advance(task)
                if watch is not None:
                    watch(shown, followed)

            return world, visit(world, serve, asked.impressions, watch=told, tag=tag), tag


def _show(world: World, diary: Diary, policy: ServedBy, written: int, place: str, as_json: bool) -> None:
    from engine.learn.simulate.output import counts

    measured, kinds = diary.measured, counts(diary.events)
    document: dict[str, Any] = {
        "world": world.name,
        "users": len({int(number) for number in measured.user}),
        "items": len(world.items),
        "lists": len(diary.impressions),
        "events": len(diary.events),
        "kinds": {str(kind): count for kind, count in kinds.items()},
        "click_rate": measured.click_rate,
        "ndcg_share": measured.share_of_oracle,
        "precision": measured.mean_precision,
        "policy": str(policy),
        "written": written,
        "to": place,
    }
    if as_json:
        console.print_json(json.dumps(document))
        return
    table = Table(title=f"Simulated: {world.name}", title_justify="left")
    table.add_column("")
    table.add_column("", justify="right")
    for name in ("users", "items", "lists"):
        table.add_row(f"served {name}" if name == "lists" else name, f"{document[name]:,}")
    table.add_section()
    for kind, count in sorted(kinds.items(), key=lambda pair: -pair[1]):
        table.add_row(str(kind), f"{count:,}")
    table.add_section()
    k = world.config.positions
    table.add_row("click rate, of all positions", f"{measured.click_rate:.3f}")
    table.add_row(f"share of the oracle's NDCG@{k}, {policy}", f"{measured.share_of_oracle:.3f}")
    table.add_row(f"precision@{k}, {policy}", f"{measured.mean_precision:.3f}")
    console.print(table)


def _end(until: str) -> datetime:
    """When the period ends."""
    if not until:
        return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        time = datetime.fromisoformat(until)
    except ValueError:
        raise typer.BadParameter(f"--until {until!r} is no time: write it such as 2026-05-01T12:00:00Z") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
