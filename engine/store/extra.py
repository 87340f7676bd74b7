"""The names of extra vectors, and what every store refuses of them. See `engine.store.base.VectorStore`."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from encoders.errors import VectorError
from encoders.types import Floats
from engine.core.errors import InvalidQueryError, StoreError
from engine.core.types import ItemId

NAME = re.compile(r"[a-z][a-z0-9]{0,31}-[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""A word, a hyphen, and a version. A modality's name has no hyphen, so the two cannot meet."""
MAX_DIMENSION = 65_536
"""Qdrant's."""


def is_new(name: str, dimension: int, extra: Mapping[str, int]) -> bool:
    """Whether an extra vector must be made; False if it is there.

    Raises:
        StoreError: if the name or the dimension will not do, or the name is taken by vectors of another dimension.
    """
    if not NAME.fullmatch(name):
        raise StoreError(
            f"extra vector {name!r} is no proper name",
            "use a word, a hyphen and a version, as in taste-7: letters, digits, . _ and -",
        )
    if not 0 < dimension <= MAX_DIMENSION:
        raise StoreError(f"extra vector {name} has dimension {dimension}", f"give it 1 to {MAX_DIMENSION}")
    there = extra.get(name)
    if there is not None and there != dimension:
        raise StoreError(
            f"extra vector {name} has {there} dimensions, not {dimension}", "drop it first, or use another name"
        )
    return there is None


def dimension_of(name: str, extra: Mapping[str, int]) -> int:
    """The dimension of an extra vector.

    Raises:
        InvalidQueryError: if there is none of this name.
    """
    dimension = extra.get(name)
    if dimension is None:
        raise InvalidQueryError(
            f"vector {name} is not in this store", f"its extra vectors: {', '.join(extra) or 'none; add it first'}"
        )
    return dimension


def check_matrix(name: str, dimension: int, ids: Sequence[ItemId], matrix: Floats) -> dict[ItemId, Floats]:
    """Refuse vectors that cannot be stored.

    Returns:
        Per item its vector (d,), float32, at unit length. Of a doubled item the last.

    Raises:
        VectorError: if the matrix is not (n, d), or a row is not finite, or only zeros.
    """
    if np.shape(matrix) != (len(ids), dimension):
        raise VectorError(
            f"{name} vectors have shape {np.shape(matrix)}, not ({len(ids)}, {dimension})",
            "give one row of that dimension per id",
        )
    rows = np.asarray(matrix, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
    for row in np.flatnonzero(~np.isfinite(norms))[:1]:
        raise VectorError(
            f"{name} vector of item {ids[row]!r} holds NaN or infinity, or numbers too large", "send finite numbers"
        )
    for row in np.flatnonzero(norms == 0)[:1]:
        raise VectorError(f"{name} vector of item {ids[row]!r} is all zeros", "leave the item out instead")
    return dict(zip(ids, rows / norms, strict=True))
