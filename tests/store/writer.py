"""A process that writes to an embedded store until it is killed; prints each acknowledged batch.

Item k of version v has vectors from the seed (k, v), so that a reader can tell what should be there.
"""

import sys
from dataclasses import replace
from pathlib import Path

from encoders.types import Modality
from engine.core.types import ItemId
from engine.store.base import Point
from tests.store.implementations import open_edge, point, unit_vectors

ITEMS = 40


def version(item: int, number: int) -> Point:
    """Of every second item each version has another number of pictures."""
    seed = 1_000 * item + number
    made = point(f"item {item}", seed, payload={"version": number})
    further = number % 4 if item % 2 else 0
    return replace(made, more={Modality.IMAGE: unit_vectors(seed + 7, further)}) if further else made


def main(folder: str, first: int) -> None:
    store = open_edge(Path(folder))
    print("open", flush=True)
    for number in range(first, first + 100_000):
        store.upsert([version(item, number) for item in range(ITEMS)])
        deleted = number % ITEMS
        store.delete([ItemId(f"item {deleted}")])
        if number % 5 == 0:
            store.flush()
        print(number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
