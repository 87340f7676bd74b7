"""Catalogues in Arrow, and data sets that Hugging Face saved: types, media, and files that lie."""

import json
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core import arrow, parquet_process
from engine.core.arrow_costs import is_small, row_costs
from engine.core.arrow_sizes import batch_sizes
from indexers.errors import CatalogError
from indexers.readers import BadRow, Row, open_catalog
from tests.indexers.catalogs import good, write_arrow, write_dataset
from tests.tiny import png_bytes

MEDIA = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
ROWS = [{"id": str(number), "text": f"text {number}", "n": number} for number in range(8)]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("compression", ["", "lz4", "zstd"])
def test_sizes_are_those_of_the_batches(tmp_path: Path, stream: bool, compression: str) -> None:
    table = pa.table({"id": ["a" * 1000] * 8, "kind": pa.array(["x"] * 8).dictionary_encode()})
    path = write_arrow(tmp_path / "x.arrow", table, stream=stream, compression=compression)
    sizes = list(batch_sizes(path))
    assert [one.rows for one in sizes if one.rows] == [3, 3, 2]
    expected = table.slice(0, 3).column("id").nbytes
    assert expected <= next(one for one in sizes if one.rows == 3).bytes <= expected + 1024
    assert [one["kind"] for one in good(open_catalog(path, columns={"text": "kind"}))] == ["x"] * 8
    assert open_catalog(path).total() == 8


