"""Files of vectors, as `triveni encode` writes them: .npz and .parquet."""

from collections.abc import Callable, Mapping
from typing import BinaryIO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from encoders.spaces.space import Space
from encoders.types import Floats, Modality

_GROUP = 4096
"""Rows of Parquet that wait to be written together."""


class VectorFile(Protocol):
    """A file of vectors that is being written."""

    def add(self, item: str, vectors: Mapping[Modality, Floats]) -> None:
        """Add an item with its vectors, each (d,)."""

    def close(self) -> None:
        """Write what is left."""


class Npz:
    """NumPy's archive; it is made in memory.

    Args:
        file: where to.
        space: whose vectors they are.
    """

    def __init__(self, file: BinaryIO, space: Space) -> None:
        self._file, self._space = file, space
        self._ids: list[str] = []
        self._rows: dict[Modality, list[int]] = {}
        self._vectors: dict[Modality, list[Floats]] = {}

    def add(self, item: str, vectors: Mapping[Modality, Floats]) -> None:
        """See `VectorFile.add`."""
        for modality, vector in vectors.items():
            self._rows.setdefault(modality, []).append(len(self._ids))
            self._vectors.setdefault(modality, []).append(vector)
        self._ids.append(item)

    def close(self) -> None:
        """See `VectorFile.close`."""
        columns = {"ids": np.array(self._ids, np.str_), "fingerprint": np.array(self._space.fingerprint)}
        for modality, rows in self._rows.items():
            matrix = np.zeros((len(self._ids), self._space.dimension), np.float32)
            matrix[rows] = self._vectors[modality]
            columns[str(modality)] = matrix
            columns[f"{modality}_present"] = np.isin(np.arange(len(self._ids)), rows)
        np.savez(self._file, **columns)  # type: ignore[arg-type]


class Parquet:
    """Parquet, written in groups of rows.

    Args:
        file: where to.
        space: whose vectors they are.
    """

    def __init__(self, file: BinaryIO, space: Space) -> None:
        self._modalities, self._dimension = tuple(space.modalities), space.dimension
        kind = pa.list_(pa.float32(), space.dimension)
        columns = [("id", pa.string()), *((str(modality), kind) for modality in self._modalities)]
        schema = pa.schema(columns, metadata={"fingerprint": space.fingerprint})
        self._writer = pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=["id"])
        self._rows: list[tuple[str, Mapping[Modality, Floats]]] = []

    def add(self, item: str, vectors: Mapping[Modality, Floats]) -> None:
        """See `VectorFile.add`."""
        self._rows.append((item, vectors))
        if len(self._rows) == _GROUP:
            self._write()

    def close(self) -> None:
        """See `VectorFile.close`."""
        if self._rows:
            self._write()
        self._writer.close()

    def _write(self) -> None:
        columns = [pa.array([item for item, _ in self._rows], pa.string()), *map(self._column, self._modalities)]
        self._writer.write_batch(pa.record_batch(columns, schema=self._writer.schema))
        self._rows = []

    def _column(self, modality: Modality) -> pa.Array:
        matrix = np.zeros((len(self._rows), self._dimension), np.float32)
        absent = np.ones(len(self._rows), np.bool_)
        for row, (_, vectors) in enumerate(self._rows):
            if modality in vectors:
                matrix[row], absent[row] = vectors[modality], False
        values = pa.array(matrix.ravel())
        return pa.FixedSizeListArray.from_arrays(values, self._dimension, mask=pa.array(absent))


KINDS: Mapping[str, Callable[[BinaryIO, Space], VectorFile]] = {".npz": Npz, ".parquet": Parquet}
"""By suffix what writes it."""
