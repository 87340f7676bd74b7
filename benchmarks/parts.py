"""Items of several pictures: are they found by each, and what does it cost?

    python -m benchmarks.parts [TUXPAINT] [--cache DIR] [--json]

Tux Paint's stamps are shuffled and made into items of one to five unrelated pictures each. Each picture is asked
for by its title, a text that fits one part of its item only: how often is the item among the first ten? By the best
of its parts, by one mean vector, and by the first picture alone. Then 20,000 items of random vectors of 384
dimensions, one to five parts each, in an embedded store: how long indexing and a search take, and how much of the
exact answer it has, beside a store of the same items with one part each. TUXPAINT is the folder of the unpacked
package.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.catalogues import Catalogue, tux_paint
from encoders.decoding.limits import DecodeLimits
from encoders.spaces.space import Space, unit
from encoders.spaces.starter import load_starter
from encoders.types import Floats, Modality
from engine.core.types import ItemId, Query, QueryPart, VectorInput
from engine.encode.encoding import DirectEncoder
from engine.query.pipeline import Engine
from engine.store.base import Point, VectorQuery
from engine.store.edge import EdgeStore
from engine.store.memory import MemoryStore

IMAGE, TEXT = Modality.IMAGE, Modality.TEXT
MOST = 5
_ITEMS, _DIMENSION, _OWN_DIMENSION, _SEARCHES, _LIMIT = 20_000, 384, 48, 300, 100


def composed(catalogue: Catalogue, seed: int) -> list[list[int]]:
    """Rows of the catalogue, one to five to an item."""
    random = np.random.default_rng(seed)
    rows = random.permutation(np.flatnonzero(catalogue.present[IMAGE] & catalogue.present[TEXT])).tolist()
    made = []
    while rows:
        size = int(random.integers(1, MOST + 1))
        made.append(rows[:size])
        rows = rows[size:]
    return made


def ways(vectors: Floats) -> dict[str, tuple[Floats, Floats | None]]:
    """The vector of an item of these parts (k, d), and its further ones, each way."""
    return {
        "best of parts": (vectors[0], vectors[1:] if len(vectors) > 1 else None),
        "mean vector": (unit(vectors.mean(axis=0)[None])[0], None),
        "first part alone": (vectors[0], None),
    }


def found(space: Space, catalogue: Catalogue, items: Sequence[Sequence[int]], way: str) -> dict[str, float]:
    """How often the item of a picture is among the first ten for the picture's title, by how many parts it has."""
    store = MemoryStore(fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities)
    points = []
    for number, rows in enumerate(items):
        first, more = ways(catalogue.vectors[IMAGE][list(rows)])[way]
        points.append(Point(ItemId(str(number)), {IMAGE: first}, {}, {} if more is None else {IMAGE: more}))
    store.upsert(points)
    engine = Engine(DirectEncoder(space), space.manifest, store)
    hits: dict[str, list[bool]] = {"all": [], "one part": [], "several": [], "the first": [], "another": []}
    for number, rows in enumerate(items):
        for place, row in enumerate(rows):
            part = QueryPart(VectorInput(TEXT, catalogue.vectors[TEXT][row]))
            names = {result.item for result in engine.recommend(Query(parts=(part,), limit=10)).results}
            for key in ("all", "one part" if len(rows) == 1 else "several", "another" if place else "the first"):
                hits[key].append(str(number) in names)
    return {key: round(float(np.mean(values)), 4) for key, values in hits.items()}


def cost(seed: int = 0) -> dict[str, dict[str, float]]:
    """What an embedded store of items of several parts costs, beside one of one part each."""
    random = np.random.default_rng(seed)
    counts = random.integers(1, MOST + 1, _ITEMS)
    owner = np.repeat(np.arange(_ITEMS), counts)
    basis = np.linalg.qr(random.standard_normal((_DIMENSION, _OWN_DIMENSION)))[0].T
    latent = random.standard_normal((_ITEMS, _OWN_DIMENSION))[owner] + random.standard_normal(
        (len(owner), len(basis))
    )
    vectors = unit((latent @ basis).astype(np.float32))
    starts = np.cumsum([0, *counts])
    chosen = random.choice(len(owner), _SEARCHES, replace=False)
    noise = 0.05 * random.standard_normal((_SEARCHES, _DIMENSION))
    asked = unit((vectors[chosen] + noise).astype(np.float32))
    figures = {}
    for name, most in (("one part each", 1), ("one to five parts", MOST)):
        points = [
            Point(ItemId(str(number)), {IMAGE: own[0]}, {}, {IMAGE: own[1:]} if len(own) > 1 else {})
            for number in range(_ITEMS)
            for own in (vectors[starts[number] : starts[number + 1]][:most],)
        ]
        exact = MemoryStore(fingerprint="f", dimension=_DIMENSION, modalities=[IMAGE])
        exact.upsert(points)
        folder = tempfile.mkdtemp()
        shape = {"fingerprint": "f", "dimension": _DIMENSION, "modalities": [IMAGE]}
        store = EdgeStore(Path(folder), **shape, quantization="4bit", optimize_after=0)  # type: ignore[arg-type]
        begun = time.perf_counter()
        store.upsert(points)
        written = time.perf_counter()
        store.optimize()
        built = time.perf_counter()
        figures[name] = {"write_s": round(written - begun, 1), "build_s": round(built - written, 1)}
        figures[name] |= _searched(store, exact, asked)
        store.close()
    return figures


def _searched(store: EdgeStore, exact: MemoryStore, asked: Floats) -> dict[str, float]:
    queries = [VectorQuery(vector, IMAGE, _LIMIT) for vector in asked]
    truth = [exact.query([query])[0].ids for query in queries]
    times, shares = [], []
    for query, right in zip(queries, truth, strict=True):
        begun = time.perf_counter()
        (hits,) = store.query([query])
        times.append(time.perf_counter() - begun)
        (few,) = store.query([replace(query, limit=10)])
        shares.append((len({*few.ids} & {*right[:10]}) / 10, len({*hits.ids} & {*right}) / _LIMIT))
    ten, hundred = np.mean(shares, axis=0)
    return {
        "p50_ms": round(float(np.median(times)) * 1000, 2),
        "recall_at_10": round(float(ten), 4),
        "recall_at_100": round(float(hundred), 4),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="What several pictures per item give and cost")
    parser.add_argument("tuxpaint", nargs="?", type=Path, default=Path("var/tuxpaint"))
    parser.add_argument("--cache", type=Path, default=Path("var/models"), help="folder of networks in ONNX form")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--part", choices=("found", "cost"), help="only this")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    if options.part != "cost":
        space = load_starter(options.cache, DecodeLimits(), "cpu")
        catalogue = tux_paint(space, options.tuxpaint)
        seeds = [composed(catalogue, seed) for seed in range(3)]
        for way in ways(np.eye(2, dtype=np.float32)):
            each = [found(space, catalogue, items, way) for items in seeds]
            figures[way] = {key: round(float(np.mean([one[key] for one in each])), 4) for key in each[0]}
    if options.part != "found":
        figures |= cost()
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    for name, line in figures.items():
        print(f"{name:18}", "   ".join(f"{key} {value}" for key, value in line.items()))


if __name__ == "__main__":
    main()
