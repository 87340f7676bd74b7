"""Recommend in process against the bare store calls that it needs.

    python -m benchmarks.recommend [--items 100000] [--store DIR] [--json]
    python -m benchmarks.recommend --items 950 --url grpc://127.0.0.1:6334 [--url http://127.0.0.1:6333]

Each person's query is answered by the engine (50 events on indexed items, 20 results, policy on), and the store calls
that it made are recorded; then the same calls with the same arguments are made on the bare store. The two
alternate, so that both see the same load of the machine.

With --url the same items are put into a collection of a Qdrant server too, which is removed in the end, and the
engine answers each query from the embedded store and from the server by turns.
"""

import argparse
import json
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.synthetic import Catalogue, catalogue, item_id
from encoders.types import Content, Modality
from engine.core.deadline import Deadline
from engine.core.filters import FieldKind, Filter, Range
from engine.core.threads import one_blas_thread
from engine.core.types import Event, EventKind, PolicyOptions, Query
from engine.encode.encoding import Encoded
from engine.query.pipeline import Engine
from engine.store.base import VectorStore
from engine.store.edge import EdgeStore
from engine.store.settings import DEFAULTS

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SCHEMA = {
    "category": FieldKind.KEYWORD,
    "price": FieldKind.FLOAT,
    "popularity": FieldKind.INTEGER,
    "_indexed_at": FieldKind.DATETIME,
}
KINDS = [EventKind.VIEW, EventKind.CLICK, EventKind.LIKE, EventKind.PURCHASE, EventKind.SKIP, EventKind.DISLIKE]
ODDS = [0.35, 0.3, 0.15, 0.1, 0.05, 0.05]


class NoEncoder:
    """There is nothing to encode here: histories are of indexed items."""

    def encode(self, contents: Sequence[Content], deadline: Deadline) -> list[Encoded]:
        """Refuse."""
        raise RuntimeError("a history of this benchmark holds a content, which it cannot encode")


class Recorder:
    """Passes calls on to a store and remembers them."""

    def __init__(self, store: EdgeStore) -> None:
        self._store = store
        self.calls: list[Callable[[], Any]] = []

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._store, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(lambda: value(*args, **kwargs))
            return value(*args, **kwargs)

        return call


def build(items: Catalogue, folder: Path) -> EdgeStore:
    """Open the store in `folder`, and fill and optimise it if it is empty; its settings are the defaults."""
    store = EdgeStore(
        folder,
        fingerprint=items.manifest.fingerprint,
        dimension=items.manifest.dimension,
        modalities=tuple(Modality),
        quantization=DEFAULTS.quantization,
        optimize_after=0,
    )
    if store.count() != len(items.latents):
        fill(store, items)
    return store


def fill(store: VectorStore, items: Catalogue) -> None:
    """Put the items into an empty store."""
    started = time.perf_counter()
    store.index_fields(SCHEMA)
    for batch in items.batches(1024):
        store.upsert(batch)
    store.flush()
    store.optimize()
    print(f"store of {len(items.latents)} items built in {time.perf_counter() - started:.0f} s")


@contextmanager
def on_server(items: Catalogue, url: str) -> Iterator[VectorStore]:
    """The items in a collection of their own on a server; it is removed in the end."""
    from engine.store.server import ServerStore
    from engine.store.server_client import connect

    client, name = connect(url), f"benchmark-{uuid.uuid4().hex[:8]}"
    store = ServerStore(
        client,
        name,
        fingerprint=items.manifest.fingerprint,
        dimension=items.manifest.dimension,
        modalities=tuple(Modality),
    )
    try:
        fill(store, items)
        yield store
    finally:
        client.call(lambda qdrant: qdrant.delete_collection(name))
        store.close()
        client.close()


