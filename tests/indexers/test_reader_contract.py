"""The suite of readers over Triveni's own."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.testing import ReaderContract
from indexers.readers import READERS, Reader, open_catalog
from indexers.readers.base import Value
from tests.indexers.catalogs import write_jsonl

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
        else:
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, list(ROWS[0]), delimiter="," if self.suffix == "csv" else "\t")
                writer.writeheader()
                writer.writerows({**row, "price": json.dumps(row["price"])} for row in ROWS)
        return open_catalog(path)

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
