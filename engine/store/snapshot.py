"""One file that holds all of a store, and that every store can read: Parquet.

Columns: `id`, `payload` (JSON), and one fixed-size list of float32 per modality, null where an item has none. The
file's metadata carries the fingerprint, the dimension and the schema, so that other tools can use it too.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from encoders.errors import SpaceError
from engine.errors import StoreError
from engine.filters import FieldKind
from engine.store.base import Point, VectorStore
from engine.types import ItemId

if TYPE_CHECKING:
    import pyarrow as pa

_KEY = b"triveni"
_PAGE = 1024


def write_snapshot(store: VectorStore, path: Path) -> None:
    """Write all points of a store to a file, atomically and durably.

    Raises:
        StoreError: if the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    vector = pa.list_(pa.float32(), store.dimension)
    about = {"fingerprint": store.fingerprint, "dimension": store.dimension, "schema": store.schema}
    columns = [("id", pa.string()), ("payload", pa.string()), *((name.value, vector) for name in store.modalities)]
    schema = pa.schema(columns, metadata={_KEY: json.dumps(about).encode()})
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            with pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=False) as writer:
                cursor: str | None = None
                while True:
                    page = store.scroll(cursor=cursor, limit=_PAGE, with_vectors=True)
                    if page.points:
                        writer.write_batch(_batch(page.points, schema, store))
                    cursor = page.next_cursor
                    if cursor is None:
                        break
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise StoreError(f"snapshot {path} cannot be written: {error}", "name a place that has room") from error
    finally:
        temporary.unlink(missing_ok=True)


def _batch(points: tuple[Point, ...], schema: "pa.Schema", store: VectorStore) -> "pa.RecordBatch":
    import pyarrow as pa

    arrays = [
        pa.array([point.id for point in points], pa.string()),
        pa.array([json.dumps(dict(point.payload)) for point in points], pa.string()),
    ]
    for modality in store.modalities:
        matrix = np.zeros((len(points), store.dimension), np.float32)
        missing = np.ones(len(points), np.bool_)
        for row, point in enumerate(points):
            if modality in point.vectors:
                matrix[row], missing[row] = point.vectors[modality], False
        arrays.append(
            pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), store.dimension, mask=pa.array(missing))
        )
    return pa.record_batch(arrays, schema=schema)


def read_snapshot(store: VectorStore, path: Path) -> None:
    """Make a store hold what a snapshot holds: write all of its points, then delete all others.

    The store is never empty meanwhile, and if it is cut short the same call completes it.

    Raises:
        SpaceError: if the snapshot is of another space. Nothing is changed.
        StoreError: if the file cannot be read. Nothing is changed, unless the damage is in the middle.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            about = json.loads((file.schema_arrow.metadata or {})[_KEY])
            if about["fingerprint"] != store.fingerprint or about["dimension"] != store.dimension:
                raise SpaceError(
                    f"snapshot {path} is of space {about['fingerprint']}, the store of {store.fingerprint}",
                    "restore it into a store of its own space",
                )
            store.index_fields({name: FieldKind(kind) for name, kind in about["schema"].items()})
            kept: set[ItemId] = set()
            for batch in file.iter_batches(_PAGE):
                points = list(_points(batch, store))
                kept.update(point.id for point in points)
                store.upsert(points)
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise StoreError(f"snapshot {path} cannot be read: {error}", "take it again, or name another file") from error
    cursor: str | None = None
    while True:
        page = store.scroll(cursor=cursor, limit=_PAGE)
        store.delete([point.id for point in page.points if point.id not in kept])
        cursor = page.next_cursor
        if cursor is None:
            break
    store.flush()


def _points(batch: "pa.RecordBatch", store: VectorStore) -> Iterator[Point]:
    columns = {}
    for modality in store.modalities:
        if modality.value in batch.schema.names:
            column = batch.column(modality.value)
            matrix = np.zeros((len(column), store.dimension), np.float32)
            present = np.asarray(column.is_valid())
            matrix[present] = column.flatten().to_numpy().reshape(-1, store.dimension)
            columns[modality] = matrix, present
    for row, (item, payload) in enumerate(
        zip(batch.column("id").to_pylist(), batch.column("payload").to_pylist(), strict=True)
    ):
        vectors = {modality: matrix[row] for modality, (matrix, present) in columns.items() if present[row]}
        yield Point(item, vectors, json.loads(payload))
