"""Which library draws the map of Triveni Studio best: time, and how many neighbours are kept.

`OMP_WAIT_POLICY=passive python -m benchmarks.projection [--items items.npz] [--made 20000] [--json]` measures those
of openTSNE, umap-learn, pacmap and scikit-learn that are installed, on the items of a file that
`engine.catalog.items.save_items` wrote, and on made-up vectors of 48 intrinsic dimensions. Neighbours kept: of an
item's 15 nearest by cosine, the share that is among its 15 nearest on the map, of 1,000 items.
"""

import argparse
import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.store import HardData
from encoders.types import Floats
from engine.catalog.items import load_items
from engine.studio.maps.project import item_vectors, project

NEIGHBOURS = 15
PROBES = 1000


def with_umap(vectors: Floats) -> Floats:
    """umap-learn, with its defaults and cosines."""
    import umap

    return np.asarray(umap.UMAP(metric="cosine").fit_transform(vectors), np.float32)


def with_pacmap(vectors: Floats) -> Floats:
    """PaCMAP, with its defaults; its vectors are of unit length, so that it orders by cosine."""
    import pacmap

    return np.asarray(pacmap.PaCMAP(apply_pca=False).fit_transform(vectors), np.float32)


def with_sklearn(vectors: Floats) -> Floats:
    """The t-SNE of scikit-learn, with its defaults."""
    from sklearn.manifold import TSNE

    return np.asarray(TSNE(init="pca", n_jobs=2).fit_transform(vectors), np.float32)


def with_opentsne(vectors: Floats) -> Floats:
    """What the map is drawn with."""
    return project(vectors)


WAYS: dict[str, Callable[[Floats], Floats]] = {
    "openTSNE": with_opentsne,
    "umap": with_umap,
    "pacmap": with_pacmap,
    "sklearn": with_sklearn,
}


def kept(vectors: Floats, flat: Floats, seed: int = 0) -> float:
    """The share of the nearest that are the nearest on the map, too."""
    probes = np.random.default_rng(seed).choice(len(vectors), min(PROBES, len(vectors)), replace=False)
    near = nearest(-(vectors[probes] @ vectors.T), probes)
    far = (flat**2).sum(1)[None] - 2 * flat[probes] @ flat.T
    close = nearest(far, probes)
    return float(np.mean([len(set(a) & set(b)) / NEIGHBOURS for a, b in zip(near, close, strict=True)]))


def nearest(distances: Floats, probes: np.ndarray) -> list[list[int]]:
    """The nearest others of each probe."""
    distances = distances.copy()
    distances[np.arange(len(probes)), probes] = np.inf
    return [list(row) for row in np.argpartition(distances, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]]


def main() -> None:
    """Measure."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--items", type=Path)
    options.add_argument("--made", type=int, default=20_000)
    options.add_argument("--ways", nargs="*", default=[name for name in WAYS if find_spec(name)])
    options.add_argument("--json", action="store_true", help="print JSON")
    asked = options.parse_args()
    rows = []
    sets = {"made up": HardData(1).draw(asked.made)} if asked.made else {}
    if asked.items:
        sets = {str(asked.items): item_vectors(load_items(asked.items)), **sets}
    for name, vectors in sets.items():
        for way in asked.ways:
            begun = time.perf_counter()
            flat = WAYS[way](vectors)
            seconds = time.perf_counter() - begun
            share = kept(vectors, flat)
            rows.append({"set": name, "items": len(vectors), "way": way, "seconds": seconds, "kept": share})
            if not asked.json:
                print(f"{name}, {len(vectors):,} items, {way}: {seconds:.1f} s, kept {share:.3f}", flush=True)
    if asked.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
