"""Recommend with the trained reranker against what cannot be left out: the bare store calls and a bare forward pass.

    python -m benchmarks.rerank [--items 20000] [--candidates 200] [--store DIR] [--json]

The version is trained for one epoch on made-up histories: how fast it is does not depend on how good it is. The
candidates are cut to the number asked for first. Engine, store calls and forward pass are timed by turns.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.recommend import NOW, NoEncoder, Recorder, build, person
from benchmarks.synthetic import catalogue
from engine.events.types import UserEvent
from engine.items import read_items
from engine.learn.dataset import RowSettings
from engine.learn.fit import FitSettings, fit
from engine.learn.log import event_log
from engine.learn.train import TrainSettings
from engine.models import Fixed
from engine.pipeline import Engine
from engine.rerank.collate import collate
from engine.rerank.learned import LearnedReranker
from engine.rerank.served import LearnedModel
from engine.resolve import Sources
from engine.threads import one_blas_thread
from engine.types import Candidates, ItemId, Query, UserId


class Cut:
    """The reranker over at most so many candidates; keeps the last request as tensors for the bare forward pass."""

    def __init__(self, inner: LearnedReranker, most: int) -> None:
        self._inner, self._most = inner, most
        self.version, self.tier, self.reads_payloads, self.seconds = inner.version, inner.tier, False, 0.0
        self.last: Any = None
        self.keep = False

    def rerank(self, query: Query, sources: Sources, candidates: Candidates) -> Candidates:
        """Cut, then rerank."""
        best = candidates.take(np.argsort(-candidates.scores, kind="stable")[: self._most])
        if self.keep:
            self.last = collate([(made := self._inner.request(query, sources, best))[0]], made[1])
        return self._inner.rerank(query, sources, best)


class CutModel:
    """A model whose only tier is cut."""

    def __init__(self, model: LearnedModel, most: int) -> None:
        self._model, self.cut = model, Cut(model.rerankers[0], most)
        self.version, self.fingerprint, self.rerankers = model.version, model.fingerprint, (self.cut,)

    def candidates(self, query: Query, exclude: Sequence[ItemId]) -> Sequence[ItemId]:
        """The model's."""
        return self._model.candidates(query, exclude)

    def close(self) -> None:
        """Nothing."""


def main() -> None:
    """Build, train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--events", type=int, default=50)
    parser.add_argument("--persons", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    one_blas_thread()
    torch.set_num_threads(2)
    made = catalogue(options.items)
    random = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as scratch:
        store = build(made, options.store or Path(scratch))
        learned_from = [
            UserEvent(UserId(f"u{number}"), event) for number in range(200) for event in person(made, random, 20, 2)
        ]
        settings = FitSettings(rows=RowSettings(steps=5, folds=2), training=TrainSettings(epochs=1))
        version = fit(event_log(learned_from), read_items(store), settings).version
        recorder = Recorder(store)
        models = [
            CutModel(LearnedModel(version, "v", "f", held, clock=lambda: NOW), options.candidates)  # type: ignore[arg-type]
            for held in (store, recorder)
        ]
        engine, recorded = (
            Engine(NoEncoder(), made.manifest, held, models=Fixed(model), clock=lambda: NOW)  # type: ignore[arg-type]
            for held, model in zip((store, recorder), models, strict=True)
        )
        models[1].cut.keep = True
        queries = [Query(history=person(made, random, options.events, 4), limit=20) for _ in range(options.persons)]
        columns: dict[str, list[float]] = {"recommend": [], "store": [], "forward": []}
        for turn in range(options.rounds + 1):
            for query in queries:
                recorder.calls.clear()
                recorded.recommend(query)
                batch = models[1].cut.last
                times = [time.perf_counter()]
                answer = engine.recommend(query)
                times.append(time.perf_counter())
                for call in recorder.calls:
                    call()
                times.append(time.perf_counter())
                with torch.inference_mode():
                    version.network(batch)
                times.append(time.perf_counter())
                if answer.tier != "full":
                    raise SystemExit(f"tier {answer.tier} answered")
                if turn:
                    for column, took in zip(columns.values(), np.diff(times) * 1000, strict=True):
                        column.append(float(took))
        store.close()
    p50 = {name: float(np.median(column)) for name, column in columns.items()}
    ratio = p50["recommend"] / (p50["store"] + p50["forward"])
    if options.json:
        print(json.dumps({**p50, "ratio": ratio}))
        return
    print(
        f"recommend p50 {p50['recommend']:.2f} ms (goal 15); store calls {p50['store']:.2f}, forward pass of "
        f"{options.candidates} candidates {p50['forward']:.2f}; ratio {ratio:.2f} (goal 1.3)"
    )


if __name__ == "__main__":
    main()
