"""The item vectors of a version in a store: written beside those of the serving one, dropped at retirement."""

from collections.abc import Callable

import numpy as np

from engine.items import ItemTable
from engine.learn.train import Stop
from engine.rerank.features import Table
from engine.rerank.taste import TasteModel
from engine.store.base import Distance, VectorStore


def vector_name(version: str) -> str:
    """The name of a version's vectors in a store."""
    return f"taste-{version}"


def write_taste(
    store: VectorStore,
    version: str,
    model: TasteModel,
    items: ItemTable,
    table: Table,
    *,
    batch: int = 1024,
    progress: Callable[[float], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Write the taste vectors of items that lack them.

    Idempotent: items that have a vector of this version are passed over, so a run that was stopped or killed goes on
    where it was, and a later one writes only what is new. A version's vectors never change but with an item's
    contents; drop them first to write all anew. Readers of other vectors are not disturbed. Searches are exact, but
    slower, until the store's next `optimize`.

    Args:
        store: where the items are.
        version: of the model.
        model: its towers.
        items: the catalogue (m,).
        table: its vectors and the model's ids of its items; the first m rows are the items.
        batch: items per write.
        progress: is told the share that is done.
        stopped: says whether to stop.

    Returns:
        How many items a vector was written for; items that have left the store are left out.

    Raises:
        StoreError: if the version's name makes no name of a vector, or its vectors have another dimension.
        Stop: if `stopped` says so.
    """
    name = vector_name(version)
    store.add_vector(name, model.dimension, distance=Distance.COSINE)
    written = 0
    for start in range(0, len(items), batch):
        if stopped():
            raise Stop
        rows = np.arange(start, min(start + batch, len(items)), dtype=np.intp)
        _, there = store.read_vectors(name, [items.ids[row] for row in rows.tolist()])
        rows = rows[~there]
        if len(rows):
            written += store.put_vectors(name, [items.ids[row] for row in rows.tolist()], model.items(table, rows))
        progress(min((start + batch) / len(items), 1.0))
    return written


def drop_taste(store: VectorStore, version: str) -> None:
    """Remove the vectors of a version from a store; without effect if there are none."""
    store.drop_vector(vector_name(version))
