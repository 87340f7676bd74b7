"""Between points one by one and points in columns."""

from collections.abc import Sequence

import numpy as np

from encoders.types import Modality
from engine.core.types import Candidates, ItemId
from engine.store.base import Point
from engine.store.parts import more_by_item, parts_of


def columns_of(points: Sequence[Point], dimension: int, modalities: Sequence[Modality]) -> Candidates:
    """Points as columns, with scores of zero."""
    vectors = {modality: np.zeros((len(points), dimension), np.float32) for modality in modalities}
    present = {modality: np.zeros(len(points), np.bool_) for modality in modalities}
    for row, point in enumerate(points):
        for modality, vector in point.vectors.items():
            vectors[modality][row] = vector
            present[modality][row] = True
    scores = np.zeros(len(points), np.float32)
    more = {row: point.more for row, point in enumerate(points) if point.more}
    return Candidates(
        tuple(point.id for point in points),
        scores,
        vectors,
        present,
        tuple(point.payload for point in points),
        parts_of(more, dimension, modalities),
    )


def points_of(found: Candidates, ids: Sequence[ItemId]) -> list[Point | None]:
    """Columns as points, in the order of `ids`; None where there is none."""
    rows: dict[ItemId, int] = {item: row for row, item in enumerate(found.ids)}
    points: list[Point | None] = []
    more = more_by_item(found.parts)
    for item in ids:
        row = rows.get(item)
        if row is None:
            points.append(None)
        else:
            vectors = {name: matrix[row] for name, matrix in found.vectors.items() if found.present[name][row]}
            points.append(Point(item, vectors, found.payloads[row], more.get(row, {})))
    return points
