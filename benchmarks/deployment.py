"""A large deployment on disk, of the space of the settings: a synthetic catalogue, events and served lists."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from benchmarks.synthetic import catalogue, item_id
from engine import opening
from engine.config.settings import Settings
from engine.core.filters import FieldKind
from engine.events.dump import dumped_tables
from engine.events.insert import insert_fresh

FIELDS = {"category": FieldKind.KEYWORD, "price": FieldKind.FLOAT, "_indexed_at": FieldKind.DATETIME}
KINDS = ("view", "click", "click", "like", "purchase")
_BATCH, _ROWS = 512, 10_000
_SECONDS = 180 * 86400


def fill(settings: Settings, items: int, events: int) -> None:
    """Write items with vectors to the store, and events and served lists of twenty each to the database."""
    space = opening.open_space(settings)
    with closing(opening.open_store(settings, space, bulk=True)) as store:
        store.index_fields(FIELDS)
        for batch in catalogue(items, space.dimension).batches(_BATCH):
            store.upsert(batch)
        store.optimize()
    tables = dumped_tables()
    with closing(opening.event_database(settings)) as database, database.write() as connection:
        for rows in _events(events, items):
            insert_fresh(connection, tables["triveni_events"], rows)
        for rows in _lists(events // 20, items):
            insert_fresh(connection, tables["triveni_impressions"], rows)


def _events(count: int, items: int) -> Iterator[list[dict[str, object]]]:
    random = np.random.default_rng(7)
    times = 1_767_225_600_000_000 + np.sort(random.integers(0, _SECONDS * 10**6, count))
    people, popular = random.integers(max(count // 50, 1), size=count), random.zipf(1.2, count) % items
    nothing = dict.fromkeys(("text", "vector", "modality", "fingerprint", "value"))
    for start in range(0, count, _ROWS):
        yield [
            {
                "id": f"{random.integers(1 << 60):015x}-{row}",
                "user_id": f"user-{people[row]:06d}",
                "time": int(times[row]),
                "kind": KINDS[row % len(KINDS)],
                "item_id": item_id(int(popular[row])),
                "request_id": f"request-{row // 20}",
                "context": '{"device":"phone"}',
                **nothing,
            }
            for row in range(start, min(start + _ROWS, count))
        ]


def _lists(count: int, items: int) -> Iterator[list[dict[str, object]]]:
    random = np.random.default_rng(8)
    for start in range(0, count, _ROWS):
        yield [
            {
                "request_id": f"request-{row}",
                "user_id": f"user-{row % 20_000:06d}",
                "time": 1_767_225_600_000_000 + row * 10**6,
                "model": "untrained",
                "tier": "retrieval",
                "items": json.dumps([item_id(int(one)) for one in random.integers(items, size=20)]),
                "positions": json.dumps([*range(1, 21)]),
                "propensities": json.dumps([1.0] * 20),
                "context": "{}",
            }
            for row in range(start, min(start + _ROWS, count))
        ]


def settings_in(folder: Path) -> Settings:
    """Settings with all state below a folder."""
    return Settings.model_validate(
        {
            "store": {"path": folder / "store"},
            "events": {"url": f"sqlite:///{folder / 'events.db'}"},
            "models": {"path": folder / "trained"},
        }
    )


def environment(folder: Path) -> dict[str, str]:
    """The same, for a process."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("TRIVENI_")},
        "TRIVENI_STORE__PATH": str(folder / "store"),
        "TRIVENI_EVENTS__URL": f"sqlite:///{folder / 'events.db'}",
        "TRIVENI_MODELS__PATH": str(folder / "trained"),
        "TRIVENI_LOG__JSON_LINES": "true",
    }


def serve(folder: Path) -> subprocess.Popen[str]:
    """`triveni serve` over it, on a free port."""
    command = [sys.executable, "-m", "engine.cli", "serve", "--address", "127.0.0.1:0"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(folder))


def size_of(folder: Path) -> int:
    """Bytes on disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
