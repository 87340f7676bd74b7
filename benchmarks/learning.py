"""Does it learn? Made-up people, whose tastes are known, click on popular items; then engines serve them.

    python -m benchmarks.learning [--settings triveni.toml] [--lists 20000] [--people 300] [--rounds 2] [--seed 1]

The catalogue is that of the settings' store. The log is made by popularity with one random list in five, seen with a
position bias of 1/k. A version is trained on it; then the untrained engine, the trained one and the oracle serve the
same people at the same times. Intervals are bootstrapped over people.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from encoders.space import Space
from engine import compose
from engine.config import Settings, load_settings
from engine.encoding import DirectEncoder
from engine.ingest import INDEXED_AT
from engine.items import ItemTable, read_items
from engine.learn.dataset import encode_texts
from engine.learn.fit import Fitted, fit
from engine.learn.job import fit_settings
from engine.learn.log import event_log
from engine.learn.simulate import serving
from engine.learn.simulate.config import WorldConfig
from engine.learn.simulate.loop import Diary, run_loop, simulate
from engine.learn.simulate.world import World
from engine.learn.stats import bootstrap, paired
from engine.learn.train import Progress
from engine.models import Fixed
from engine.pipeline import Engine
from engine.rerank.served import LearnedModel
from engine.store.base import Point
from engine.store.memory import MemoryStore
from engine.types import Event, UserId


class Clock:
    """Tells the simulated time."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        """Now."""
        return self.now


class AtItsTime:
    """An engine that serves each list at its time."""

    def __init__(self, world: World, engine: Engine, clock: Clock) -> None:
        self._serve, self._clock = serving.EngineServe(world, engine), clock

    def __call__(self, person: UserId, time: datetime, history: Sequence[Event], /) -> serving.Shown:
        """A list."""
        self._clock.now = time
        return self._serve(person, time, history)


def memory_store(space: Space, items: ItemTable) -> MemoryStore:
    """The items in memory."""
    store = MemoryStore(fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities)
    points = []
    for row, name in enumerate(items.ids):
        vectors = {m: items.vectors[m][row] for m in items.vectors if items.present[m][row]}
        since = datetime.fromtimestamp(float(items.indexed_at[row]), UTC).isoformat()
        points.append(Point(name, vectors, {**items.payloads[row], INDEXED_AT: since}))
    store.upsert(points)
    return store


def trained(settings: Settings, space: Space, items: ItemTable, diary: Diary, seed: int) -> Fitted:
    """A version, from the log."""
    log = encode_texts(event_log(diary.events), lambda texts: [np.asarray(v) for v in space.encode(list(texts))])

    def report(progress: Progress) -> None:
        if "ndcg_at_10" in progress.figures:
            print(progress.stage, progress.figures, file=sys.stderr, flush=True)

    return fit(log, items, fit_settings(settings, space.manifest, seed), impressions=diary.impressions, report=report)


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    interval = bootstrap(values)
    return float(np.nanmean(values)), interval.low, interval.high


def main() -> int:
    """Simulate, train, serve, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=Path)
    parser.add_argument("--lists", type=int, default=20_000)
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    settings = load_settings(given.settings)
    space = compose.open_space(settings)
    with closing(compose.open_store(settings, space)) as store:
        found = read_items(store)
    world = World(found, WorldConfig(people=given.people, seed=given.seed), space.fingerprint)
    items = world.items
    popular = serving.PopularServe(world, 0.2)
    diary = simulate(world, popular, given.lists, watch=popular.learn)
    began = time.perf_counter()
    fitted = trained(settings, space, items, diary, given.seed)
    seconds = time.perf_counter() - began

    clock, memory = Clock(), memory_store(space, items)
    model = LearnedModel(fitted.version, "learned", space.fingerprint, memory, clock=clock)
    diaries: dict[str, Diary] = {}
    for name, served in (("untrained", None), ("trained", model)):
        engine = Engine(
            DirectEncoder(space),
            space.manifest,
            memory,
            fuse_settings=settings.fuse,
            retrieve_settings=settings.retrieve,
            policy_settings=settings.policy,
            models=Fixed(served),
            clock=clock,
        )
        serve = AtItsTime(world, engine, clock)
        diaries[name] = run_loop(world, serve, given.rounds, histories=diary.histories, tag=f"-{name}")
        tiers = {one.tier for one in diaries[name].impressions}
        print(f"{name}: tiers {sorted(tiers)}", file=sys.stderr, flush=True)
    oracle = serving.OracleServe(world)
    diaries["oracle"] = run_loop(world, oracle, given.rounds, histories=diary.histories, tag="-oracle")

    document: dict[str, object] = {
        "log_click_rate": diary.measured.click_rate,
        "rows": fitted.rows,
        "train_s": seconds,
    }
    per_person = {name: one.measured.by_person() for name, one in diaries.items()}
    for name, columns in per_person.items():
        document[name] = {
            metric: [round(float(v), 4) for v in _interval(values)] for metric, values in columns.items()
        }
    for metric, ours in per_person["trained"].items():
        theirs = per_person["untrained"][metric]
        difference = paired(ours, theirs)
        document[f"trained against untrained, {metric}"] = {
            "ratio": round(float(np.nanmean(ours) / np.nanmean(theirs)), 3),
            "difference": [round(v, 4) for v in (difference.mean, difference.low, difference.high)],
        }
    print(json.dumps(document, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
