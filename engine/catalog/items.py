"""All items of a catalogue in columns: what training reads, and what serving looks items up in."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.types import Floats, Modality
from engine.catalog.ingest import indexed_at, own_fields
from engine.core.types import ItemId, Payload
from engine.store.base import Point, VectorStore


@dataclass(frozen=True, slots=True)
class ItemTable:
    """m items in columns, d dimensions."""

    ids: tuple[ItemId, ...]
    vectors: Mapping[Modality, Floats]
    """Per modality (m, d), unit rows; a row is zeros where `present` is False, and is not to be read."""
    present: Mapping[Modality, npt.NDArray[np.bool_]]
    """Per modality (m,)."""
    payloads: tuple[Payload, ...]
    """The items' own fields, without the engine's."""
    indexed_at: npt.NDArray[np.float64]
    """(m,): when each item came into the catalogue, seconds since 1970; NaN where it is not known."""
    row_of: Mapping[ItemId, int] = field(init=False, repr=False, compare=False)
    """The row of each id."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "row_of", {name: row for row, name in enumerate(self.ids)})

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: Sequence[ItemId]) -> npt.NDArray[np.intp]:
        """The rows of these ids, -1 for an id that is not there."""
        find = self.row_of.get
        return np.fromiter((find(name, -1) for name in ids), np.intp, len(ids))

    def take(self, rows: npt.NDArray[np.intp]) -> "ItemTable":
        """The items at these rows, in this order."""
        return ItemTable(
            tuple(self.ids[row] for row in rows.tolist()),
            {modality: matrix[rows] for modality, matrix in self.vectors.items()},
            {modality: mask[rows] for modality, mask in self.present.items()},
            tuple(self.payloads[row] for row in rows.tolist()),
            self.indexed_at[rows],
        )


def read_items(store: VectorStore, *, page: int = 1024) -> ItemTable:
    """All items of a store. Holds them in memory: 1.5 KB per vector of 384 dimensions, and the payloads."""
    points: list[Point] = []
    cursor: str | None = None
    while True:
        found = store.scroll(cursor=cursor, limit=page, with_vectors=True)
        points.extend(found.points)
        if (cursor := found.next_cursor) is None:
            break
    vectors = {modality: np.zeros((len(points), store.dimension), np.float32) for modality in store.modalities}
    present = {modality: np.zeros(len(points), np.bool_) for modality in store.modalities}
    for row, point in enumerate(points):
        for modality, vector in point.vectors.items():
            vectors[modality][row] = vector
            present[modality][row] = True
    return ItemTable(
        tuple(point.id for point in points),
        vectors,
        present,
        tuple(own_fields(point.payload) for point in points),
        np.array([indexed_at(point.payload) for point in points], np.float64),
    )


def save_items(items: ItemTable, path: Path) -> None:
    """Write a table to a file (.npz), for another process."""
    columns: dict[str, np.ndarray] = {"indexed_at": items.indexed_at}
    for modality in items.vectors:
        columns[f"vectors.{modality}"], columns[f"present.{modality}"] = (
            items.vectors[modality],
            items.present[modality],
        )
    text = json.dumps([items.ids, [dict(payload) for payload in items.payloads]])
    np.savez(path, about=np.frombuffer(text.encode(), np.uint8), allow_pickle=False, **columns)


def load_items(path: Path) -> ItemTable:
    """Read what `save_items` wrote."""
    with np.load(path, allow_pickle=False) as file:
        ids, payloads = json.loads(file["about"].tobytes())
        names = [name.removeprefix("vectors.") for name in file.files if name.startswith("vectors.")]
        return ItemTable(
            tuple(ids),
            {Modality(name): file[f"vectors.{name}"] for name in names},
            {Modality(name): file[f"present.{name}"] for name in names},
            tuple(payloads),
            file["indexed_at"],
        )