@pytest.mark.parametrize("stream", [False, True])
def test_a_batch_that_becomes_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    """20 MB of the same letter are a few kilobytes in the file."""
    path = tmp_path / "x.arrow"
    write_arrow(path, [{"id": "1", "text": "a" * (20 << 20)}], stream=stream, compression="zstd")
    assert path.stat().st_size < 1 << 20
    monkeypatch.setattr(arrow, "MAX_BATCH_BYTES", 10 << 20)
    before = pa.total_allocated_bytes()
    with pytest.raises(CatalogError, match=r"a batch has 209715\d\d bytes, the limit is 10485760"):
        list(open_catalog(path).rows())
    assert pa.total_allocated_bytes() < before + (1 << 20)


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
@pytest.mark.parametrize("shared", ["dictionary", "runs"])
def test_a_value_that_many_rows_share_is_there_once_at_a_time(tmp_path: Path, kind: str, shared: str) -> None:
    """A text of 4 MB for each of 64 rows: a few kilobytes in the file, 256 MB if all were there at once."""
    if kind == "parquet" and shared == "runs":
        pytest.skip("Parquet has no runs")
    large, numbers = pa.array(["a" * (4 << 20)]), pa.array([0] * 64, pa.int32())
    column = (
        pa.DictionaryArray.from_arrays(numbers, large)
        if shared == "dictionary"
        else pa.RunEndEncodedArray.from_arrays(pa.array([64], pa.int32()), large)
    )
    table = pa.table({"id": list(map(str, range(64))), "text": column})
    path = tmp_path / f"x.{kind}"
    if kind == "parquet":
        pq.write_table(table, path, compression="zstd")
    else:
        with pa.ipc.new_file(path, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as file:
            file.write_table(table)
    assert path.stat().st_size < 64 << 10
    tracemalloc.start()
    lengths = [len(str(row.values["text"])) for row in open_catalog(path).rows() if isinstance(row, Row)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lengths == [4 << 20] * 64
    assert peak < 32 << 20


@pytest.mark.parametrize("raw", [b"", b"ARROW1", b"ARROW1\0\0" + b"\0" * 100, b"FEA1" * 9, b"no arrow at all " * 9])
def test_what_is_no_arrow(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "x.feather"
    path.write_bytes(raw)
    with pytest.raises(CatalogError, match="not readable Arrow"):
        list(open_catalog(path).rows())


@pytest.mark.parametrize("stream", [False, True])
def test_a_file_that_is_cut_off(tmp_path: Path, stream: bool) -> None:
    path = write_arrow(tmp_path / "x.arrow", ROWS, stream=stream)
    whole = path.read_bytes()
    for part in (0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(CatalogError, match="not readable Arrow"):
            list(open_catalog(path).rows())


def test_offsets_that_lead_out_of_the_file_are_refused(tmp_path: Path) -> None:
    """They would be followed as they stand: pyarrow reads Arrow without looking at them."""
    path = write_arrow(tmp_path / "x.arrow", pa.table({"id": ["aaaa", "bbbb"], "text": ["x", "y"]}), stream=True)
    raw, offsets = path.read_bytes(), struct.pack("<iii", 0, 4, 8)
    assert raw.count(offsets) == 1
    path.write_bytes(raw.replace(offsets, struct.pack("<iii", 0, 4, 1 << 30)))
    with pytest.raises(CatalogError, match="not readable Arrow"):
        list(open_catalog(path).rows())


def test_a_data_set_with_pictures_and_classes(tmp_path: Path) -> None:
    png = png_bytes(3)
    table = pa.table(
        {
            "id": [1, 2, 3],
            "image": pa.array([{"bytes": png, "path": "x.png"}, {"bytes": None, "path": "3.png"}, None], MEDIA),
            "label": [0, 1, -1],
        }
    )
    features = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    reader = open_catalog(write_dataset(tmp_path / "set", {"": table}, features))
    reader.check()
    assert good(reader) == [
        {"id": 1, "image": png, "label": "cat"},
        {"id": 2, "image": "3.png", "label": "dog"},
        {"id": 3, "image": None, "label": None},
    ]
    assert reader.total() == 3


def test_media_without_a_role_are_refused_with_the_way_out(tmp_path: Path) -> None:
    table = pa.table({"id": ["1"], "text": ["a"], "thumb": pa.array([{"bytes": b"x", "path": None}], MEDIA)})
    path = write_arrow(tmp_path / "x.arrow", table)
    with pytest.raises(CatalogError, match=r"column thumb .* holds bytes.*--column image=thumb.*--ignore thumb"):
        open_catalog(path).check()
    assert good(open_catalog(path, ignore=frozenset({"thumb"}))) == [{"id": "1", "text": "a"}]


def test_a_value_that_has_no_plain_form_is_a_bad_row(tmp_path: Path) -> None:
    table = pa.table({"id": ["1"], "text": ["a"], "deep": [[b"bytes"]]})
    (row,) = open_catalog(write_arrow(tmp_path / "x.arrow", table)).rows()
    assert isinstance(row, BadRow)
    assert "column deep holds a bytes: leave it out: --ignore deep" in str(row.error)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("state.json", "{", "is not what save_to_disk writes"),
        ("state.json", "[]", "is not what save_to_disk writes"),
        (
            "state.json",
            '{"_data_files": [{"filename": "../secret.arrow"}]}',
            "names '../secret.arrow', which is not in",
        ),
        ("state.json", '{"_data_files": [{"filename": 7}]}', "not names"),
        ("state.json", '{"_data_files": 7}', "lists '7', not names"),
        ("state.json", '{"_data_files": []}', "names no files"),
        ("state.json", '{"_data_files": [{"filename": "gone.arrow"}]}', "gone.arrow is not readable Arrow"),
        ("state.json", '{"_indices_data_files": [{"filename": "i"}]}', "flatten_indices"),
        ("dataset_info.json", "[" * 100_000, "is not what save_to_disk writes"),
    ],
)
def test_a_data_set_that_lies(tmp_path: Path, name: str, content: str, reason: str) -> None:
    folder = write_dataset(tmp_path / "set", {"": ROWS})
    write_arrow(tmp_path / "secret.arrow", ROWS, stream=True)
    (folder / name).write_text(content)
    with pytest.raises(CatalogError, match=reason):
        open_catalog(folder).check()


def test_a_split_that_leads_elsewhere(tmp_path: Path) -> None:
    write_dataset(tmp_path / "other", {"": ROWS})
    folder = write_dataset(tmp_path / "set", {"train": ROWS})
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["../other"]}))
    with pytest.raises(CatalogError, match="which is not in it"):
        open_catalog(folder).check()


