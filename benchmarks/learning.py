"""Does it learn? Made-up people, whose tastes are known, act on served lists; then engines serve them.

    python -m benchmarks.learning [--settings triveni.toml] [--log engine|popular] [--lists 20000] [--users 300]
        [--rounds 2] [--seed 1]

The catalogue is that of the settings' store. The log is made by the untrained engine, or by popularity; one place in
five shows an item drawn at random, and places are looked at with a bias of 1/k. A version is trained on it; then the
untrained engine, the trained one and the oracle serve the same people at the same times. One person in five is new
then. Intervals are bootstrapped over people.
"""

import argparse
import json
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from encoders.spaces.space import Space
from engine import opening
from engine.catalog.items import ItemTable, read_items
from engine.compose.engine import build_engine
from engine.config.settings import Settings, load_settings
from engine.learn.fit import Fitted, fit
from engine.learn.jobs.job import fit_settings
from engine.learn.log import encode_texts, event_log
from engine.learn.network.trainer import Progress, Run
from engine.learn.simulate import compare
from engine.learn.simulate.config import WorldConfig
from engine.learn.simulate.loop import Diary, run
from engine.learn.simulate.serving import PopularServe, Serve
from engine.learn.simulate.visits import Visits, period
from engine.learn.simulate.world import World
from engine.query.models import Fixed, ServedModel
from engine.rerank.served import LearnedModel

EXPLORE = 0.2


def trained(settings: Settings, space: Space, items: ItemTable, diary: Diary, seed: int) -> Fitted:
    """A version, from the log."""
    log = encode_texts(event_log(diary.events), space)

    def report(progress: Progress) -> None:
        if "ndcg_at_10" in progress.figures:
            print(progress.stage, progress.figures, file=sys.stderr, flush=True)

    made = fit_settings(settings, space.manifest, seed)
    return fit(log, items, made, Run(report=report), impressions=diary.impressions)


def popular_log(world: World, lists: int, absent: np.ndarray) -> Diary:
    """A log of lists made by popularity."""
    serve = PopularServe(world, EXPLORE)
    visits = period(world, lists)
    kept = ~np.isin(visits.user, absent)
    mine = Visits(visits.user[kept], visits.time[kept], visits.room[kept], visits.label)
    return run(world, serve, mine, watch=serve.learn)


def main() -> int:
    """Simulate, train, serve, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=Path)
    parser.add_argument("--log", choices=("engine", "popular"), default="engine")
    parser.add_argument("--lists", type=int, default=20_000)
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    settings = load_settings(given.settings)
    space = opening.open_space(settings)
    with closing(opening.open_store(settings, space)) as store:
        found = read_items(store)
    world = World(found, WorldConfig(users=given.users, seed=given.seed), space.fingerprint)
    clock, memory = compare.SimulatedClock(), compare.memory_store(space.manifest, world.items)

    def serving(model: ServedModel | None) -> Serve:
        engine = build_engine(settings, space, memory, models=Fixed(model), clock=clock)
        return compare.AtItsTime(world, engine, clock)

    absent = compare.newcomers(world, 0.2)
    if given.log == "popular":
        diary = popular_log(world, given.lists, absent)
    else:
        diary = compare.log_without(world, serving(None), given.lists, absent, explore=EXPLORE)
    began = time.perf_counter()
    fitted = trained(settings, space, world.items, diary, given.seed)
    seconds = time.perf_counter() - began
    model = LearnedModel(fitted.version, "learned", space.fingerprint, memory, clock=clock)
    model.start()
    try:
        servers = {"untrained": serving(None), "trained": serving(model)}
        lines, diaries = compare.compare(world, servers, given.rounds, diary.histories, absent)
    finally:
        model.close()
    document: dict[str, object] = {
        "log": {"made by": given.log, "lists": len(diary.impressions), "click_rate": diary.measured.click_rate},
        "training": {"rows": fitted.rows, "seconds": round(seconds, 1)},
        "tiers": sorted({one.tier for one in diaries["trained"].impressions}),
    }
    for line in lines:
        ours, theirs = line.values["trained"].mean, line.values["untrained"].mean
        document[f"{line.group}, {line.figure}"] = {
            **{name: [round(v, 4) for v in (one.mean, one.low, one.high)] for name, one in line.values.items()},
            "ratio": round(ours / theirs, 3),
            "difference": [round(v, 4) for v in (line.change.mean, line.change.low, line.change.high)],
        }
    print(json.dumps(document, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
