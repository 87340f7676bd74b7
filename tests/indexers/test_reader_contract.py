"""The suite of readers over Triveni's own."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.testing import ReaderContract
from indexers.readers import READERS, Reader, open_catalog
from indexers.readers.base import Value
from tests.indexers.catalogs import write_arrow, write_dataset, write_jsonl, write_sqlite, write_tar

ROWS = [{"id": f"item {number}", "text": f"the text of {number}", "price": number / 4} for number in range(5)]


class TestOwn(ReaderContract):
    @pytest.fixture(autouse=True, params=[name for name in READERS.names() if name not in READERS.added()])
    def suffixed(self, request: pytest.FixtureRequest) -> None:
        self.suffix: str = request.param

    def reader(self, folder: Path) -> Reader:
        path = folder / f"items.{self.suffix}"
        if self.suffix in {"jsonl", "ndjson"}:
            write_jsonl(path, ROWS)
        elif self.suffix in {"parquet", "pq"}:
            pq.write_table(pa.Table.from_pylist(ROWS), path)
        elif self.suffix in {"arrow", "feather"}:
            write_arrow(path, ROWS, stream=self.suffix == "arrow")
        elif self.suffix in {"tar", "tar.gz", "tgz"}:
            write_tar(path, items_of(ROWS))
        else:
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, list(ROWS[0]), delimiter="," if self.suffix == "csv" else "\t")
                writer.writeheader()
                writer.writerows({**row, "price": json.dumps(row["price"])} for row in ROWS)
        return open_catalog(path)

    def expected(self) -> Sequence[Mapping[str, Value]]:
        return ROWS


def items_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """The rows as files of a tar: the text in a file of its own, the rest as an object."""
    files: dict[str, bytes] = {}
    for row in rows:
        files[f"{row['id']}.txt"] = row["text"].encode()
        files[f"{row['id']}.json"] = json.dumps({"price": row["price"]}).encode()
    return files


class TestShards(ReaderContract):
    def reader(self, folder: Path) -> Reader:
        write_tar(folder / "items-08.tar", items_of(ROWS[:2]))
        write_tar(folder / "items-09.tar", {})
        write_tar(folder / "items-10.tar", items_of(ROWS[2:]))
        return open_catalog(folder / "items-{08..10}.tar")

    def expected(self) -> Sequence[Mapping[str, Value]]:
        return ROWS


class TestDataset(ReaderContract):
    def reader(self, folder: Path) -> Reader:
        write_dataset(folder / "set", {"train": ROWS[:3], "test": ROWS[3:]})
        return open_catalog(folder / "set")

    def expected(self) -> Sequence[Mapping[str, Value]]:
        return ROWS


class TestDatabase(ReaderContract):
    def reader(self, folder: Path) -> Reader:
        return open_catalog(write_sqlite(folder / "shop.db", ROWS), query="select * from items order by id")

    def expected(self) -> Sequence[Mapping[str, Value]]:
        return ROWS


class TestFolder(ReaderContract):
    def reader(self, folder: Path) -> Reader:
        (folder / "birds").mkdir(exist_ok=True)
        (folder / "birds" / "owl.txt").write_text("an owl")
        (folder / "snowy-hill.png").write_bytes(b"png")
        return open_catalog(folder)

    def expected(self) -> Sequence[Mapping[str, Value]]:
        return [
            {"id": "snowy-hill", "text": "snowy hill", "image": "snowy-hill.png"},
            {"id": "birds/owl", "text": "an owl", "category": "birds"},
        ]
