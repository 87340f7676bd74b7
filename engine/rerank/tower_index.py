"""The item embeddings of a version in a store: beside those of other versions, and dropped with their version.

A search by the learned query vector finds them there, filters and all.
"""

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import structlog

from encoders.types import Modality, Rows
from engine.core.types import ItemId
from engine.rerank.fields import Fields
from engine.rerank.table import Table
from engine.rerank.two_towers import TwoTowerModel
from engine.store.base import Point, VectorStore

PREFIX = "taste-"
RESCAN_SECONDS = 600.0
"""How often items are looked for that lack a vector: another process may have written them."""
RETRY_SECONDS = 10.0
"""How soon what failed is tried again."""

Identity = Callable[[Sequence[ItemId]], Rows]
"""Of items, the rows of the model's id embedding, 0 for one that it does not know."""


def vector_name(version: str) -> str:
    """The name of a version's vectors in a store."""
    return f"{PREFIX}{version}"


class TowerIndex:
    """Keeps the item embeddings of all items in a store, in a thread of its own once it is started.

    Args:
        store: where the items are.
        version: of the model.
        model: its towers.
        identity: of items, the rows of the model's id embedding.
        batch: items per write.
    """

    def __init__(
        self, store: VectorStore, version: str, model: TwoTowerModel, identity: Identity, *, batch: int = 256
    ) -> None:
        self._store, self._name, self._model, self._identity = store, vector_name(version), model, identity
        self._batch = batch
        self._log = structlog.get_logger("triveni.towers").bind(version=version)
        self._stopped, self._woken = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._changed: dict[ItemId, None] = {}
        self._ready = False
        self._thread = threading.Thread(target=self._follow, name=self._name, daemon=True)

    @property
    def name(self) -> str:
        """The name of its vectors in the store."""
        return self._name

    @property
    def ready(self) -> bool:
        """Whether the items that were there at first have their vectors."""
        return self._ready

    def start(self) -> None:
        """Write what is missing, and follow changes from now on."""
        self._thread.start()

    def close(self) -> None:
        """Stop; what is written stays."""
        self._stopped.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join()

    def changed(self, ids: Sequence[ItemId]) -> None:
        """Items were written: their vectors are made anew soon."""
        with self._lock:
            self._changed.update(dict.fromkeys(ids))
        self._woken.set()

    def fill(self) -> int:
        """Write the vectors of items that lack one. Idempotent: one that was killed goes on where it was.

        Readers of other vectors are not disturbed. Searches are exact, but slower, until the store's next `optimize`.

        Returns:
            How many items a vector was written for.

        Raises:
            StoreError: if the version's name makes no name of a vector, or its vectors have another dimension.
        """
        self._store.add_vector(self._name, self._model.dimension)
        written, cursor = 0, None
        while not self._stopped.is_set():
            page = self._store.scroll(cursor=cursor, limit=self._batch, with_payload=False)
            ids = [point.id for point in page.points]
            if ids:
                _, there = self._store.read_vectors(self._name, ids)
                written += self.write([one for one, has in zip(ids, there.tolist(), strict=True) if not has])
            cursor = page.next_cursor
            if cursor is None:
                break
        return written

    def write(self, ids: Sequence[ItemId]) -> int:
        """Write the vectors of items anew; those that are not in the store are left out."""
        points = [one for one in self._store.retrieve(ids, with_payload=False, once=True) if one is not None]
        if not points:
            return 0
        names = [point.id for point in points]
        table = _table(points, self._model, self._identity(names))
        return self._store.put_vectors(self._name, names, self._model.item_embeddings(table))

    def _follow(self) -> None:
        due = time.monotonic()  # when to look for items that lack a vector, however often changes wake it before
        while not self._stopped.is_set():
            pause = RESCAN_SECONDS
            try:
                if time.monotonic() >= due:
                    due = time.monotonic() + RETRY_SECONDS
                    written = self.fill()
                    due = time.monotonic() + RESCAN_SECONDS
                    if not self._stopped.is_set() and not self._ready:
                        self._ready = True
                        self._log.info("item embeddings are there", written=written)
                self._write_changed()
            except Exception as error:  # noqa: BLE001 (the thread has to live as long as the model)
                self._log.error("item embeddings not written", exc_info=error)
                pause = RETRY_SECONDS
            self._woken.wait(max(min(pause, due - time.monotonic()), 0))
            self._woken.clear()

    def _write_changed(self) -> None:
        with self._lock:
            changed, self._changed = self._changed, {}
        try:
            self.write(list(changed))
        except Exception:
            with self._lock:  # they are still to be done
                self._changed = changed | self._changed
            raise


def drop_others(store: VectorStore, versions: set[str]) -> None:
    """Remove the item embeddings of all versions but these."""
    keep = {vector_name(version) for version in versions}
    for name in store.vectors:
        if name.startswith(PREFIX) and name not in keep:
            store.drop_vector(name)


def _table(points: Sequence[Point], model: TwoTowerModel, identity: Rows) -> Table:
    """The contents of points."""
    config = model.network.config
    vectors, present = {}, {}
    for name in config.modalities:
        modality = Modality(name)
        matrix = np.zeros((len(points), config.dimension), np.float32)
        for row, point in enumerate(points):
            if modality in point.vectors:
                matrix[row] = point.vectors[modality]
        vectors[modality] = matrix
        present[modality] = np.array([modality in point.vectors for point in points], np.bool_)
    return Table(vectors, present, Fields({}, {}), np.zeros(len(points)), identity)
