"""The embedded store, of full vectors: recall and latency by ef, and what our reading adds to the bare searches.

    python benchmarks/store.py [--items 100000] [--json]

All items have a text vector, every fourth an image, every eighth a sound. The data is hard: of intrinsic dimension
48, bent and noisy, in 384 dimensions; queries are drawn like the items. Times are medians of interleaved rounds.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import qdrant_edge
from rich.console import Console
from rich.table import Table

from encoders.types import Floats, Modality
from engine.core.filters import FieldKind
from engine.core.types import ItemId
from engine.store.base import Point, VectorQuery
from engine.store.edge import EdgeStore
from engine.store.quantization import SEARCHES

DIMENSION = 384
EFS = (64, 100, 128, 192, 256, 384)
QUERIES = 200
ROUNDS = 40
EVERY = {Modality.TEXT: 1, Modality.IMAGE: 4, Modality.AUDIO: 8}


class HardData:
    """Unit vectors on a bent surface of 48 dimensions, with noise."""

    def __init__(self, seed: int, dimension: int = DIMENSION, intrinsic: int = 48) -> None:
        self._random = np.random.default_rng(seed)
        self._flat = self._random.standard_normal((intrinsic, dimension)) / np.sqrt(intrinsic)
        self._bent = self._random.standard_normal((intrinsic, dimension)) / np.sqrt(intrinsic)

    def draw(self, count: int) -> Floats:
        """(count, dimension) float32."""
        inner = self._random.standard_normal((count, len(self._flat)))
        vectors = inner @ self._flat + np.tanh(inner @ self._bent)
        vectors += 0.02 * self._random.standard_normal(vectors.shape)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def fill(store: EdgeStore, data: HardData, items: int, batch: int = 256) -> dict[str, float]:
    """Write the items, and build the graph; seconds of each step."""
    store.index_fields({"category": FieldKind.KEYWORD, "price": FieldKind.FLOAT})
    writing = 0.0
    for start in range(0, items, batch):
        numbers = range(start, min(items, start + batch))
        drawn = {modality: data.draw(len(numbers)) for modality in EVERY}
        points = [
            Point(
                ItemId(f"item-{number}"),
                {modality: drawn[modality][row] for modality, step in EVERY.items() if number % step == 0},
                {"title": f"the title of item {number}", "category": f"c{number % 20}", "price": number / 8},
            )
            for row, number in enumerate(numbers)
        ]
        begun = time.perf_counter()
        store.upsert(points)
        writing += time.perf_counter() - begun
    begun = time.perf_counter()
    store.flush()
    flushed = time.perf_counter()
    store.optimize()
    return {"upsert": writing, "flush": flushed - begun, "optimize": time.perf_counter() - flushed}


def median_ms(calls: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Milliseconds of each call, the median over interleaved rounds."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            times[name].append(1000 * (time.perf_counter() - begun))
    return {name: statistics.median(values) for name, values in times.items()}


def exact(store: EdgeStore, queries: Floats, items: int, k: int = 10) -> list[set[str]]:
    """The true nearest texts of each query, by comparing all."""
    best_scores = np.full((len(queries), 0), -np.inf, np.float32)
    best_rows = np.zeros((len(queries), 0), np.int64)
    for start in range(0, items, 10_000):
        ids = [ItemId(f"item-{number}") for number in range(start, min(items, start + 10_000))]
        scores = queries @ store.candidates(ids, with_payload=False).vectors[Modality.TEXT].T
        best_scores = np.hstack([best_scores, scores])
        best_rows = np.hstack([best_rows, np.broadcast_to(np.arange(start, start + len(ids)), scores.shape)])
        keep = np.argsort(-best_scores, axis=1)[:, :k]
        best_scores = np.take_along_axis(best_scores, keep, 1)
        best_rows = np.take_along_axis(best_rows, keep, 1)
    return [{f"item-{row}" for row in rows} for rows in best_rows]


def recall_by_ef(folder: Path, queries: Floats, items: int, settings: dict[str, int]) -> list[dict[str, float]]:
    """Recall@10 and milliseconds per single query, for each ef."""
    rows = []
    for ef in EFS:
        store = open_store(folder, ef=ef, **settings)
        truth = exact(store, queries, items)
        asked = [[VectorQuery(query, Modality.TEXT, 10)] for query in queries]
        found = [set(store.query(one)[0].ids) for one in asked]
        recall = float(np.mean([len(a & b) / len(b) for a, b in zip(found, truth, strict=True)]))
        worst = min(len(a & b) for a, b in zip(found, truth, strict=True))
        spent = median_ms({"all": lambda asked=asked, store=store: [store.query(one) for one in asked]}, 5)
        rows.append({"ef": ef, "recall@10": recall, "worst of 10": worst, "ms": spent["all"] / len(queries)})
        store.close()
    return rows


def open_store(folder: Path, *, m: int, ef_construct: int, ef: int) -> EdgeStore:
    """The store of the benchmark."""
    return EdgeStore(
        folder,
        fingerprint="0" * 32,
        dimension=DIMENSION,
        modalities=tuple(EVERY),
        m=m,
        ef_construct=ef_construct,
        ef=ef,
        optimize_after=0,
    )


def reading(store: EdgeStore, data: HardData, ef: int) -> dict[str, float]:
    """What `query` and `candidates` cost beside the bare batch: 12 vectors, 100 hits each, 500 candidates."""
    vectors = data.draw(12)
    queries = [VectorQuery(vector, modality, 100) for vector, modality in zip(vectors, 4 * tuple(EVERY), strict=True)]
    requests = [
        qdrant_edge.QueryRequest(
            query.limit,
            query=qdrant_edge.Query.Nearest(query.vector.tolist(), query.modality.value),
            with_payload=False,
            params=qdrant_edge.SearchParams(hnsw_ef=ef),
        )
        for query in sorted(queries, key=lambda query: query.modality)  # the order that Edge answers fastest
    ]
    batch = qdrant_edge.QueryBatchRequest(requests)
    shard = store._shard._open
    assert shard is not None
    ids = list(dict.fromkeys(item for hits in store.query(queries) for item in hits.ids))[:500]
    cold = iter(
        [[ItemId(f"item-{number}") for number in range(a, a + 500)] for a in range(0, 500 * (ROUNDS + 2), 500)]
    )
    return median_ms(
        {
            "bare query_batch": lambda: shard.query_batch(batch),
            "query": lambda: store.query(queries),
            "candidates": lambda: store.candidates(ids),
            "candidates, payloads not yet read": lambda: store.candidates(next(cold)),
            "candidates without payload": lambda: store.candidates(ids, with_payload=False),
            "query + candidates": lambda: (store.query(queries), store.candidates(ids)),
        }
    )


def main() -> None:
    """Run, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--m", type=int, default=16)
    parser.add_argument("--ef-construct", type=int, default=100)
    parser.add_argument("--ef", type=int, default=SEARCHES["none"].ef)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    data = HardData(7)
    settings = {"m": args.m, "ef_construct": args.ef_construct}
    with tempfile.TemporaryDirectory() as folder:
        before = psutil.Process().memory_info().rss
        store = open_store(Path(folder), ef=args.ef, **settings)
        seconds = fill(store, data, args.items)
        grown = (psutil.Process().memory_info().rss - before) / 2**20
        milliseconds = reading(store, data, args.ef)
        store.close()
        begun = time.perf_counter()
        open_store(Path(folder), ef=args.ef, **settings).close()
        seconds["open and close"] = time.perf_counter() - begun
        recall = recall_by_ef(Path(folder), data.draw(QUERIES), args.items, settings)
    ratio = (milliseconds["query + candidates"] - 1) / milliseconds["bare query_batch"]
    result = {
        "items": args.items,
        **settings,
        "seconds": seconds,
        "resident MiB": grown,
        "recall": recall,
        "milliseconds": milliseconds,
        "(query + candidates - 1 ms) / bare": ratio,
    }
    if args.json:
        print(json.dumps(result, indent=1))
        return
    console = Console()
    for title, rows in (
        (f"recall@10 of {args.items} texts, m {args.m}, ef_construct {args.ef_construct}", recall),
        ("milliseconds, 12 searches of 100 hits, 500 candidates", [milliseconds]),
        ("seconds", [seconds]),
    ):
        table = Table(*map(str, rows[0]), title=title)
        for row in rows:
            table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
        console.print(table)
    console.print(f"(query + candidates - 1 ms) / bare query_batch = {ratio:.2f}; resident memory + {grown:.0f} MiB")


if __name__ == "__main__":
    main()
