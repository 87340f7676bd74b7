"""How fast events are recorded, read and exported, in SQLite and in PostgreSQL.

    python -m benchmarks.events [--events 50000] [--url postgresql://127.0.0.1/test] [--rounds 3] [--json]

Each round fills a new store of each kind, by turns, so that both see the same load of the machine; medians over the
rounds. PostgreSQL is measured in a schema of its own, which is dropped afterwards, and left out where no URL is
given. Then a file of 20,505 events over a catalogue of 565 items is imported as it is typed, items looked up, by
turns from CSV, JSONL and Parquet: seconds from the start of the program to its end.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from encoders.types import Modality
from engine.core.types import Event, EventKind, ItemId, UserId
from engine.events.files import export_events
from engine.events.sql import SqlEventStore
from engine.events.types import UserEvent
from engine.store.base import Point
from engine.store.collections import collections, open_store
from engine.store.settings import StoreSettings

START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = [EventKind.IMPRESSION, EventKind.VIEW, EventKind.CLICK, EventKind.LIKE, EventKind.PURCHASE]
BATCH = 1000
SINGLES = 200
IMPORTED, CATALOGUE, DIMENSION = 20_505, 565, 384


def make_events(count: int, users: int = 1000, items: int = 20_000) -> list[UserEvent]:
    """Events of many persons over half a year, each with an id, a request and a context."""
    random = np.random.default_rng(7)
    seconds = np.sort(random.integers(0, 180 * 86400, count))
    who, what = random.integers(users, size=count), random.integers(items, size=count)
    return [
        UserEvent(
            UserId(f"user {who[row]}"),
            Event(
                KINDS[row % len(KINDS)],
                ItemId(f"item {what[row]}"),
                time=START + timedelta(seconds=int(seconds[row])),
                id=f"{random.integers(1 << 60):x}-{row}",
                request_id=f"request {row // 20}",
                context={"device": "phone", "hour": str(row % 24)},
            ),
        )
        for row in range(count)
    ]


def measure(store: SqlEventStore, events: list[UserEvent]) -> dict[str, float]:
    """One round over an empty store."""
    bulk, singles = events[:-SINGLES], events[-SINGLES:]

    def record() -> None:
        for start in range(0, len(bulk), BATCH):
            store.record(bulk[start : start + BATCH])

    def again() -> None:
        for start in range(0, len(bulk), BATCH):
            store.record(bulk[start : start + BATCH])

    figures = {
        "record_per_s": len(bulk) / _seconds(record),
        "duplicates_per_s": len(bulk) / _seconds(again),
        "export_per_s": len(bulk) / _seconds(lambda: sum(1 for _ in store.export())),
    }
    one = [_seconds(lambda event=event: store.record([event])) for event in singles]
    page = [_seconds(lambda row=row: store.history(UserId(f"user {row}"), limit=50)) for row in range(SINGLES)]
    figures["record_one_p50_ms"] = float(np.median(one)) * 1000
    figures["record_one_p95_ms"] = float(np.percentile(one, 95)) * 1000
    figures["history_50_p50_ms"] = float(np.median(page)) * 1000
    return figures


def measure_import(rounds: int) -> dict[str, float]:
    """Seconds that `triveni events import` takes, per format, and events per second of the CSV file."""
    events = make_events(IMPORTED, items=CATALOGUE)
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make_catalogue(folder / "store")
        for suffix in (".csv", ".jsonl", ".parquet"):
            export_events(folder / f"events{suffix}", events)
        for _ in range(rounds):
            for suffix in (".csv", ".jsonl", ".parquet"):
                seconds.setdefault(suffix[1:], []).append(_import(folder, f"events{suffix}"))
    figures = {f"import_{suffix}_s": float(np.median(each)) for suffix, each in seconds.items()}
    return {**figures, "import_csv_per_s": IMPORTED / figures["import_csv_s"]}


def _make_catalogue(folder: Path) -> None:
    vectors = np.random.default_rng(7).normal(size=(CATALOGUE, DIMENSION)).astype(np.float32)
    store = open_store(
        collections(StoreSettings(path=folder)),
        "items",
        fingerprint="0" * 32,
        dimension=DIMENSION,
        modalities=list(Modality),
    )
    store.upsert([Point(ItemId(f"item {row}"), {Modality.TEXT: one}) for row, one in enumerate(vectors)])
    store.close()


def _import(folder: Path, file: str) -> float:
    """Import into a new event store, in a process of its own."""
    with tempfile.TemporaryDirectory() as fresh:
        env = {
            **os.environ,
            "TRIVENI_STORE__PATH": str(folder / "store"),
            "TRIVENI_EVENTS__URL": f"sqlite:///{fresh}/events.db",
        }
        command = [
            sys.executable,
            "-m",
            "engine.cli",
            "events",
            "import",
            str(folder / file),
            "--check-items",
            "--json",
        ]
        started = time.perf_counter()
        done = subprocess.run(command, env=env, cwd=folder, capture_output=True, check=True)
        took = time.perf_counter() - started
    assert json.loads(done.stdout)["recorded"] == IMPORTED, done.stdout
    return took


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@contextmanager
def sqlite_store() -> Iterator[SqlEventStore]:
    """A new store in a folder that is deleted."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqlEventStore(f"sqlite:///{Path(folder) / 'events.db'}")
        yield store
        store.close()


@contextmanager
def postgres_store(url: str) -> Iterator[SqlEventStore]:
    """A new store in a schema that is dropped."""
    name = f"bench_{uuid.uuid4().hex}"
    base = make_url(url).set(drivername="postgresql+psycopg")
    admin = create_engine(base)
    with admin.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    inside = base.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(hide_password=False)
    store = SqlEventStore(inside)
    try:
        yield store
    finally:
        store.close()
        with admin.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
        admin.dispose()


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--url", default="", help="a PostgreSQL database")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    events = make_events(options.events)
    rounds: dict[str, list[dict[str, float]]] = {}
    for _ in range(options.rounds):
        with sqlite_store() as store:
            rounds.setdefault("sqlite", []).append(measure(store, events))
        if options.url:
            with postgres_store(options.url) as store:
                rounds.setdefault("postgresql", []).append(measure(store, events))
    figures = {
        kind: {name: float(np.median([one[name] for one in runs])) for name in runs[0]}
        for kind, runs in rounds.items()
    }
    imported = measure_import(options.rounds)
    if options.json:
        print(json.dumps({"events": options.events, "rounds": options.rounds, **figures, "import": imported}))
        return
    print(f"{options.events} events, medians of {options.rounds} rounds")
    print(f"{'':20}" + "".join(f"{kind:>14}" for kind in figures))
    for name in figures["sqlite"]:
        print(f"{name:20}" + "".join(f"{figures[kind][name]:14.2f}" for kind in figures))
    print(f"import of {IMPORTED} events over {CATALOGUE} items")
    for name, value in imported.items():
        print(f"{name:20}{value:14.2f}")


if __name__ == "__main__":
    main()
