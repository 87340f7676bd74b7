"""Items that may be copies of each other: pairs whose vectors of one modality are nearly the same."""

import math
import threading
from dataclasses import dataclass, replace

import numpy as np

from encoders.spaces.space import PairCalibration, SpaceManifest
from encoders.types import Floats, Modality
from engine.query.similarity import nearness
from engine.store.base import VectorStore

ITEMS = 20_000
"""Items that are compared, the first of the store's order."""
PAIRS = 200
"""Pairs that are told, the nearest."""

_COPIES = 2.0
"""E-folds by which a copy is nearer to 1 than the cosine from which on the engine may recognise one."""
_BLOCK = 512
_PAGE = 1024


@dataclass(frozen=True, slots=True)
class Pair:
    """Two items that are nearly the same."""

    first: str
    second: str
    cosine: float


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What was found, or how far the search is."""

    modality: str = ""
    """"" if nothing was searched for yet."""
    above: float = 0.0
    """The least cosine of a pair."""
    running: bool = False
    share: float = 0.0
    items: int = 0
    """Items that were compared."""
    found: int = 0
    """All pairs; `pairs` are the nearest of them."""
    pairs: tuple[Pair, ...] = ()


def copies_above(pair: PairCalibration, modality: Modality) -> float:
    """The cosine above which two contents of one modality are taken for copies of each other.

    Recognition (`engine.query.similarity`) begins at `nearness` and grows by three standard deviations for each
    e-fold of the distance; two of them part copies from what is only much alike.
    """
    return 1 - (1 - nearness(pair, modality)) * math.exp(-_COPIES)


class DuplicateSearch:
    """Searches on demand, one search at a time, in a thread; any number of threads may ask how it stands.

    Args:
        store: the catalogue.
        manifest: of its space; its calibration says which cosines are those of copies.
    """

    def __init__(self, store: VectorStore, manifest: SpaceManifest) -> None:
        self._store, self._manifest = store, manifest
        self._lock = threading.Lock()
        self._state = Duplicates()

    @property
    def state(self) -> Duplicates:
        """How it stands."""
        return self._state

    def start(self, modality: Modality, above: float | None = None) -> None:
        """Begin to search; without effect while a search runs.

        Args:
            modality: whose vectors are compared.
            above: the least cosine; None is `copies_above`.
        """
        pair = self._manifest.calibration[modality, modality]
        least = copies_above(pair, modality) if above is None else above
        with self._lock:
            if self._state.running:
                return
            self._state = Duplicates(str(modality), least, running=True)
        threading.Thread(target=self._search, args=(modality, least), name="duplicates", daemon=True).start()

    def _search(self, modality: Modality, least: float) -> None:
        try:
            ids, vectors = self._vectors(modality)
            pairs: list[Pair] = []
            found = 0
            for start in range(0, len(ids), _BLOCK):
                cosines = vectors[start : start + _BLOCK] @ vectors[start:].T
                rows, columns = np.nonzero(np.triu(cosines >= least, 1))
                found += len(rows)
                near = cosines[rows, columns]
                best = np.argsort(-near, kind="stable")[:PAIRS]
                pairs += [
                    Pair(ids[start + rows[at]], ids[start + columns[at]], float(near[at])) for at in best.tolist()
                ]
                pairs = sorted(pairs, key=lambda pair: -pair.cosine)[:PAIRS]
                done = 1 - (1 - (start + _BLOCK) / len(ids)) ** 2 if start + _BLOCK < len(ids) else 1.0
                self._state = replace(self._state, share=done, items=len(ids), found=found, pairs=tuple(pairs))
        finally:
            self._state = replace(self._state, running=False)

    def _vectors(self, modality: Modality) -> tuple[list[str], Floats]:
        ids: list[str] = []
        vectors: list[Floats] = []
        cursor: str | None = None
        while len(ids) < ITEMS:
            page = self._store.scroll(cursor=cursor, limit=_PAGE, with_vectors=True, with_payload=False)
            there = [point for point in page.points if modality in point.vectors][: ITEMS - len(ids)]
            ids += [point.id for point in there]
            vectors += [point.vectors[modality] for point in there]
            if (cursor := page.next_cursor) is None:
                break
        return ids, np.asarray(vectors, np.float32).reshape(len(ids), self._store.dimension)
