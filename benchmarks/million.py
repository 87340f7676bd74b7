"""Quantised search, and a million items on one machine.

    python -m benchmarks.million [--items 1000000] [--beside 100000] [--quantization 4bit] [--build-memory-mb 0]
    python -m benchmarks.million --items 100000 --beside 0 --quantization none

Fills an embedded store with texts that are hard to search (of intrinsic dimension 48, bent and noisy, in 384
dimensions) and builds its search graphs, as `triveni index` does; the memory of the process that builds is its peak
(VmHWM, with the pages of files that it has mapped). Then recall@10 against comparing all, over 300 queries drawn like
the items, by how widely the graphs are searched; the time of a query, beside a smaller store, query by query in turn;
and the memory of a process of its own that opens the store, searches it 1,000 times and reads the candidates.
`--folder` keeps the stores, and asks those that are there already; `--json` prints JSON.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.store import DIMENSION, HardData, exact
from encoders.types import Floats, Modality
from engine.core.filters import FieldKind
from engine.core.types import ItemId
from engine.store.base import Point, VectorQuery
from engine.store.edge import EdgeStore
from engine.store.quantization import Quantization

QUERIES = 300
ROUNDS = 3
WIDTHS = (64, 128, 192, 256, 384, 512)
_DRAWN = 10_000
"""Vectors at once: the same seed gives the same ones, whatever the size of the store."""


def open_store(folder: Path, quantization: Quantization, build_memory: int = 0) -> EdgeStore:
    """The store of the benchmark."""
    return EdgeStore(
        folder,
        fingerprint="0" * 32,
        dimension=DIMENSION,
        modalities=[Modality.TEXT],
        quantization=quantization,
        build_memory=build_memory,
        optimize_after=0,
    )


def fill(store: EdgeStore, data: HardData, items: int) -> float:
    """Write the items; seconds."""
    store.index_fields({"category": FieldKind.KEYWORD, "price": FieldKind.FLOAT})
    seconds = 0.0
    for start in range(0, items, _DRAWN):
        points = [
            Point(
                ItemId(f"item-{number}"),
                {Modality.TEXT: vector},
                {"title": f"the title of item {number}", "category": f"c{number % 20}", "price": number / 8},
            )
            for number, vector in enumerate(data.draw(_DRAWN)[: items - start], start)
        ]
        begun = time.perf_counter()
        store.upsert(points)
        seconds += time.perf_counter() - begun
    store.flush()
    return seconds


def build(store: EdgeStore) -> dict[str, float]:
    """Build the graphs: seconds, parts, and the peak memory of the process that does, in MiB."""
    peak, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            child = store._optimizer._child
            if child is not None:
                peak.append(memory_of(child.pid, "VmHWM"))

    watching = threading.Thread(target=watch)
    watching.start()
    begun, stages = time.perf_counter(), set[str]()
    store.optimize(lambda share, stage: stages.add(stage))
    ended.set()
    watching.join()
    parts = sum(stage.startswith("building") for stage in stages)
    return {"build s": time.perf_counter() - begun, "parts": parts, "build peak MiB": max(peak)}


def memory_of(process: int | str, name: str = "VmRSS") -> int:
    """MiB that a process holds; 0 of one that has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) // 1024 for line in lines if line.startswith(f"{name}:"))


def recalls(store: EdgeStore, queries: Floats, truth: list[set[str]]) -> list[dict[str, float]]:
    """Recall@10 and the median milliseconds of a query, by how widely the graphs are searched."""
    default, rows = store._search, []
    for ef in sorted({*WIDTHS, default.ef}):
        store._search = replace(default, ef=ef)
        ask(store, queries[:50])
        found, milliseconds = ask(store, queries)
        shares = [len(a & b) / len(b) for a, b in zip(found, truth, strict=True)]
        ef = store._search.over(store.count()).ef
        rows.append({"ef": ef, "recall@10": float(np.mean(shares)), "worst": min(shares), "p50 ms": milliseconds})
    store._search = default
    return rows


