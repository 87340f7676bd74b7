"""A process that writes extra vectors into an embedded store until it is killed; prints each acknowledged version.

Item k of version v has a vector from the seed (k, v), so that a reader can tell what should be there.
"""

import sys
from pathlib import Path

import numpy as np

from encoders.types import Floats
from engine.core.types import ItemId
from tests.store.implementations import open_edge, point, unit_vectors

ITEMS = [ItemId(f"item {number}") for number in range(40)]
WIDTH = 5


def matrix(version: int) -> Floats:
    return np.concatenate([unit_vectors(1_000_000 * row + version, 1, WIDTH) for row in range(len(ITEMS))])


def main(folder: str, first: int) -> None:
    store = open_edge(Path(folder))
    store.upsert([point(item, number) for number, item in enumerate(ITEMS)])
    store.add_vector("taste-1", WIDTH)
    for version in range(first, first + 100_000):
        store.put_vectors("taste-1", ITEMS, matrix(version))
        store.add_vector(f"taste-of{version}", 3)
        store.drop_vector(f"taste-of{version - 1}")
        store.upsert([point(ITEMS[version % 40], version)])
        if version % 5 == 0:
            store.flush()
        print(version, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
