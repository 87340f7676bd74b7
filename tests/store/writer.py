"""A process that writes to an embedded store until it is killed; prints each acknowledged batch.

Item k of version v has vectors from the seed (k, v), so that a reader can tell what should be there.
"""

import sys
from pathlib import Path

from engine.core.types import ItemId
from engine.store.base import Point
from tests.store.implementations import open_edge, point

ITEMS = 40


def version(item: int, number: int) -> Point:
    return point(f"item {item}", 1_000 * item + number, payload={"version": number})


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