def written(path: Path, table: pa.Table) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(table, path, compression="zstd")
    else:
        with pa.ipc.new_file(path, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as file:
            file.write_table(table)
    return path


def nested_views(depth: int) -> pa.Array:
    """One list of lists of lists …, a thousand each, that all lie in one."""
    inner: pa.Array = pa.array([1] * 1000)
    for _ in range(depth):
        offsets, sizes = pa.array([0] * 1000, pa.int32()), pa.array([1000] * 1000, pa.int32())
        inner = pa.ListViewArray.from_arrays(offsets, sizes, inner)
    return inner.slice(0, 1)


def nulls(kind: pa.DataType) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, 10_000_000], pa.int32()), pa.nulls(10_000_000, kind))


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("arrow", lambda: nested_views(2)),
        ("arrow", lambda: nested_views(3)),
        ("arrow", lambda: nulls(pa.null())),
        ("parquet", lambda: nulls(pa.int8())),
        ("arrow", lambda: pa.array([[0] * 1000]).cast(pa.list_(pa.int32())).cast(pa.list_(pa.int64()))),
    ],
    ids=["views of views", "views of views of views", "nulls without bytes", "nulls of Parquet", "plain"],
)
def test_a_row_that_stands_for_gigabytes_is_refused(tmp_path: Path, kind: str, make: Callable[[], pa.Array]) -> None:
    column = make()
    path = written(tmp_path / f"x.{kind}", pa.table({"id": ["1"], "text": ["a"], "deep": column}))
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    try:
        rows = list(open_catalog(path).rows())
        assert len(column[0]) == len(rows[0].values["deep"]) == 1000  # type: ignore[union-attr,arg-type]
    except CatalogError as error:
        assert "row 1 takes" in str(error)
        assert len(column[0]) != 1000 or pa.types.is_list_view(column.type)
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def test_pages_that_unpack_to_gigabytes_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that reads them has so much memory and no more; the next file is read as if nothing had been."""
    monkeypatch.setattr(parquet_process, "MAX_BYTES", 128 << 20)
    schema = pa.schema([("id", pa.string()), ("text", pa.string())])
    with pq.ParquetWriter(tmp_path / "x.parquet", schema, compression="zstd", use_dictionary=False) as file:
        for row in range(4):
            file.write_table(pa.table({"id": [str(row)], "text": ["a" * (48 << 20)]}))
    assert (tmp_path / "x.parquet").stat().st_size < 100_000
    with pytest.raises(CatalogError, match=r"reading it takes more than 134217728 bytes: smaller pages"):
        list(open_catalog(tmp_path / "x.parquet").rows())
    assert good(open_catalog(written(tmp_path / "y.parquet", pa.table({"id": ["1"], "text": ["a"]})))) == [
        {"id": "1", "text": "a"}
    ]


def test_a_process_that_dies_costs_its_file(tmp_path: Path) -> None:
    table = pa.table({"id": list(map(str, range(5000))), "text": ["a" * 1000] * 5000})
    path = written(tmp_path / "x.parquet", table)
    assert len(good(open_catalog(path))) == 5000
    (process,) = parquet_process._idle
    rows = open_catalog(path).rows()
    assert isinstance(next(rows), Row)
    process._process.kill()
    with pytest.raises(CatalogError, match=r"the process that read it ended \(signal 9\)"):
        list(rows)
    assert len(good(open_catalog(path))) == 5000


def test_a_path_is_of_the_folder_that_we_are_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that reads it may have been started in another."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        written(Path("x.parquet"), pa.table({"id": [name], "text": ["a"]}))
        assert good(open_catalog("x.parquet")) == [{"id": name, "text": "a"}]


def test_a_file_without_rows(tmp_path: Path) -> None:
    path = written(
        tmp_path / "x.parquet", pa.table({"id": pa.array([], pa.string()), "text": pa.array([], pa.string())})
    )
    assert good(open_catalog(path)) == []


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "n": st.none() | st.integers(-9, 9),
                "text": st.none() | st.text(max_size=40),
                "tags": st.none() | st.lists(st.text(max_size=5), max_size=5),
                "numbers": st.none() | st.lists(st.integers(0, 9), max_size=9),
                "deep": st.none() | st.fixed_dictionaries({"a": st.none() | st.lists(st.lists(st.booleans()))}),
            }
        ),
        min_size=1,
        max_size=9,
    ),
    st.integers(0, 8),
)
def test_costs_are_not_less_than_what_values_hold(rows: list[dict[str, Any]], skip: int) -> None:
    """Each value counts 64 bytes and its text; what is said to be small surely is."""

    def held(value: object) -> float:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 64 + (len(value.encode()) if isinstance(value, str) else 0) + sum(map(held, inner))

    types = {"text": pa.string(), "tags": pa.list_(pa.string()), "numbers": pa.list_(pa.int64()), "n": pa.int8(),
             "deep": pa.struct([("a", pa.list_(pa.list_(pa.bool_())))])}  # fmt: skip
    batch = pa.RecordBatch.from_pylist(rows, pa.schema(list(types.items()))).slice(skip)
    wanted = [sum(map(held, row.values())) for row in rows[skip:]]
    assert all(cost >= least for cost, least in zip(row_costs(batch, {}), wanted, strict=True))
    plain = batch.select(["text", "tags", "numbers", "n"])
    total = sum(sum(held(row[name]) for name in plain.schema.names) for row in rows[skip:])
    assert not is_small(plain, int(total) - 1) or not total
    assert is_small(plain, 64 * (plain.nbytes + plain.num_rows * plain.num_columns))
    assert not is_small(batch, 1 << 40)
