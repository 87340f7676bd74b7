"""A map as it is kept: a file (.npz) of plain arrays, whole or not there."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.types import Floats, Modality
from engine.core.files import disk_errors, replacing

BITS = {Modality.TEXT: 1, Modality.IMAGE: 2, Modality.AUDIO: 4}
"""Which modalities an item has, as a number."""


@dataclass(frozen=True, slots=True)
class Map:
    """Where m items lie."""

    ids: tuple[str, ...]
    positions: Floats
    """(m, 2), between -1 and 1."""
    clusters: npt.NDArray[np.int16]
    """(m,): the cluster of each, the largest is 0; -1 for none."""
    has: npt.NDArray[np.uint8]
    """(m,): the modalities of each, see `BITS`."""
    row_of: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "row_of", {name: row for row, name in enumerate(self.ids)})


def save(made: Map, path: Path) -> None:
    """Write a map.

    Raises:
        DiskError: if it cannot be written; the one that was there stays.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as new, new.open("wb") as file:
            np.savez(
                file,
                ids=np.frombuffer(json.dumps(made.ids).encode(), np.uint8),
                positions=made.positions,
                clusters=made.clusters,
                has=made.has,
            )


def read(path: Path) -> Map | None:
    """The map that is kept; None if there is none, or it cannot be read: it is drawn again then."""
    try:
        with np.load(path, allow_pickle=False) as file:
            ids = tuple(json.loads(file["ids"].tobytes()))
            made = Map(ids, file["positions"], file["clusters"], file["has"])
    except (OSError, ValueError, KeyError, EOFError):
        return None
    same = {len(ids), len(made.positions), len(made.clusters), len(made.has)}
    return made if len(same) == 1 else None
