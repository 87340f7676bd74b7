"""The demo's last part: made-up people, a training on what they did, and what the trained version changes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress
from rich.table import Table

from engine.cli.common import console, stderr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from encoders.types import Rows
    from engine.config.settings import Settings
    from engine.core.types import Event
    from engine.events.types import Impression
    from engine.learn.simulate.compare import ComparisonRow
    from engine.learn.simulate.loop import Diary
    from engine.learn.simulate.serving import Serve
    from engine.learn.simulate.world import World
    from engine.models.card import ModelCard
    from engine.rerank.served import LearnedModel
    from engine.store.memory import MemoryStore

UNTRAINED, TRAINED = "untrained", "trained"
HELD_OUT = 0.2
"""The share of the events that the version is judged on: a tenth of so few would leave the gate with too wide an
interval."""
NAMES = {"click_rate": "clicks per position", "precision": "precision@10", "ndcg": "NDCG@10, best = 1"}


@dataclass(frozen=True, slots=True)
class Plan:
    """How large the demo's simulation is."""

    users: int = 300
    lists: int = 7000
    """Served before the training."""
    rounds: int = 4
    """Lists for everybody after it, by each engine."""
    new_users: float = 0.2
    """The share of the people who come only then."""
    explore: float = 0.2
    """How probably a place of the log shows something that the engine did not choose: a log without any tells little
    about other orders."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Learned:
    """What came of it."""

    lines: tuple[ComparisonRow, ...]
    promoted: bool
    verdict: str
    """The gate's."""
    events: int
    lists: int
    seconds: float
    """Of `triveni train`, loading and judging included."""
    rounds: int
    reranked: float
    """The share of the trained version's lists that its network ordered."""


def learn(settings: Settings, train: Callable[[], None], plan: Plan | None = None) -> Learned | str:
    """Simulate, train, and let both engines serve.

    Args:
        settings: with an event store and a registry that are the demo's alone: both are emptied.
        train: trains on the event store, as `triveni train` does.
        plan: how much.

    Returns:
        What came of it, or why nothing did.
    """
    from engine import opening
    from engine.catalog.items import read_items
    from engine.compose.engine import build_engine
    from engine.learn.simulate import compare
    from engine.learn.simulate.config import MIN_ITEMS, WorldConfig
    from engine.learn.simulate.world import World
    from engine.query.models import Fixed

    plan = plan or Plan()
    _empty(settings)
    space = opening.open_space(settings)
    with closing(opening.open_store(settings, space)) as store:
        items = read_items(store)
    if len(items) < MIN_ITEMS:
        return f"{len(items)} items are too few to simulate people over: {MIN_ITEMS} are needed"
    world = World(items, WorldConfig(users=plan.users, seed=plan.seed), space.fingerprint)
    memory = compare.memory_store(space.manifest, world.items)

    def serve(model: LearnedModel | None, clock: compare.SimulatedClock) -> compare.AtItsTime:
        engine = build_engine(settings, space, memory, models=Fixed(model), clock=clock)
        return compare.AtItsTime(world, engine, clock)

    new = compare.newcomers(world, plan.new_users)
    diary = _recorded(settings, plan, world, serve(None, compare.SimulatedClock()), new)
    began = time.monotonic()
    train()
    seconds = time.monotonic() - began
    cards, _ = opening.registry(settings).scan()
    if not cards:
        return "the training made no version"
    clock = compare.SimulatedClock()
    with _loaded(settings, cards[0], memory, clock) as model:
        servers = {UNTRAINED: serve(None, compare.SimulatedClock()), TRAINED: serve(model, clock)}
        with console.status(f"both serve everybody {plan.rounds} times, and {len(new)} new people"):
            lines, diaries = compare.compare(world, servers, plan.rounds, diary.histories, new)
    tiers = [shown.tier for shown in diaries[TRAINED].impressions]
    gate = cards[0].gate
    return Learned(
        tuple(lines),
        gate is not None and gate.promote,
        gate.reason if gate else "the version was not judged",
        len(diary.events),
        len(diary.impressions),
        seconds,
        plan.rounds,
        tiers.count("full") / len(tiers),
    )


def _recorded(settings: Settings, plan: Plan, world: World, untrained: Serve, new: Rows) -> Diary:
    """What all made-up people but the new ones do with the untrained engine's lists; the event store has it then."""
    from engine import opening
    from engine.learn.simulate import compare
    from engine.learn.simulate.output import into_store

    with Progress(console=stderr, transient=True) as bar:
        task = bar.add_task("the untrained engine serves made-up people", total=plan.lists)

        def told(shown: Impression, followed: Sequence[Event]) -> None:
            bar.advance(task)

        diary = compare.log_without(world, untrained, plan.lists, new, explore=plan.explore, watch=told)
    with closing(opening.open_events(settings)) as events:
        into_store(diary, events)
    console.print(
        f"the untrained engine served {len(diary.impressions):,} lists to {plan.users - len(new)} made-up people, "
        f"who did {len(diary.events):,} things; one place in {1 / plan.explore:.0f} showed something at random",
        highlight=False,
    )
    return diary


def table(learned: Learned) -> Table:
    """The figures before and after."""
    from engine.learn.simulate.compare import ORACLE

    grid = Table(title="Served to the same people at the same times", title_justify="left", title_style="bold")
    grid.add_column("")
    for heading in (UNTRAINED, TRAINED, "best", "change (95 %)"):
        grid.add_column(heading, justify="right")
    group = ""
    for line in learned.lines:
        if line.group != group:
            grid.add_section()
            grid.add_row(f"{line.users} {line.group}", style="bold")
        group = line.group
        means = (f"{line.values[name].mean:.3f}" for name in (UNTRAINED, TRAINED, ORACLE))
        grid.add_row(NAMES[line.figure], *means, change(line))
    return grid


def change(line: ComparisonRow) -> str:
    """The difference in words."""
    one = line.change
    mean, low, high = (f"{value:+.3f}".replace("0.", ".") for value in (one.mean, one.low, one.high))
    return f"{mean} ({low} to {high})"


def verdict(learned: Learned) -> str:
    """What the gate says, in a sentence."""
    said = (
        "lets the trained version serve" if learned.promoted else "refuses the trained version, so it does not serve"
    )
    return f"The gate {said}: {learned.verdict}."


def _empty(settings: Settings) -> None:
    shutil.rmtree(settings.models.path, ignore_errors=True)
    database = settings.events.url.removeprefix("sqlite:///")
    for ending in ("", "-wal", "-shm"):
        Path(database + ending).unlink(missing_ok=True)


@contextmanager
def _loaded(
    settings: Settings, card: ModelCard, store: MemoryStore, clock: Callable[[], datetime]
) -> Iterator[LearnedModel]:
    """A version, loaded, whose vectors are in the store."""
    import torch

    from engine import opening
    from engine.models.errors import TrainingError
    from engine.rerank.served import LearnedModel
    from engine.rerank.version import load_version

    torch.set_num_threads(1)  # as for the training
    folder, _ = opening.registry(settings).verified(card.version, card.fingerprint)
    model = LearnedModel(load_version(folder), card.version, card.fingerprint, store, clock=clock)
    with closing(model):
        model.start()
        until = time.monotonic() + 120
        while not model.ready:
            if time.monotonic() > until:
                raise TrainingError(f"version {card.version} is not ready after 120 s", "see the log")
            time.sleep(0.05)
        yield model
