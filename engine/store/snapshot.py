"""One file that holds all of a store, and that every store can read: Parquet.

Columns: `id`, `payload` (JSON), and one fixed-size list of float32 per modality and per extra vector, null where an
item has none; per modality also `<modality>_parts`, the further parts one after the other in one list. The file's
metadata carries the fingerprint, the dimension, the schema, what the extra vectors are, and which fields' words are
kept (they are made again), so that other tools can use it too.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt

from encoders.errors import SpaceError
from encoders.types import Floats
from engine.core.errors import InvalidQueryError, StoreError
from engine.core.files import replacing
from engine.core.filters import FieldKind
from engine.core.types import ItemId
from engine.store.base import Point, VectorStore
from engine.store.parts import parts_name

if TYPE_CHECKING:
    import pyarrow as pa

_KEY = b"triveni"
_PAGE = 1024

Column = tuple[Floats, npt.NDArray[np.bool_]]
"""Vectors (n, d), zeros where there is none, and which there are (n,)."""


def write_snapshot(store: VectorStore, path: Path) -> None:
    """Write all points of a store to a file, atomically and durably; see `dump` for writers beside it.

    Raises:
        StoreError: if the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as new, new.open("wb") as file:
            dump(store, file)
    except OSError as error:
        raise StoreError(f"snapshot {path} cannot be written: {error}", "name a place that has room") from error


def dump(store: VectorStore, file: BinaryIO) -> int:
    """Write all points of a store to an open file, and say how many.

    Others may write to the store meanwhile. Each point comes as one write left it; what was acknowledged before this
    began is there, what is written meanwhile may be or not.

    Raises:
        OSError: if the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    extra = dict(store.vectors)
    widths = {**{modality.value: store.dimension for modality in store.modalities}, **extra}
    about = {
        "fingerprint": store.fingerprint,
        "dimension": store.dimension,
        "schema": store.schema,
        "vectors": {name: [dimension, "cosine"] for name, dimension in extra.items()},
        "words": list(store.words),
    }
    vectors = ((name, pa.list_(pa.float32(), width)) for name, width in widths.items())
    further = ((parts_name(modality), pa.list_(pa.float32())) for modality in store.modalities)
    columns = [("id", pa.string()), ("payload", pa.string()), *vectors, *further]
    schema = pa.schema(columns, metadata={_KEY: json.dumps(about).encode()})
    count = 0
    with pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=False) as writer:
        cursor: str | None = None
        while True:
            page = store.scroll(cursor=cursor, limit=_PAGE, with_vectors=True)
            if page.points:
                writer.write_batch(_batch(page.points, schema, store, extra))
                count += len(page.points)
            cursor = page.next_cursor
            if cursor is None:
                return count


def _batch(
    points: tuple[Point, ...], schema: "pa.Schema", store: VectorStore, extra: Mapping[str, int]
) -> "pa.RecordBatch":
    import pyarrow as pa

    arrays = [
        pa.array([point.id for point in points], pa.string()),
        pa.array([json.dumps(dict(point.payload)) for point in points], pa.string()),
    ]
    for modality in store.modalities:
        matrix = np.zeros((len(points), store.dimension), np.float32)
        present = np.zeros(len(points), np.bool_)
        for row, point in enumerate(points):
            if modality in point.vectors:
                matrix[row], present[row] = point.vectors[modality], True
        arrays.append(_column(matrix, present))
    ids = [point.id for point in points]
    arrays += [_column(*_extra(store, name, width, ids)) for name, width in extra.items()]
    for modality in store.modalities:
        further = [point.more[modality].ravel() if modality in point.more else None for point in points]
        arrays.append(pa.array(further, pa.list_(pa.float32())))
    return pa.record_batch(arrays, schema=schema)


def _extra(store: VectorStore, name: str, dimension: int, ids: Sequence[ItemId]) -> Column:
    """An extra vector of items; one that was dropped meanwhile, with its version of the model, nobody has."""
    try:
        return store.read_vectors(name, ids)
    except InvalidQueryError:
        return np.zeros((len(ids), dimension), np.float32), np.zeros(len(ids), np.bool_)


def _column(matrix: Floats, present: npt.NDArray[np.bool_]) -> "pa.FixedSizeListArray":
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1], mask=pa.array(~present))


def read_snapshot(store: VectorStore, source: Path | BinaryIO) -> None:
    """Make a store hold what a snapshot holds: write all of its points, then delete all others.

    The store is never empty meanwhile, and if it is cut short the same call completes it. Extra vectors that the
    snapshot lacks, or has as another kind, are dropped.

    Args:
        store: the store.
        source: the file, or one that is open and can be read anywhere.

    Raises:
        SpaceError: if the snapshot is of another space. Nothing is changed.
        StoreError: if the file cannot be read. Nothing is changed, unless the damage is in the middle.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = source if isinstance(source, Path) else getattr(source, "name", "")
    others = store.count() > 0
    try:
        with pq.ParquetFile(source) as file:
            about = json.loads((file.schema_arrow.metadata or {})[_KEY])
            if about["fingerprint"] != store.fingerprint or about["dimension"] != store.dimension:
                raise SpaceError(
                    f"snapshot {path} is of space {about['fingerprint']}, the store of {store.fingerprint}",
                    "restore it into a store of its own space",
                )
            store.index_fields({name: FieldKind(kind) for name, kind in about["schema"].items()})
            extra = {str(name): int(dimension) for name, (dimension, _) in about.get("vectors", {}).items()}
            _agree(store, extra)
            if "words" in about:
                store.index_words(about["words"])
            kept: set[ItemId] = set()
            for batch in file.iter_batches(_PAGE):
                points = list(_points(batch, store))
                kept.update(point.id for point in points if others)
                _write(store, points, {name: _read_column(batch, name, width) for name, width in extra.items()})
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise StoreError(f"snapshot {path} cannot be read: {error}", "take it again, or name another file") from error
    cursor: str | None = None
    while others:
        page = store.scroll(cursor=cursor, limit=_PAGE)
        store.delete([point.id for point in page.points if point.id not in kept])
        cursor = page.next_cursor
        if cursor is None:
            break
    store.flush()


