"""Items with several parts of a modality: five pictures, say, or the passages of a long text.

The first part is the vector of the item's modality, as if it were the only one. The others lie beside it, in the same
point, as a multivector `<modality>_parts` that is compared by its nearest (max-sim). A collection has it only once an
item has a second part: so what has one part each costs nothing more. `benchmarks/parts.py` has what was measured.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from encoders.types import Floats, Modality
from engine.core.types import Parts
from engine.store.base import Hits, Point

_SUFFIX = "_parts"
PARTS_WIDER = 2
"""So many times as widely a graph of several vectors each is searched: its neighbours lead astray more often."""


def parts_name(modality: str) -> str:
    """The name of the vectors of all parts but the first. No modality and no extra vector is called so."""
    return f"{modality}{_SUFFIX}"


def of_parts(name: str) -> bool:
    """Whether a vector's name is one of `parts_name`."""
    return name.endswith(_SUFFIX)


def best_of(first: Hits, others: Hits, limit: int) -> Hits:
    """The hits of two searches as one, each item once with its best score, best first, at most `limit`."""
    if not others.ids:
        return first
    best = dict(zip(others.ids, others.scores.tolist(), strict=True))
    for item, score in zip(first.ids, first.scores.tolist(), strict=True):
        best[item] = max(score, best.get(item, score))
    ids = sorted(best, key=best.__getitem__, reverse=True)[:limit]
    return Hits(tuple(ids), np.array([best[item] for item in ids], np.float32))


def row_starts(points: Sequence[Point]) -> list[int]:
    """Where the rows of each of n points begin: one for its first parts, one for its second parts and so on.

    Returns:
        n + 1 numbers; the last is how many rows there are.
    """
    starts = [0]
    for point in points:
        starts.append(starts[-1] + 1 + max((len(matrix) for matrix in point.more.values()), default=0))
    return starts


def rows_of(point: Point) -> list[Mapping[Modality, Floats]]:
    """The vectors of a point, row by row; see `row_starts`."""
    further = range(max((len(matrix) for matrix in point.more.values()), default=0))
    rows = ({name: matrix[row] for name, matrix in point.more.items() if row < len(matrix)} for row in further)
    return [point.vectors, *rows]


def more_of(rows: Sequence[Mapping[Modality, Floats]]) -> dict[Modality, Floats]:
    """`Point.more` from the rows after the first."""
    if not rows:
        return {}
    found = {modality: [row[modality] for row in rows if modality in row] for modality in rows[0]}
    return {modality: np.stack(vectors) for modality, vectors in found.items()}


def parts_of(
    more: Mapping[int, Mapping[Modality, Floats]], dimension: int, modalities: Sequence[Modality]
) -> Parts | None:
    """The further parts of items in columns; None if there are none.

    Args:
        more: by the item's row, ascending, its further parts; see `Point.more`.
        dimension: of each vector.
        modalities: of the columns.
    """
    counts = {row: max((len(matrix) for matrix in one.values()), default=0) for row, one in more.items()}
    size = sum(counts.values())
    if not size:
        return None
    vectors = {modality: np.zeros((size, dimension), np.float32) for modality in modalities}
    present = {modality: np.zeros(size, np.bool_) for modality in modalities}
    start = 0
    for row, one in more.items():
        for modality, matrix in one.items():
            vectors[modality][start : start + len(matrix)] = matrix
            present[modality][start : start + len(matrix)] = True
        start += counts[row]
    return Parts(np.repeat(np.array([*counts], np.intp), [*counts.values()]), vectors, present)


def more_by_item(parts: Parts | None) -> dict[int, dict[Modality, Floats]]:
    """By the item's row its further parts; the inverse of `parts_of`."""
    if parts is None:
        return {}
    found: dict[int, dict[Modality, Floats]] = {}
    for row in np.unique(parts.owners).tolist():
        first, last = np.searchsorted(parts.owners, [row, row + 1])
        found[row] = {
            modality: matrix[first:last][parts.present[modality][first:last]]
            for modality, matrix in parts.vectors.items()
            if parts.present[modality][first:last].any()
        }
    return found
