"""What private training costs: MovieLens-100K, each person's last rating, from all earlier ones, among all films.

    python -m benchmarks.private [--epsilons 2 8 32] [--private-epochs 30] [--people 128] [--norm 1]
        [--rows 8] [--rate 0.002] [--epochs 4] [--steps 8] [--width 32] [--seed 0] [--json]

On one split, in one run: popularity; the whole pipeline; the same without anything that is counted over people, which
is what a private version has to do without; and that trained privately, by the ε that it may spend. Intervals are
bootstrapped over people, 95 %. Data and vectors are those of benchmarks.ml100k.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ml100k import LEARNED, data_folder, read_films, read_ratings
from encoders.types import Floats
from engine.catalog.items import ItemTable
from engine.learn.dcg import discounts
from engine.learn.fit import FitSettings, fit_rows, training_rows
from engine.learn.learned import VersionRanker
from engine.learn.network.private import PrivateSettings
from engine.learn.ranker import Ranker, Split
from engine.learn.splits import leave_last_out

K = 10
Row = dict[str, Any]


def known_by_contents() -> FitSettings:
    """The settings of benchmarks.ml100k, with the space's opinion."""
    from engine.config.settings import load_settings
    from engine.opening import open_space
    from engine.query.settings import FuseSettings
    from engine.rerank.content import ContentScorer

    return replace(LEARNED, content=ContentScorer(open_space(load_settings()).manifest.calibration, FuseSettings()))


def ndcg(ranker: Ranker, split: Split) -> Floats:
    """(b,): NDCG@10 of each person's last rating."""
    found = np.zeros(len(split.cases), np.float32)
    gain = discounts(K)
    for start in range(0, len(split.cases), 256):
        some = np.arange(start, min(start + 256, len(split.cases)), dtype=np.intp)
        cases = split.cases.take(some)
        scores = ranker.score(cases)
        for row, (own, targets) in enumerate(zip(scores, cases.targets, strict=True)):
            if np.isfinite(own[targets[0]]) and (rank := int((own > own[targets[0]]).sum())) < K:
                found[start + row] = gain[rank]
    return found


def interval(values: Floats, seed: int) -> tuple[float, float]:
    """Of the mean, bootstrapped."""
    draws = np.random.default_rng(seed).integers(0, len(values), (2000, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def measured(split: Split, films: ItemTable, known: FitSettings, asked: argparse.Namespace) -> list[Row]:
    """What each is worth."""
    from engine.learn.evaluation.baselines.built_in import BaselineOptions, baselines

    options = BaselineOptions(fields=known.fields, cross_fit="users", seed=asked.seed)
    (popular,) = baselines(films, ["popularity"], options).rankers
    popular.fit(split.train, films)
    found = [_row("popularity", ndcg(popular, split), asked.seed)]
    training = replace(known.training, epochs=asked.epochs, seed=asked.seed)
    rows = replace(known.rows, steps=asked.steps, seed=asked.seed)
    whole = replace(known, training=training, rows=rows, width=asked.width)
    alone = replace(whole, counted=False)
    faster = replace(alone, training=replace(training, learning_rate=asked.rate), dropout=0.0)
    wanted = {"whole pipeline": whole, "nothing counted": alone}
    for epsilon in asked.epsilons:
        private = PrivateSettings(epsilon, 1e-5, asked.norm, asked.people, asked.private_epochs, asked.rows)
        wanted[f"private, at most {epsilon:g}"] = replace(faster, private=private)
    made = {one.counted: training_rows(split.train, films, one, cross_fit="users") for one in (whole, alone)}
    for name, settings in wanted.items():
        begun = time.monotonic()
        fitted = fit_rows(made[settings.counted], films, settings)
        row = {"seconds": time.monotonic() - begun}
        ranker = VersionRanker(fitted.version, settings.positives, settings.content)
        ranker.fit(split.train, films)
        spent = fitted.privacy
        if spent is not None:
            row |= {"epsilon": spent.epsilon, "noise": spent.noise_multiplier, "steps": spent.steps}
        found.append({**_row(name, ndcg(ranker, split), asked.seed), **row})
        print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    return found


def _row(name: str, values: Floats, seed: int) -> Row:
    return {"name": name, "ndcg_at_10": float(values.mean()), "interval": interval(values, seed)}


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epsilons", type=float, nargs="*", default=[2.0, 8.0, 32.0])
    parser.add_argument("--epochs", type=int, default=4, help="of what is not trained privately")
    parser.add_argument("--private-epochs", type=int, default=30, help="how often a private one sees each person")
    parser.add_argument("--rows", type=int, default=8, help="of a person, which a private step sees")
    parser.add_argument("--rate", type=float, default=2e-3, help="the learning rate of private training")
    parser.add_argument("--steps", type=int, default=8, help="the newest so many of each person become rows")
    parser.add_argument("--people", type=int, default=128, help="of a private step, on average")
    parser.add_argument("--norm", type=float, default=1.0, help="to which a person's gradient is cut")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def main() -> int:
    """Measure, and print a table."""
    asked, folder = parsed(), data_folder()
    if folder is None:
        print("ml100k is not there: see benchmarks.ml100k", file=sys.stderr)
        return 1
    films = read_films(folder, Path("var/ml100k/vectors.npz"))
    rows = measured(leave_last_out(read_ratings(folder), films), films, known_by_contents(), asked)
    if asked.json:
        print(json.dumps(rows, indent=1))
        return 0
    print(f"{'':24}{'NDCG@10':>10}{'95 %':>20}{'ε':>8}{'noise':>8}{'steps':>7}{'s':>7}")
    for row in rows:
        low, high = row["interval"]
        more = [f"{row[key]:.2f}" if key in row else "" for key in ("epsilon", "noise")]
        print(
            f"{row['name']!s:24}{row['ndcg_at_10']:>10.4f}{f'{low:.4f} to {high:.4f}':>20}"
            f"{more[0]:>8}{more[1]:>8}{row.get('steps', '')!s:>7}{row.get('seconds', 0):>7.0f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
