"""The names of extra vectors, and what every store refuses of them. See `engine.store.base.VectorStore`."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from encoders.errors import VectorError
from encoders.types import Floats
from engine.core.errors import InvalidQueryError, StoreError
from engine.core.types import ItemId
from engine.store.base import Distance, VectorSpec

NAME = re.compile(r"[a-z][a-z0-9]{0,31}-[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""A word, a hyphen, and a version. A modality's name has no hyphen, so the two cannot meet."""
MAX_DIMENSION = 65_536
"""Qdrant's."""


def is_new(name: str, spec: VectorSpec, extra: Mapping[str, VectorSpec]) -> bool:
    """Whether an extra vector must be made; False if it is there.

    Raises:
        StoreError: if the name or the dimension will not do, or the name is taken by another kind of vector.
    """
    if not NAME.fullmatch(name):
        raise StoreError(
            f"extra vector {name!r} is no proper name",
            "use a word, a hyphen and a version, as in taste-7: letters, digits, . _ and -",
        )
    if not 0 < spec.dimension <= MAX_DIMENSION:
        raise StoreError(f"extra vector {name} has dimension {spec.dimension}", f"give it 1 to {MAX_DIMENSION}")
    there = extra.get(name)
    if there is not None and there != spec:
        raise StoreError(
            f"extra vector {name} has {there.dimension} dimensions compared by {there.distance}, "
            f"not {spec.dimension} by {spec.distance}",
            "drop it first, or use another name",
        )
    return there is None


def spec_of(name: str, extra: Mapping[str, VectorSpec]) -> VectorSpec:
    """What an extra vector is.

    Raises:
        InvalidQueryError: if there is none of this name.
    """
    spec = extra.get(name)
    if spec is None:
        raise InvalidQueryError(
            f"vector {name} is not in this store", f"its extra vectors: {', '.join(extra) or 'none; add it first'}"
        )
    return spec


def check_matrix(name: str, spec: VectorSpec, ids: Sequence[ItemId], matrix: Floats) -> dict[ItemId, Floats]:
    """Refuse vectors that cannot be stored.

    Returns:
        Per item its vector (d,), float32; at unit length if compared by cosine. Of a doubled item the last.

    Raises:
        VectorError: if the matrix is not (n, d), or a row is not finite, or only zeros and compared by cosine.
    """
    if np.shape(matrix) != (len(ids), spec.dimension):
        raise VectorError(
            f"{name} vectors have shape {np.shape(matrix)}, not ({len(ids)}, {spec.dimension})",
            "give one row of that dimension per id",
        )
    rows = np.asarray(matrix, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
    for row in np.flatnonzero(~np.isfinite(norms))[:1]:
        raise VectorError(
            f"{name} vector of item {ids[row]!r} holds NaN or infinity, or numbers too large", "send finite numbers"
        )
    if spec.distance is Distance.COSINE:
        for row in np.flatnonzero(norms == 0)[:1]:
            raise VectorError(f"{name} vector of item {ids[row]!r} is all zeros", "leave the item out instead")
        rows = rows / norms
    return dict(zip(ids, rows, strict=True))
