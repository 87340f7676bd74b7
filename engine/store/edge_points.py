"""Points as the shard of an embedded store takes and gives them, with all of their parts."""

import uuid
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from encoders.types import Modality
from engine.core.types import ItemId
from engine.store.base import Point
from engine.store.edge_read import MORE, ROW, Entry
from engine.store.parts import parts_name
from engine.store.validate import Columns


def entry_of(key: uuid.UUID, payload: Mapping[str, Any]) -> Entry:
    """Where an item is, as the payload of its point says."""
    return Entry(int(payload[ROW]), key, tuple(map(int, payload.get(MORE, ()))))


def point_of(item: ItemId, named: Mapping[str, Any]) -> Point:
    """A point without its payload, from the vectors of its record; words and learned vectors are left out."""
    further = {modality: parts_name(modality) for modality in Modality}
    return Point(
        item,
        {modality: np.asarray(named[modality], np.float32) for modality in Modality if modality in named},
        more={modality: np.asarray(named[name], np.float32) for modality, name in further.items() if name in named},
    )


def named_vectors(columns: Columns, starts: Sequence[int]) -> tuple[list[dict[str, Any]], set[Modality]]:
    """The named vectors of each point, as the shard takes them, and the modalities of which some have several."""
    rows: list[dict[Modality, list[float]]] = [{} for _ in range(starts[-1])]
    for modality, (positions, matrix) in columns.items():
        for position, vector in zip(positions.tolist(), matrix.tolist(), strict=True):
            rows[position][modality] = vector
    named: list[dict[str, Any]] = []
    several: set[Modality] = set()
    for first, last in pairwise(starts):
        vectors: dict[str, Any] = {modality.value: vector for modality, vector in rows[first].items()}
        for row in rows[first + 1 : last]:
            several |= row.keys()
            for modality, vector in row.items():
                vectors.setdefault(parts_name(modality), []).append(vector)
        named.append(vectors)
    return named, several
