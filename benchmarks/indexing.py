"""Bulk indexing: against the sum of its bare parts, over an unchanged catalogue, and its memory.

    python -m benchmarks.indexing [--part overlap|unchanged|memory] [--stamps DIR] [--space NAME] [--quick] [--json]

overlap    The Tux Paint stamps (pictures, titles, their own sounds) are decoded with all cores, encoded with all
           cores, and upserted, flushed and optimised; each alone, and then all in `index`. The four alternate, so
           that all see the same load of the machine.
unchanged  The command again over 10,000 items with pictures, nothing of which has changed.
memory     The peak memory of a process that indexes 100,000 texts, against one that indexes 10,000: its own (VmHWM),
           and that of it and its children together, the builder of the search graph among them (PSS, sampled).

`--quick` takes 200 stamps, 1,000 items, and 10,000 against 1,000 texts.
"""

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from encoders.spaces.space import Space
from encoders.types import Prepared
from engine.catalog.ingest import INDEXED_AT, point_of
from engine.cli.demo.catalog import STAMPS, rows
from engine.config.settings import Settings
from engine.core.filters import FieldKind
from engine.encode.settings import SpaceSettings
from engine.opening import open_space
from engine.store.base import Point
from engine.store.edge import EdgeStore
from indexers.catalog import Catalog
from indexers.pipeline import index
from indexers.rows import CatalogEntry
from indexers.seen import IdSet

BATCH = 64
CORES = len(os.sched_getaffinity(0))
ADJECTIVES = ("red", "blue", "small", "large", "old", "new", "wooden", "paper", "glass", "silver", "round", "bright")
NOUNS = ("bird", "cat", "horse", "train", "boat", "flower", "tree", "river", "lamp", "chair", "drum", "piano", "bell")
WORDS = ADJECTIVES + NOUNS


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("overlap", "unchanged", "memory"), action="append")
    parser.add_argument("--stamps", type=Path, default=Path("var/tuxpaint") / STAMPS, help="the folder of the stamps")
    parser.add_argument("--space", default="starter")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peak", nargs=2, metavar=("CATALOG", "STORE"), type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    space = open_space(Settings(space=SpaceSettings(name=options.space)))
    if options.peak:
        print(json.dumps(peak(space, *options.peak)))
        return
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "overlap": lambda: overlap(space, options.stamps, 200 if options.quick else None, options.rounds),
        "unchanged": lambda: unchanged(
            options.space, options.stamps, 1_000 if options.quick else 10_000, options.rounds
        ),
        "memory": lambda: memory(options.space, *((1_000, 10_000) if options.quick else (10_000, 100_000))),
    }
    report = {name: parts[name]() for name in options.part or parts}
    if options.json:
        print(json.dumps(report))
        return
    for name, figures in report.items():
        print(name)
        for key, value in figures.items():
            print(f"  {key.replace('_', ' '):34} {value:,.2f}" if isinstance(value, float) else f"  {key:34} {value}")


# Overlap ----------------------------------------------------------------------------------------------------


