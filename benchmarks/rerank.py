"""Recommend with the trained reranker against what cannot be left out; and the full tier against the small one.

    python -m benchmarks.rerank [--items 20000] [--candidates 200] [--store DIR] [--json]

What cannot be left out are the bare store calls and a bare forward pass. The version is trained for one epoch on
made-up histories: how fast it is does not depend on how good it is. The candidates are cut to the number asked for
first. A tier's step is all that it does with a request: features of the candidates, forward pass, scores; the person
is read before, once for all tiers. All is timed by turns.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.recommend import NOW, NoEncoder, Recorder, build, user
from benchmarks.synthetic import catalogue
from engine.catalog.items import read_items
from engine.core.threads import one_blas_thread
from engine.core.types import Candidates, ItemId, Query, UserId
from engine.events.types import UserEvent
from engine.learn.fit import FitSettings, fit
from engine.learn.log import event_log
from engine.learn.network.distil import DistilSettings
from engine.learn.network.train import TrainSettings
from engine.learn.rows.dataset import RowSettings
from engine.query.models import Contribution, Fixed
from engine.query.pipeline import Engine
from engine.query.reranker import Reranker
from engine.query.resolve import QuerySignals
from engine.rerank.collate import collate
from engine.rerank.compiled import compile_network
from engine.rerank.served import LearnedModel
from engine.rerank.version import Version

Work = Callable[[], Any]

LEARNED = FitSettings(
    rows=RowSettings(steps=5, folds=2), training=TrainSettings(epochs=1), small=DistilSettings(epochs=1)
)
"""As little as makes a version."""


class CutModel:
    """A model with one of its tiers, over at most so many candidates; keeps what it was asked last."""

    def __init__(self, model: LearnedModel, tier: str, most: int) -> None:
        self._model, self._tier, self.most = model, tier, most
        self.version, self.fingerprint = model.version, model.fingerprint
        self.asked: tuple[Query, QuerySignals, Candidates] | None = None

    def contribute(self, query: Query, signals: QuerySignals, exclude: Sequence[ItemId]) -> Contribution:
        """The model's, with one tier."""
        contribution = self._model.contribute(query, signals, exclude)
        return replace(
            contribution, rerankers=tuple(Cut(one, self) for one in contribution.rerankers if one.tier == self._tier)
        )

    def close(self) -> None:
        """Nothing."""


class Cut:
    """A reranker over the best candidates; the deadline is never too short for it."""

    def __init__(self, inner: Reranker, model: CutModel) -> None:
        self._inner, self._model = inner, model
        self.version, self.tier, self.seconds = inner.version, inner.tier, 0.0

    def rerank(self, query: Query, signals: QuerySignals, candidates: Candidates) -> Candidates:
        """Cut, then rerank."""
        best = candidates.take(np.argsort(-candidates.scores, kind="stable")[: self._model.most])
        self._model.asked = query, signals, best
        return self._inner.rerank(query, signals, best)


def tier_works(
    version: Version, model: LearnedModel, query: Query, signals: QuerySignals, candidates: Candidates
) -> dict[str, Work]:
    """What each tier does with a request: its step, and its bare forward pass."""
    full, small = model.contribute(query, signals, ()).rerankers
    request, table = model.reader.ranking_input(model.reader.user(query, signals), candidates)
    batch, network = collate([request], table), version.small
    assert network is not None

    compiled = version.compiled
    assert compiled is not None

    def uncompiled() -> None:
        with torch.inference_mode():
            version.network(batch)

    return {
        "full_step": lambda: full.rerank(query, signals, candidates),
        "small_step": lambda: small.rerank(query, signals, candidates),
        "full_forward": lambda: compiled.logits(batch),
        "full_uncompiled": uncompiled,
        "small_forward": lambda: network.logits(request.dense),
    }


def by_turns(works: Mapping[str, Work], columns: dict[str, list[float]]) -> None:
    """Do each once, and note how long it took, in milliseconds."""
    for name, work in works.items():
        began = time.perf_counter()
        work()
        columns.setdefault(name, []).append((time.perf_counter() - began) * 1000)


def tier_ratios(p50: Mapping[str, float]) -> dict[str, float]:
    """How many times faster the small tier is."""
    return {f"{part}_ratio": p50[f"full_{part}"] / p50[f"small_{part}"] for part in ("step", "forward")}


def tiers_line(p50: Mapping[str, float]) -> str:
    """The tiers beside each other."""
    ratios = tier_ratios(p50)
    said = [
        f"{part} full {p50[f'full_{part}']:.2f} ms, small {p50[f'small_{part}']:.3f}, "
        f"{ratios[f'{part}_ratio']:.1f} times faster"
        for part in ("step", "forward")
    ]
    return f"{'; '.join(said)} (goal 3)"


def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    """Per work how long each request took, in milliseconds."""
    made = catalogue(options.items)
    random = np.random.default_rng(1)
    columns: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        store = build(made, options.store or Path(scratch))
        learned_from = [
            UserEvent(UserId(f"u{number}"), event) for number in range(200) for event in user(made, random, 20, 2)
        ]
        version = fit(event_log(learned_from), read_items(store), LEARNED).version
        version = replace(version, compiled=compile_network(version.network))
        recorder = Recorder(store)
        model, recorded = (
            LearnedModel(version, "v", made.manifest.fingerprint, held, clock=lambda: NOW)  # type: ignore[arg-type]
            for held in (store, recorder)
        )
        cut = {tier: CutModel(model, tier, options.candidates) for tier in ("full", "small")}
        kept = CutModel(recorded, "full", options.candidates)
        full, small, recording = (
            Engine(NoEncoder(), made.manifest, held, models=Fixed(one), clock=lambda: NOW)  # type: ignore[arg-type]
            for one, held in ((cut["full"], store), (cut["small"], store), (kept, recorder))
        )
        queries = [Query(history=user(made, random, options.events, 4), limit=20) for _ in range(options.users)]
        for turn in range(options.rounds + 1):
            for query in queries:
                recorder.calls.clear()
                recording.recommend(query)
                calls = list(recorder.calls)
                tiers = [engine.recommend(query).tier for engine in (full, small)]
                if tiers != ["full", "small"] or kept.asked is None:
                    raise SystemExit(f"tiers {tiers} answered")
                works: dict[str, Work] = {
                    "recommend": lambda query=query: full.recommend(query),
                    "recommend_small": lambda query=query: small.recommend(query),
                    "store": lambda calls=calls: [call() for call in calls],
                    **tier_works(version, model, *kept.asked),
                }
                by_turns(works, columns if turn else {})  # the first round warms up
        store.close()
    return columns


def main() -> None:
    """Build, train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--events", type=int, default=50)
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    one_blas_thread()
    torch.set_num_threads(1)  # as many as the compiled network has
    columns = measure(options)
    p50 = {name: float(np.median(column)) for name, column in columns.items()}
    ratios = {"ratio": p50["recommend"] / (p50["store"] + p50["full_forward"]), **tier_ratios(p50)}
    if options.json:
        print(json.dumps({**p50, **ratios}))
        return
    print(
        f"recommend p50 {p50['recommend']:.2f} ms (goal 10); store calls {p50['store']:.2f}, forward pass of "
        f"{options.candidates} candidates {p50['full_forward']:.2f} (by PyTorch {p50['full_uncompiled']:.2f}); "
        f"ratio {ratios['ratio']:.2f} (goal 1.3)"
    )
    print(f"recommend with the small tier p50 {p50['recommend_small']:.2f} ms")
    print(tiers_line(p50))


if __name__ == "__main__":
    main()
