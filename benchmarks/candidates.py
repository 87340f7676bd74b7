"""What narrower searches for candidates save and lose.

    python -m benchmarks.candidates [--items 20000] [--store DIR] [--width 256 1.5]... [--json]

Each person's query (50 events on indexed items, 24 results) is answered untrained, with searches of each width by
turns. It tells how many of the items that an exact score of all of them puts first are among the candidates, how much
of the list by practically exact searches each width's list has, and the CPU time of the store's searches.
"""

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.recommend import NOW, NoEncoder, build, user
from benchmarks.synthetic import Catalogue, catalogue, item_id
from encoders.types import Rows
from engine.core.threads import one_blas_thread
from engine.core.types import Candidates, ItemId, Query
from engine.query.pipeline import Engine
from engine.query.score import score
from engine.query.stages import Request, Stages, Tools, retrieve_candidates
from engine.store.base import Hits, VectorQuery, VectorStore
from engine.store.quantization import CANDIDATES, SEARCHES, Search

EXACT = Search(4096, oversampling=4.0)
"""As good as exact."""
BEST = (20, 50, 100, 200)
_CHUNK = 10_000


class Widths:
    """Searches a store as widely as it is told, whatever a search says."""

    def __init__(self, store: VectorStore) -> None:
        self._store, self.width, self.seconds = store, EXACT, 0.0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def query(self, queries: Sequence[VectorQuery]) -> list[Hits]:
        """Search; the time of all threads counts."""
        asked = [replace(query, width=self.width) for query in queries]
        began = time.process_time()
        hits = self._store.query(asked)
        self.seconds = time.process_time() - began
        return hits


def best_items(items: Catalogue, request: Request, most: int) -> list[ItemId]:
    """The items that the request's score puts first, of all that are not excluded."""
    size = len(items.latents)
    totals = []
    for start in range(0, size, _CHUNK):
        cut = slice(start, start + _CHUNK)
        vectors = {modality: matrix[cut] for modality, matrix in items.vectors.items()}
        present = {modality: mask[cut] for modality, mask in items.present.items()}
        count = len(items.latents[cut])
        names = tuple(item_id(row) for row in range(start, start + count))
        totals.append(score(request.intent, Candidates(names, np.zeros(count), vectors, present, ())).total)
    order: Rows = np.argsort(-np.concatenate(totals), kind="stable")
    names = (item_id(row) for row in order[: most + len(request.exclude)].tolist())
    return [name for name in names if name not in request.exclude][:most]


def measure(
    items: Catalogue, store: VectorStore, widths: Sequence[Search], users: int
) -> dict[str, dict[str, float]]:
    """By width the means over all users."""
    held, asked = Widths(store), {}

    def retrieve(request: Request, tools: Tools) -> Candidates:
        asked["request"] = request
        asked["found"] = found = retrieve_candidates(request, tools)
        return found

    engine = Engine(NoEncoder(), items.manifest, held, stages=Stages(retrieve=retrieve), clock=lambda: NOW)  # type: ignore[arg-type]
    random = np.random.default_rng(1)
    columns: dict[Search, dict[str, list[float]]] = {width: defaultdict(list) for width in (EXACT, *widths)}
    for _ in range(users):
        query = Query(history=user(items, random, 50, 4), limit=24)
        engine.recommend(query)  # pages of files are read, and the catalogue is looked at
        wanted = best_items(items, asked["request"], max(BEST))
        exact: set[ItemId] = set()
        for width, column in columns.items():
            held.width = width
            shown = {one.item for one in engine.recommend(query).results}
            exact = exact or shown
            found = {*asked["found"].ids}
            for most in BEST:
                column[f"best_{most}"].append(len(found & {*wanted[:most]}) / most)
            column["list"].append(len(shown & exact) / len(exact))
            column["search_ms"].append(held.seconds * 1000)
    return {
        f"{width.ef} {width.oversampling:g}": {
            name: float(np.median(values) if name == "search_ms" else np.mean(values))
            for name, values in column.items()
        }
        for width, column in columns.items()
    }


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--store", type=Path, help="keep the store in this folder")
    parser.add_argument("--width", type=float, nargs=2, action="append", metavar=("EF", "OVERSAMPLING"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    one_blas_thread()
    widths = [Search(int(ef), over) for ef, over in options.width or ()] or [SEARCHES["4bit"], CANDIDATES]
    items = catalogue(options.items)
    with tempfile.TemporaryDirectory() as scratch:
        store = build(items, options.store or Path(scratch))
        report = measure(items, store, widths, options.users)
        store.close()
    if options.json:
        print(json.dumps(report))
        return
    for name, row in report.items():
        best = ", ".join(f"{row[f'best_{most}']:.4f} of the best {most}" for most in BEST)
        print(f"ef, oversampling {name}: {best}; {row['list']:.4f} of the list; {row['search_ms']:.2f} ms of CPU")


if __name__ == "__main__":
    main()