def _agree(store: VectorStore, extra: Mapping[str, int]) -> None:
    """Let a store have these extra vectors and no others."""
    for name, dimension in store.vectors.items():
        if extra.get(name) != dimension:
            store.drop_vector(name)
    for name, dimension in extra.items():
        store.add_vector(name, dimension)


def _write(store: VectorStore, points: Sequence[Point], extra: Mapping[str, Column]) -> None:
    """Write points with their extra vectors, and only those."""
    ids = np.array([point.id for point in points], object)
    for name, (_, present) in extra.items():
        _, there = store.read_vectors(name, ids.tolist())
        store.delete(ids[there & ~present].tolist())  # an upsert would keep what the snapshot has not
    store.upsert(points)
    for name, (matrix, present) in extra.items():
        store.put_vectors(name, ids[present].tolist(), matrix[present])


def _read_column(batch: "pa.RecordBatch", name: str, dimension: int) -> Column:
    column = batch.column(name)
    matrix = np.zeros((len(column), dimension), np.float32)
    present = np.asarray(column.is_valid())
    matrix[present] = column.flatten().to_numpy().reshape(-1, dimension)
    return matrix, present


def _points(batch: "pa.RecordBatch", store: VectorStore) -> Iterator[Point]:
    columns = {}
    for modality in store.modalities:
        if modality.value in batch.schema.names:
            columns[modality] = _read_column(batch, modality.value, store.dimension)
    further = {
        modality: batch.column(name)
        for modality in store.modalities
        if (name := parts_name(modality)) in batch.schema.names  # snapshots from before have none
    }
    for row, (item, payload) in enumerate(
        zip(batch.column("id").to_pylist(), batch.column("payload").to_pylist(), strict=True)
    ):
        vectors = {modality: matrix[row] for modality, (matrix, present) in columns.items() if present[row]}
        more = {
            modality: column[row].values.to_numpy().reshape(-1, store.dimension)
            for modality, column in further.items()
            if column[row].is_valid
        }
        yield Point(item, vectors, json.loads(payload), more)