def user(items: Catalogue, random: np.random.Generator, events: int, interests: int) -> tuple[Event, ...]:
    """A history: events around a few items, over the last 60 days."""
    history = []
    for number in range(events):
        if number % max(events // interests, 1) == 0:
            anchor = items.latents[random.integers(len(items.latents))]
            near = np.argsort(-(items.latents[:20_000] @ anchor))[:40]
        history.append(
            Event(
                KINDS[random.choice(len(KINDS), p=ODDS)],
                item=item_id(int(random.choice(near))),
                time=NOW - timedelta(days=float(random.uniform(0, 60))),
            )
        )
    return tuple(history)


def measure(
    engine: Engine, recorded: Engine, recorder: Recorder, queries: list[Query], rounds: int
) -> dict[str, Any]:
    """Medians in milliseconds over all queries and rounds, engine and bare calls by turns."""
    whole, bare = [], []
    sizes = []
    for turn in range(rounds + 1):
        for query in queries:
            recorder.calls.clear()
            recorded.recommend(query)
            started = time.perf_counter()
            result = engine.recommend(query)
            middle = time.perf_counter()
            for call in recorder.calls:
                call()
            ended = time.perf_counter()
            if turn:  # the first round warms up
                whole.append((middle - started) * 1000)
                bare.append((ended - middle) * 1000)
                sizes.append(len(result.results))
    p50, base = float(np.median(whole)), float(np.median(bare))
    return {
        "recommend_p50_ms": p50,
        "recommend_p95_ms": float(np.percentile(whole, 95)),
        "bare_p50_ms": base,
        "ratio": p50 / base,
        "bound_ms": 1.5 * base + 1,
        "within": p50 <= 1.5 * base + 1,
        "results": float(np.mean(sizes)),
        "store_calls": len(recorder.calls),
    }


def compare(embedded: Engine, server: Engine, queries: list[Query], rounds: int) -> dict[str, Any]:
    """Medians in milliseconds, the two by turns; the answers are compared as well."""
    times: tuple[list[float], list[float]] = ([], [])
    same = 0
    for turn in range(rounds + 1):
        for query in queries:
            answers = []
            for engine, kept in zip((embedded, server), times, strict=True):
                started = time.perf_counter()
                answers.append([one.item for one in engine.recommend(query).results])
                if turn:  # the first round warms up
                    kept.append((time.perf_counter() - started) * 1000)
            same += answers[0] == answers[1]
    p50, base = float(np.median(times[1])), float(np.median(times[0]))
    return {
        "server_p50_ms": p50,
        "server_p95_ms": float(np.percentile(times[1], 95)),
        "embedded_p50_ms": base,
        "ratio": p50 / base,
        "same_answers": same / (len(queries) * (rounds + 1)),
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=50)
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", type=Path, help="keep the store in this folder")
    parser.add_argument("--url", action="append", default=[], help="compare with this Qdrant server instead")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    one_blas_thread()
    items = catalogue(options.items)
    with tempfile.TemporaryDirectory() as scratch:
        store = build(items, options.store or Path(scratch))
        recorder = Recorder(store)
        engine = Engine(NoEncoder(), items.manifest, store, clock=lambda: NOW)
        recorded = Engine(NoEncoder(), items.manifest, recorder, clock=lambda: NOW)
        random = np.random.default_rng(1)
        histories = [user(items, random, options.events, 4) for _ in range(options.users)]
        cases: dict[str, tuple[Filter | None, PolicyOptions]] = {
            "plain": (None, PolicyOptions()),
            "filter": (Range("price", lte=50.0), PolicyOptions()),
            "cap": (None, PolicyOptions(max_per_value={"category": 2})),
        }
        asked = {
            name: [Query(history=h, limit=20, filter=filter_, policy=policy) for h in histories]
            for name, (filter_, policy) in cases.items()
        }
        report: dict[str, dict[str, Any]] = {}
        if not options.url:
            for name, queries in asked.items():
                report[name] = measure(engine, recorded, recorder, queries, options.rounds)
        for url in options.url:
            with on_server(items, url) as other:
                server = Engine(NoEncoder(), items.manifest, other, clock=lambda: NOW)
                for name, queries in asked.items():
                    report[f"{name} {url}"] = compare(engine, server, queries, options.rounds)
        store.close()
    if options.json:
        print(json.dumps(report))
        return
    for name, row in report.items():
        show(name, row)


def show(name: str, row: dict[str, Any]) -> None:
    """Print a line of the report."""
    if "bound_ms" in row:
        print(
            f"{name:8} recommend p50 {row['recommend_p50_ms']:6.2f} ms, p95 {row['recommend_p95_ms']:6.2f}; "
            f"bare calls {row['bare_p50_ms']:6.2f} ms; ratio {row['ratio']:.2f}; "
            f"bound {row['bound_ms']:.2f} ms: {'met' if row['within'] else 'MISSED'}"
        )
    else:
        print(
            f"{name}: server p50 {row['server_p50_ms']:.1f} ms, p95 {row['server_p95_ms']:.1f}; "
            f"embedded p50 {row['embedded_p50_ms']:.1f}; ratio {row['ratio']:.1f}; "
            f"same answers {row['same_answers']:.1%}"
        )


if __name__ == "__main__":
    main()
