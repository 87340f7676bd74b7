"""The small tier against the full one on MovieLens-100K: NDCG@10 on the same cases, and how long each takes.

    python -m benchmarks.small [--version DIR] [--seed 0] [--candidates 200] [--json]

One version is trained as benchmarks/ml100k.py trains it, its small network learns from the full one, and both rank
the same candidates of each person's last rating. Then requests of some people go through the engine, over an exact
store in memory; of each the steps of both tiers and their bare forward passes are timed by turns, as in
benchmarks/rerank.py. `--version` keeps the trained version in a folder, and reads it from there the next time.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.ml100k import LEARNED, data_folder, learned, read_films, read_ratings
from benchmarks.recommend import NoEncoder
from benchmarks.rerank import CutModel, by_turns, tier_ratios, tier_works, tiers_line
from encoders.spaces.space import SpaceManifest
from encoders.types import Doubles, Floats
from engine.catalog.ingest import INDEXED_AT
from engine.catalog.items import ItemTable
from engine.config.settings import load_settings
from engine.core.threads import one_blas_thread
from engine.core.types import Query
from engine.learn.evaluation import metrics
from engine.learn.evaluation.stats import bootstrap, paired
from engine.learn.learned import VersionRanker
from engine.learn.log import events_of
from engine.learn.network.distil import DistilSettings, small_logits
from engine.learn.network.train import logits_of
from engine.learn.rows.dataset import Example
from engine.learn.splits import Split, leave_last_out
from engine.opening import open_space
from engine.query.models import Fixed
from engine.query.pipeline import Engine
from engine.rerank.learned import expected_utility
from engine.rerank.served import LearnedModel
from engine.rerank.version import Version, load_version, save_version
from engine.store.base import Point
from engine.store.memory import MemoryStore


def main() -> None:
    """Train or load, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", type=Path, help="a folder that keeps the trained version")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = data_folder()
    if folder is None:
        raise SystemExit("the data is missing: see benchmarks/ml100k.py")
    one_blas_thread()
    films = read_films(folder, Path("var/ml100k/vectors.npz"))
    split = leave_last_out(read_ratings(folder), films)
    version = trained(split, films, options.seed, options.version)
    full, small = judged(version, split, films, options.seed)
    apart = paired(small, full, split.cases.user)
    p50 = timed(version, split, films, options.candidates, options.users, options.rounds)
    if options.json:
        quality = {"full": asdict(bootstrap(full)), "small": asdict(bootstrap(small)), "difference": asdict(apart)}
        print(json.dumps({"ndcg_at_10": quality, "p50_ms": p50, **tier_ratios(p50)}))
        return
    print(f"NDCG@10 full {bootstrap(full)}, small {bootstrap(small)}, {len(full)} people")
    print(f"small less full {apart.mean:+.4f} ({apart.low:+.4f} to {apart.high:+.4f}, p {apart.p_value:.3f})")
    print(tiers_line(p50))


def trained(split: Split, films: ItemTable, seed: int, folder: Path | None) -> Version:
    """A version with a small network, from the folder if it is there."""
    if folder is not None and folder.is_dir():
        return load_version(folder)
    ranker = learned(seed)
    ranker.settings = replace(ranker.settings, small=DistilSettings())
    ranker.fit(split.train, films)
    assert ranker.fitted is not None
    print(f"the small network: {ranker.fitted.small}", file=sys.stderr, flush=True)
    if folder is not None:
        folder.mkdir(parents=True)
        save_version(ranker.fitted.version, folder)
    return ranker.fitted.version


def judged(version: Version, split: Split, films: ItemTable, seed: int) -> tuple[Doubles, Doubles]:
    """(b,) each: NDCG@10 of the full and of the small network, among all films."""
    ranker = VersionRanker(version, LEARNED.positives, learned(seed).settings.content)
    ranker.fit(split.train, films)
    examples = ranker.examples(split.cases)
    if version.small is None:
        raise SystemExit("the version has no small network: train it again")
    both = logits_of(version.network, examples, ranker.point_in_time.table), small_logits(version.small, examples)
    full, small = (ndcg(version, examples, logits, split, len(films)) for logits in both)
    return full, small


def ndcg(version: Version, examples: Sequence[Example], logits: Sequence[Floats], split: Split, size: int) -> Doubles:
    """(b,): NDCG@10 of the order that logits give."""
    scores = np.full((len(examples), size), -np.inf, np.float32)
    for row, (one, found) in enumerate(zip(examples, logits, strict=True)):
        scores[row, one.request.candidates] = expected_utility(found, version)
    return metrics.per_case(metrics.top(scores, 10), split.cases.targets, (10,))["ndcg@10"]


def timed(
    version: Version, split: Split, films: ItemTable, candidates: int, users: int, rounds: int
) -> dict[str, float]:
    """Per part the median, in milliseconds, over requests of some people at the moments of their last ratings."""
    manifest = open_space(load_settings()).manifest
    store = film_store(films, manifest)
    now = [datetime.now(UTC)]
    model = LearnedModel(version, "v", manifest.fingerprint, store, clock=lambda: now[0])
    cut = CutModel(model, "full", candidates)
    engine = Engine(NoEncoder(), manifest, store, models=Fixed(cut), clock=lambda: now[0])  # type: ignore[arg-type]
    columns: dict[str, list[float]] = {}
    cases = split.cases.take(np.arange(0, len(split.cases), len(split.cases) // users, dtype=np.intp))
    for turn in range(rounds + 1):
        for history, moment in zip(cases.history, cases.time.tolist(), strict=True):
            now[0] = datetime.fromtimestamp(moment, UTC)
            engine.recommend(Query(history=events_of(split.train, history[-50:]), limit=20))
            if cut.asked is not None:
                by_turns(tier_works(version, model, *cut.asked), columns if turn else {})  # the first round warms up
    return {name: float(np.median(column)) for name, column in columns.items()}


def film_store(films: ItemTable, manifest: SpaceManifest) -> MemoryStore:
    """The films in memory."""
    store = MemoryStore(
        fingerprint=manifest.fingerprint, dimension=manifest.dimension, modalities=tuple(manifest.encoders)
    )
    since = [datetime.fromtimestamp(at, UTC).isoformat() if np.isfinite(at) else None for at in films.indexed_at]
    store.upsert(
        [
            Point(
                name,
                {m: matrix[row] for m, matrix in films.vectors.items() if films.present[m][row]},
                {**films.payloads[row], INDEXED_AT: since[row]},
            )
            for row, name in enumerate(films.ids)
        ]
    )
    return store


if __name__ == "__main__":
    main()
