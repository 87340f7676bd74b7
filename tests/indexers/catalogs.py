"""Catalogues to index: small, of all modalities, and a plain reference to compare the pipeline with."""

import io
import json
import sqlite3
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from encoders.errors import TriveniError
from encoders.spaces.space import Space
from engine.catalog.ingest import INDEXED_AT, Digest, digest, keys_of, point_of
from engine.core.types import ItemId
from engine.store.base import Point, VectorStore
from indexers.catalog import Catalog
from indexers.readers import BadRow, Row
from indexers.readers.base import Reader
from indexers.rows import load
from tests.tiny import make_png, make_wav

Values = Mapping[str, Any]


def write_jsonl(path: Path, rows: Iterable[Values | str]) -> Path:
    """Rows as JSON lines; a text is written as it is."""
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def write_arrow(
    path: Path, rows: Sequence[Values] | pa.Table, *, stream: bool = False, compression: str = ""
) -> Path:
    """An Arrow file or stream, in batches of three rows."""
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows))
    options = pa.ipc.IpcWriteOptions(compression=compression or None)
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(path, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=3)
    return path


def write_tar(path: Path, files: Mapping[str, bytes]) -> Path:
    """A tar of these files, compressed if its name says so."""
    with tarfile.open(path, "w:gz" if path.suffix in {".gz", ".tgz"} else "w") as tar:
        for name, raw in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return path


def write_dataset(
    folder: Path, splits: Mapping[str, Sequence[Values] | pa.Table], features: Values | None = None
) -> Path:
    """What Hugging Face's `save_to_disk` writes: one folder for each split, or the folder itself for the split ""."""
    folder.mkdir(exist_ok=True)
    if "" not in splits:
        (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))
    for split, rows in splits.items():
        (folder / split).mkdir(exist_ok=True)
        name = "data-00000-of-00001.arrow"
        write_arrow(folder / split / name, rows, stream=True)
        state = {"_data_files": [{"filename": name}], "_format_columns": None, "_split": split or None}
        (folder / split / "state.json").write_text(json.dumps(state))
        (folder / split / "dataset_info.json").write_text(json.dumps({"features": features or {}}))
    return folder


def write_sqlite(path: Path, rows: Sequence[Values]) -> str:
    """A database with the table `items`; gives its URL."""
    names = list(rows[0])
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("drop table if exists items")
        database.execute(f"create table items ({', '.join(names)})")
        marks = ", ".join("?" * len(names))
        database.executemany(f"insert into items values ({marks})", [[row[name] for name in names] for row in rows])
    return f"sqlite:///{path}"


def mixed_rows(root: Path, count: int) -> list[dict[str, Any]]:
    """Rows of every mix of modalities, with their files written below `root`."""
    (root / "media").mkdir(exist_ok=True)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        row: dict[str, Any] = {"id": f"item-{number}", "category": f"kind {number % 3}", "price": number / 4}
        mix = number % 7 + 1
        if mix & 1:
            row["text"] = f"the text of item {number}"
        if mix & 2:
            row["image"] = f"media/{number}.png"
            make_png(root / row["image"], number)
        if mix & 4:
            row["audio"] = f"media/{number}.wav"
            make_wav(root / row["audio"], 200.0 + 10 * number, seconds=0.05)
        rows.append(row)
    return rows


def mixed_catalog(root: Path, count: int) -> Catalog:
    """A JSONL catalogue of `mixed_rows`."""
    return Catalog(write_jsonl(root / "items.jsonl", mixed_rows(root, count)), root)


def everything(store: VectorStore) -> dict[ItemId, Point]:
    """All points of a store, each of them once."""
    found: dict[ItemId, Point] = {}
    cursor: str | None = None
    while True:
        page = store.scroll(cursor=cursor, limit=64, with_vectors=True)
        for point in page.points:
            assert point.id not in found, f"{point.id} is in the store twice"
            found[point.id] = point
        cursor = page.next_cursor
        if cursor is None:
            return found


def plain(catalog: Catalog, space: Space) -> dict[ItemId, Point]:
    """What a store should hold, made one row after the other, each item encoded alone."""
    found: dict[ItemId, Point] = {}
    for row in catalog.reader().rows():
        try:
            assert isinstance(row, Row)
            entry = load(row, catalog.media(), catalog.columns, catalog.ignore, catalog.max_bytes)
            if entry.item.id in found:
                continue
            keys = keys_of(entry.item)
            vectors = {key: space.encode([one])[0] for key, one in zip(keys, entry.item.contents, strict=True)}
        except (TriveniError, AssertionError):
            continue
        found[entry.item.id] = point_of(
            entry.item, vectors, media=entry.media, digest_=digest(entry.item, entry.media)
        )
    return found


def assert_same(have: Mapping[ItemId, Point], want: Mapping[ItemId, Point]) -> None:
    """Two stores hold the same, except for the time of indexing."""
    assert set(have) == set(want)
    for item_id, point in want.items():
        assert public(have[item_id]) == public(point)
        assert set(have[item_id].vectors) == set(point.vectors)
        for modality, vector in point.vectors.items():
            np.testing.assert_allclose(have[item_id].vectors[modality], vector, atol=1e-5)


def public(point: Point) -> dict[str, Any]:
    """The payload without the time of indexing and the id that stores keep for themselves."""
    assert Digest.of_payload(point.payload) is not None
    return {key: value for key, value in point.payload.items() if key not in (INDEXED_AT, "_id")}


def good(reader: Reader) -> list[Mapping[str, Any]]:
    """All rows, none of them bad."""
    assert isinstance(reader, Reader)
    rows = list(reader.rows())
    assert [row for row in rows if isinstance(row, BadRow)] == []
    return [dict(row.values) for row in rows if isinstance(row, Row)]


def only_bad(reader: Reader) -> BadRow:
    (row,) = [row for row in reader.rows() if isinstance(row, BadRow)]
    return row
