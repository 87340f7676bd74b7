"""Catalogues and files of events: every reader, up to the entry that would be indexed."""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from encoders.types import Text
from engine.core import arrow
from engine.core.parquet_process import read_here
from engine.core.payload import check_payload
from engine.core.types import Event, ItemId, UserId
from engine.events.files import RowReader, export_events, read_events
from engine.events.types import UserEvent
from indexers.catalog import Catalog
from indexers.guess import guess_catalog
from indexers.rows import DeadLetter
from indexers.seen import IdSet
from tests.fuzz.target import Finding, Target, in_file
from tests.indexers.catalogs import write_arrow, write_dataset, write_sqlite, write_tar
from tests.tiny import png_bytes, wav_bytes

MOST_ROWS = 200


class _AtOnce(Executor):
    """Does what it is given, at once."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*args, **named))
        return future


def _index(catalog: Catalog) -> None:
    """All that happens to a catalogue before its items are decoded."""
    catalog.reader().total()
    kinds = catalog.schema()
    for entry in islice(catalog.entries(IdSet(), _AtOnce(), kinds), MOST_ROWS):
        if isinstance(entry, DeadLetter):
            if entry.remedy.startswith("report this"):
                raise Finding(entry.reason)
        else:
            check_payload(entry.item.payload)


def _file(path: Path) -> None:
    _index(Catalog(path))


@contextmanager
def _in_this_process() -> Iterator[None]:
    """Parquet is read here, as a process for each input would take longer than all the rest."""
    before = arrow.parquet_batches
    arrow.parquet_batches = read_here
    try:
        yield
    finally:
        arrow.parquet_batches = before


def _parquet_here(path: Path) -> None:
    with _in_this_process():
        _file(path)


def _events_here(path: Path) -> None:
    with _in_this_process():
        _events(path)


def _guess(path: Path) -> None:
    guess_catalog(path)


def _database(path: Path) -> None:
    _index(Catalog(f"sqlite:///{path}", query="select * from items"))


def _dataset(path: Path) -> None:
    """The three files of a data set, one after the other."""
    state, _, rest = path.read_bytes().partition(b"\n--\n")
    info, _, table = rest.partition(b"\n--\n")
    folder = path.parent / "set"
    folder.mkdir(exist_ok=True)
    for name, raw in (("state.json", state), ("dataset_info.json", info), ("data.arrow", table)):
        (folder / name).write_bytes(raw)
    _index(Catalog(folder))


def _events(path: Path) -> None:
    for _ in islice(read_events(path, RowReader()), MOST_ROWS):
        pass


ROWS = [
    {"id": "a", "text": "a red bird", "category": "birds", "price": 1.5, "tags": ["a", "b"], "at": "2024-05-01"},
    {"id": "b", "text": 'größe, "quoted"', "category": "cars", "price": -2, "tags": [], "at": None},
    {"id": 7, "image": "x.png", "deep": {"a": [1, {"b": None}]}, "flag": True},
]
PLAIN = [{**dict.fromkeys(("text", "category", "price")), "id": str(row["id"]),
          **{name: row[name] for name in ("text", "category", "price") if name in row}} for row in ROWS]  # fmt: skip


def _jsonl() -> Mapping[str, bytes]:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    return {"rows": lines, "wide": "".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in ROWS).encode()}


def _separated(by: str) -> Callable[[], Mapping[str, bytes]]:
    def seeds() -> Mapping[str, bytes]:
        plain = [
            "id,text,price,flag,tags",
            'a,"a ""red"" bird",1.5,true,"[1, 2]"',
            'b,"two\nlines",2,false,"{""a"": 1}"',
        ]
        return {
            "rows": "\r\n".join(line.replace(",", by) for line in plain).encode(),
            "bom": b"\xef\xbb\xbf" + b"id,text\n1,a\n",
        }

    return seeds


def _written(name: str, write: Callable[[Path], object]) -> bytes:
    with TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


def _table() -> pa.Table:
    return pa.table(
        {
            "id": ["a", "b", "c"],
            "text": pa.array(["x", None, "z"]).dictionary_encode(),
            "image": pa.array([b"\x89PNG", None, b"x"]),
            "tags": [["a"], [], None],
            "at": pa.array([datetime(2024, 5, 1, tzinfo=UTC), None, None], pa.timestamp("us", "UTC")),
            "deep": [{"a": 1, "b": [1.5]}, None, {"a": None, "b": []}],
        }
    )


def _parquet() -> Mapping[str, bytes]:
    return {
        kind: _written("x.parquet", lambda path, kind=kind: pq.write_table(_table(), path, compression=kind))  # type: ignore[misc]
        for kind in ("none", "snappy", "zstd", "gzip")
    } | {
        "pages": _written(
            "x.parquet", lambda path: pq.write_table(_table(), path, data_page_version="2.0", row_group_size=1)
        )
    }


def _arrow() -> Mapping[str, bytes]:
    views = pa.table(
        {
            "id": pa.array(["a", "b"], pa.string_view()),
            "text": ["x", "y"],
            "n": pa.array([[1], [2, 3]], pa.list_view(pa.int64())),
        }
    )
    return {
        "file": _written("x.arrow", lambda path: write_arrow(path, _table())),
        "stream": _written("x.arrow", lambda path: write_arrow(path, _table(), stream=True)),
        "zstd": _written("x.arrow", lambda path: write_arrow(path, _table(), compression="zstd")),
        "lz4": _written("x.arrow", lambda path: write_arrow(path, _table(), stream=True, compression="lz4")),
        "views": _written("x.arrow", lambda path: write_arrow(path, views)),
    }


def _tar() -> Mapping[str, bytes]:
    files = {
        "a/0.png": png_bytes(1, 4), "a/0.txt": b"a red bird", "a/0.json": b'{"price": 1.5, "id": "zero"}',
        "1.wav": wav_bytes(seconds=0.01), "1.cls": b"7", "2.txt": b"two",
    }  # fmt: skip
    plain = _written("x.tar", lambda path: write_tar(path, files))
    return {
        "tar": plain,
        "text": _written("x.tar", lambda path: write_tar(path, {"2.txt": b"two", "2.json": b"{}"})),
        "gz": gzip.compress(plain),
    }


def _sqlite() -> Mapping[str, bytes]:
    rows = [
        {"id": "a", "text": "x", "price": 1.5, "image": b"\x89PNG"},
        {"id": "b", "text": None, "price": 2, "image": None},
    ]
    return {"items": _written("x.db", lambda path: write_sqlite(path, rows))}


def _sets() -> Mapping[str, bytes]:
    with TemporaryDirectory() as name:
        folder = write_dataset(
            Path(name) / "set",
            {"": [{"id": "a", "text": "x", "label": 1}]},
            {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}},
        )
        state = (folder / "state.json").read_bytes().replace(b"data-00000-of-00001.arrow", b"data.arrow")
        info, table = (folder / "dataset_info.json").read_bytes(), (folder / "data-00000-of-00001.arrow").read_bytes()
    return {"set": b"\n--\n".join((state, info, table))}


def _recorded(suffix: str) -> Callable[[], Mapping[str, bytes]]:
    def seeds() -> Mapping[str, bytes]:
        at = datetime(2024, 5, 1, tzinfo=UTC)
        events = [
            UserEvent(UserId("u"), Event("like", ItemId("a"), time=at, id="1")),
            UserEvent(UserId("v"), Event("rate", ItemId("b"), time=at, value=4.0, id="2", context={"page": "x"})),
            UserEvent(UserId("v"), Event("search", content=Text("birds"), time=at, id="3")),
        ]
        return {"events": _written(f"x{suffix}", lambda path: export_events(path, events))}

    return seeds


def _catalogue(suffix: str, seeds: Callable[[], Mapping[str, bytes]], share: int, max_bytes: int = 4096) -> Target:
    return Target(in_file(f"x{suffix}", _file), seeds, share, max_bytes)


TARGETS = {
    "jsonl": _catalogue(".jsonl", _jsonl, 60),
    "csv": _catalogue(".csv", _separated(","), 60),
    "tsv": _catalogue(".tsv", _separated("\t"), 20),
    "parquet": Target(in_file("x.parquet", _parquet_here), _parquet, 40, 8192),
    "parquet.process": _catalogue(".parquet", _parquet, 1, 8192),
    "arrow": _catalogue(".arrow", _arrow, 60, 8192),
    "tar": _catalogue(".tar", _tar, 40, 16384),
    "sqlite": Target(in_file("x.db", _database), _sqlite, 20, 16384),
    "dataset": Target(in_file("x.set", _dataset), _sets, 15, 8192),
    "guess": Target(in_file("x.csv", _guess), _separated(","), 20),
    "events.jsonl": Target(in_file("x.jsonl", _events), _recorded(".jsonl"), 30),
    "events.csv": Target(in_file("x.csv", _events), _recorded(".csv"), 30),
    "events.parquet": Target(in_file("x.parquet", _events_here), _recorded(".parquet"), 10, max_bytes=8192),
    "events.arrow": Target(in_file("x.arrow", _events), _recorded(".arrow"), 15, max_bytes=8192),
}