def ask(store: EdgeStore, queries: Floats, limit: int = 10) -> tuple[list[set[str]], float]:
    """What each query finds, and the median milliseconds of one."""
    found, times = [], []
    for query in queries:
        begun = time.perf_counter()
        hits = store.query([VectorQuery(query, Modality.TEXT, limit)])[0]
        times.append(1000 * (time.perf_counter() - begun))
        found.append({*map(str, hits.ids)})
    return found, statistics.median(times)


def serving(folder: Path, quantization: Quantization) -> dict[str, float]:
    """What a process of its own holds that serves the store, in MiB, and the seconds that opening takes."""
    command = [sys.executable, "-m", "benchmarks.million", "--serve", str(folder), "--quantization", quantization]
    answer: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answer


def serve(folder: Path, quantization: Quantization) -> dict[str, float]:
    """Open the store, search it, read candidates; see `serving`."""
    before, begun = memory_of("self"), time.perf_counter()
    store = open_store(folder, quantization)
    opened = time.perf_counter() - begun
    for query in HardData(8).draw(1_000):
        hits = store.query([VectorQuery(query, Modality.TEXT, 100)])[0]
        store.candidates(hits.ids)
    held = {name: memory_of("self", name) for name in ("VmRSS", "RssAnon", "RssFile", "VmHWM")}
    store.close()
    return {"open s": opened, "MiB before": before, "MiB over that": held["VmRSS"] - before, **held}


def prepared(folder: Path, items: int, asked: argparse.Namespace) -> tuple[EdgeStore, Floats, dict[str, Any]]:
    """A store of so many items with its graphs, queries, and what it took."""
    data, there = HardData(7), folder.exists()
    store = open_store(folder, asked.quantization, asked.build_memory_mb << 20)
    if there:
        for _ in range(0, items, _DRAWN):
            data.draw(_DRAWN)
        return store, data.draw(QUERIES), {"items": items}
    seconds = fill(store, data, items)
    took = {"items": items, "upsert s": seconds, **build(store)}
    store.close()
    took |= serving(folder, asked.quantization)
    return open_store(folder, asked.quantization, asked.build_memory_mb << 20), data.draw(QUERIES), took


def measure(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    sizes = [size for size in (asked.beside, asked.items) if size]
    stores = [(prepared(folder / f"{asked.quantization}-{size}", size, asked)) for size in sizes]
    result: dict[str, Any] = {"quantization": asked.quantization, "stores": []}
    for store, queries, took in stores:
        truth = exact(store, queries, took["items"])
        result["stores"].append({**took, "search": recalls(store, queries, truth)})
    times: list[list[float]] = [[] for _ in stores]
    for _ in range(ROUNDS):
        for row in range(QUERIES):
            for place, (store, queries, _) in enumerate(stores):
                times[place].append(ask(store, queries[row : row + 1])[1])
    medians = [statistics.median(each) for each in times]
    result["default p50 ms"] = dict(zip(map(str, sizes), medians, strict=True))
    if len(medians) > 1:
        result["p50 ratio"] = medians[1] / medians[0]
    for store, _, _ in stores:
        store.close()
    return result


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--items", type=int, default=1_000_000)
    options.add_argument("--beside", type=int, default=100_000)
    options.add_argument("--quantization", choices=("none", "int8", "4bit"), default="4bit")
    options.add_argument("--build-memory-mb", type=int, default=0)
    options.add_argument("--folder", type=Path)
    options.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--json", action="store_true")
    asked = options.parse_args()
    if asked.serve:
        print(json.dumps(serve(asked.serve, asked.quantization)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        result = measure(asked.folder or Path(temporary), asked)
    if asked.json:
        print(json.dumps(result, indent=1))
        return
    for one in result.pop("stores"):
        rows = one.pop("search")
        print(", ".join(f"{name} {value:,.1f}" for name, value in one.items()))
        for row in rows:
            print("   " + "  ".join(f"{name} {value:.3f}" for name, value in row.items()))
    print(result)


if __name__ == "__main__":
    main()