def overlap(space: Space, stamps: Path, count: int | None, rounds: int) -> dict[str, Any]:
    """Medians of the bare parts and of the whole, in seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        path = stamps_catalog(stamps, Path(scratch), count, count)
        catalog = Catalog(path, stamps)
        seconds: dict[str, list[float]] = {name: [] for name in ("decode", "encode", "upsert", "index")}
        items = 0
        for turn in range(rounds + 1):
            folder = Path(scratch) / str(turn)
            timed = one_round(space, catalog, folder)
            items = timed.pop("items")
            if turn:  # the first round warms up
                for name, value in timed.items():
                    seconds[name].append(value)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = [whole / sum(alone) for *alone, whole in zip(*seconds.values(), strict=True)]  # `index` is the last
    return {
        "items": items,
        **{f"{name}_s": value for name, value in median.items()},
        "sum_of_parts_s": sum(median.values()) - median["index"],
        "ratio": statistics.median(ratios),
        "ratios": " ".join(f"{ratio:.3f}" for ratio in ratios),
        "within_1.1": statistics.median(ratios) <= 1.1,
    }


def one_round(space: Space, catalog: Catalog, folder: Path) -> dict[str, Any]:
    """Time each part alone, then the whole."""
    entries = all_entries(catalog)
    timed: dict[str, Any] = {"items": len(entries)}

    def decode(entry: CatalogEntry) -> list[Prepared]:
        # The files are read again, so that reading is part of it, as it is of indexing.
        root = catalog.root or Path()
        for name in entry.media.values():
            (root / name).read_bytes()
        return [space.prepare(content) for content in entry.item.contents]

    started = time.perf_counter()
    with ThreadPoolExecutor(CORES) as pool:
        prepared = list(pool.map(decode, entries))
    timed["decode"] = time.perf_counter() - started

    started = time.perf_counter()
    vectors = []
    for at in range(0, len(entries), BATCH):
        group = prepared[at : at + BATCH]
        matrix = iter(space.forward([one for own in group for one in own]))
        vectors += [{one.modality: next(matrix) for one in own} for own in group]
    timed["encode"] = time.perf_counter() - started
    del prepared

    points = [
        point_of(entry.item, own, media=entry.media, digest_=entry.digest)
        for entry, own in zip(entries, vectors, strict=True)
    ]
    store = new_store(space, folder / "bare")
    started = time.perf_counter()
    upsert(store, points)
    timed["upsert"] = time.perf_counter() - started
    store.close()
    del entries, vectors, points

    store = new_store(space, folder / "whole")
    started = time.perf_counter()
    report = index(catalog, store, space, batch=BATCH)
    timed["index"] = time.perf_counter() - started
    if report.written != timed["items"]:
        raise SystemExit(f"indexed {report.written} of {timed['items']} items: the figures would not compare")
    store.close()
    return timed


def upsert(store: EdgeStore, points: list[Point]) -> None:
    """What a store is asked to do for a catalogue of the stamps, and no more."""
    store.index_fields(
        {INDEXED_AT: FieldKind.DATETIME, **dict.fromkeys(("title", "category", "group"), FieldKind.KEYWORD)}
    )
    for at in range(0, len(points), BATCH):
        store.upsert(points[at : at + BATCH])
    store.flush()
    store.optimize()


def all_entries(catalog: Catalog) -> list[CatalogEntry]:
    """The rows that the space can decode; bad ones would be no part of either side."""
    with IdSet() as seen, ThreadPoolExecutor(CORES) as pool:
        return [
            entry for entry in catalog.entries(seen, pool) if isinstance(entry, CatalogEntry) and not entry.missing
        ]


# Unchanged --------------------------------------------------------------------------------------------------


def unchanged(space: str, stamps: Path, count: int, rounds: int) -> dict[str, Any]:
    """Seconds of the first command, and medians of the ones after it: of the whole, and without its start."""
    with tempfile.TemporaryDirectory() as scratch:
        catalog = stamps_catalog(stamps, Path(scratch), None, count)
        environment = {
            **os.environ,
            "TRIVENI_SPACE__NAME": space,
            "TRIVENI_STORE__PATH": f"{scratch}/store",
            "TRIVENI_EVENTS__URL": f"sqlite:///{scratch}/events.db",
        }
        command = [sys.executable, "-m", "engine.cli", "index", str(catalog), "--root", str(stamps), "--json"]
        whole, reports = [], []
        for _ in range(rounds + 1):
            begun = time.monotonic()
            done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
            whole.append(time.monotonic() - begun)
            reports.append(json.loads(done.stdout))
    if any(report["unchanged"] != reports[0]["rows"] for report in reports[1:]) or reports[0]["errors"]:
        raise SystemExit("a later run found changes, or the first had bad rows: this is not the case to be timed")
    again = statistics.median(whole[1:])
    return {
        "items": reports[0]["rows"],
        "first_command_s": whole[0],
        "later_command_s": again,
        "later_without_start_s": statistics.median(report["seconds"] for report in reports[1:]),
        "within_1.6_s": again <= 1.6,
    }


# Memory -----------------------------------------------------------------------------------------------------


def memory(space: str, small: int, large: int) -> dict[str, Any]:
    """Peak memory of two processes, alone and with their children, in MB."""
    peaks: dict[int, dict[str, float]] = {}
    for count in (small, large):
        with tempfile.TemporaryDirectory() as scratch:
            catalog = Path(scratch) / "texts.jsonl"
            chance = random.Random(count)
            with catalog.open("w", encoding="utf-8") as file:
                for number in range(count):
                    text = " ".join(chance.choices(WORDS, k=8))
                    row = {
                        "id": f"text-{number}",
                        "text": text,
                        "category": chance.choice(WORDS),
                        "price": number % 97,
                    }
                    file.write(json.dumps(row) + "\n")
            command = [sys.executable, "-m", "benchmarks.indexing", "--space", space]
            command += ["--peak", str(catalog), str(Path(scratch) / "store")]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            together = tree_peak(process)
            output, _ = process.communicate()
            if process.returncode:
                raise SystemExit(f"indexing {count} texts ended with code {process.returncode}")
            peaks[count] = {**json.loads(output), "tree_mb": together}
    alone = peaks[large]["peak_mb"] - peaks[small]["peak_mb"]
    together = peaks[large]["tree_mb"] - peaks[small]["tree_mb"]
    return {
        "texts": f"{large} against {small}",
        "small_peak_mb": peaks[small]["peak_mb"],
        "large_peak_mb": peaks[large]["peak_mb"],
        "more_mb": alone,
        "small_with_children_mb": peaks[small]["tree_mb"],
        "large_with_children_mb": peaks[large]["tree_mb"],
        "more_with_children_mb": together,
        "large_run_s": peaks[large]["seconds"],
        "within_300_mb": max(alone, together) <= 300,
    }


def tree_peak(process: "subprocess.Popen[str]") -> float:
    """The largest memory in MB of a process and its children while it runs; pages that they share count once."""
    largest, root = 0, psutil.Process(process.pid)
    while process.poll() is None:
        held = 0
        for one in (root, *children(root)):
            with contextlib.suppress(psutil.Error):
                held += one.memory_full_info().pss
        largest = max(largest, held)
        time.sleep(0.1)
    return largest / (1 << 20)


def children(root: psutil.Process) -> list[psutil.Process]:
    """All processes below one; none if it has just ended."""
    try:
        return root.children(recursive=True)
    except psutil.Error:
        return []


def peak(space: Space, catalog: Path, folder: Path) -> dict[str, float]:
    """Index in this process, and read its peak memory from the kernel (proc(5), VmHWM)."""
    store = new_store(space, folder)
    report = index(Catalog(catalog), store, space, batch=BATCH)
    store.close()
    lines = Path("/proc/self/status").read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return {"peak_mb": kilobytes / 1024, "seconds": report.seconds}


# Common -----------------------------------------------------------------------------------------------------


def new_store(space: Space, folder: Path) -> EdgeStore:
    """An empty store of a space."""
    return EdgeStore(
        folder,
        fingerprint=space.fingerprint,
        dimension=space.dimension,
        modalities=space.modalities,
        optimize_after=0,  # as `triveni index` does
    )


def stamps_catalog(stamps: Path, folder: Path, distinct: int | None, count: int | None) -> Path:
    """A catalogue of `count` items over the first `distinct` stamps, taken again and again under new ids."""
    if not stamps.is_dir():
        raise SystemExit(f"no stamps at {stamps}: run make demo first, or name their folder with --stamps")
    found = [row for number, row in enumerate(rows(stamps)) if distinct is None or number < distinct]
    path = folder / "stamps.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(count or len(found)):
            row = found[number % len(found)]
            file.write(json.dumps({**row, "id": f"{number}/{row['id']}"}) + "\n")
    return path


if __name__ == "__main__":
    main()
