"""Each reader: what it reads, and that the same items come out of every format."""

import csv
import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.filters import FieldKind
from indexers.errors import CatalogError, RowError
from indexers.readers import BadRow, Row, open_catalog
from indexers.readers.folder import readable
from indexers.readers.jsonl import JsonLines
from tests.indexers.catalogs import good, only_bad, write_jsonl
from tests.tiny import make_png, make_wav

# Round trips ------------------------------------------------------------------------------------------------

_TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=20)
_ROWS = st.lists(
    st.fixed_dictionaries(
        {"id": _TEXT, "text": _TEXT, "code": _TEXT, "size": st.integers(-(2**63), 2**63 - 1)},
        optional={
            "price": st.floats(allow_nan=False, allow_infinity=False),
            "new": st.booleans(),
            "tags": st.lists(_TEXT, max_size=3),
            "place": st.fixed_dictionaries({"lat": st.floats(-90, 90), "lon": st.floats(-180, 180)}),
        },
    ),
    min_size=1,
    max_size=8,
)
_KINDS = {
    "code": FieldKind.KEYWORD,
    "size": FieldKind.INTEGER,
    "price": FieldKind.FLOAT,
    "new": FieldKind.BOOL,
    "place": FieldKind.GEO,
}
_NAMES = ("id", "text", "code", "size", "price", "new", "tags", "place")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=_ROWS)
def test_every_format_gives_the_same_rows(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    jsonl = write_jsonl(tmp_path / "items.jsonl", rows)
    assert good(open_catalog(jsonl)) == rows
    assert open_catalog(jsonl).total() == len(rows)

    table = tmp_path / "items.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _NAMES, restval="")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    plain = [{name: value for name, value in row.items() if value != []} for row in rows]
    read = [{k: v for k, v in row.items() if v != []} for row in good(open_catalog(table, fields=_KINDS))]
    assert read == plain
    assert open_catalog(table).total() == len(rows)

    parquet = tmp_path / "items.parquet"
    kinds = {"id": pa.string(), "text": pa.string(), "code": pa.string(), "size": pa.int64(), "price": pa.float64()}
    kinds |= {"new": pa.bool_(), "tags": pa.list_(pa.string())}
    kinds |= {"place": pa.struct([("lat", pa.float64()), ("lon", pa.float64())])}
    columns = {name: pa.array([row.get(name) for row in rows], kinds[name]) for name in _NAMES}
    pq.write_table(pa.table(columns), parquet, row_group_size=3)
    assert [{k: v for k, v in row.items() if v is not None} for row in good(open_catalog(parquet))] == rows
    assert open_catalog(parquet).total() == len(rows)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


# JSONL ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"id": "2", "te', "not JSON"),
        (b"[1, 2]", "is a list, not an object"),
        (b"7", "is a int, not an object"),
        (b'{"id": "\xff"}', r"not UTF-8 \(byte 8\)"),
        (b"[" * 100_000, "not usable JSON"),
        (b'{"n": ' + b"9" * 5000 + b"}", "not usable JSON"),
    ],
    ids=["cut", "list", "number", "bytes", "deep", "digits"],
)
def test_bad_line_is_named_and_the_others_are_read(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "1"}\n\n' + line + b'\n{"id": "3"}')
    rows = list(JsonLines(path).rows())
    assert [row.values["id"] for row in rows if isinstance(row, Row)] == ["1", "3"]
    bad = only_bad(JsonLines(path))
    assert bad.line == 3
    assert isinstance(bad.error, RowError)
    with pytest.raises(RowError, match=reason):
        raise bad.error


def test_endless_line_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(b'{"id": "1"}\n' + b"x" * 5000 + b'\n{"id": "3"}\n')
    reader = JsonLines(path, max_row_bytes=100)
    rows = list(reader.rows())
    assert [(row.line, type(row)) for row in rows] == [(1, Row), (2, BadRow), (3, Row)]
    assert "over 100 bytes" in only_bad(reader).error.problem


# Parquet ----------------------------------------------------------------------------------------------------


def test_parquet_keeps_types(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    columns = {
        "id": pa.array([1, 2]),
        "image": pa.array([b"png", None]),
        "day": pa.array([date(2024, 5, 1), None]),
        "at": pa.array([datetime(2024, 5, 1, 10, tzinfo=UTC), None]),
        "naive": pa.array([datetime(2024, 5, 1, 10), None], pa.timestamp("us")),
        "price": pa.array([Decimal("1.50"), None]),
        "tags": pa.array([["a", "b"], []]),
        "kind": pa.array(["x", "y"]).dictionary_encode(),
        "deep": pa.array([{"a": {"b": [1, 2]}}, None]),
    }
    pq.write_table(pa.table(columns), path)
    first, second = good(open_catalog(path))
    assert first == {
        "id": 1,
        "image": b"png",
        "day": "2024-05-01",
        "at": "2024-05-01T10:00:00.000Z",
        "naive": "2024-05-01T10:00:00.000Z",
        "price": 1.5,
        "tags": ["a", "b"],
        "kind": "x",
        "deep": {"a": {"b": [1, 2]}},
    }
    assert second == dict.fromkeys(columns) | {"id": 2, "tags": [], "kind": "y"}


def test_bytes_without_a_role_are_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table({"id": ["1"], "thumb": [b"png"]}), path)
    with pytest.raises(CatalogError, match=r"column thumb .* holds bytes.*--column image=thumb.*--ignore thumb"):
        list(open_catalog(path).rows())
    assert good(open_catalog(path, columns={"image": "thumb"})) == [{"id": "1", "thumb": b"png"}]
    assert good(open_catalog(path, ignore=frozenset({"thumb"}))) == [{"id": "1"}]


@pytest.mark.parametrize("raw", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1", b"no parquet at all"])
def test_broken_parquet(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "items.parquet"
    path.write_bytes(raw)
    with pytest.raises(CatalogError, match="not readable Parquet"):
        list(open_catalog(path).rows())
    with pytest.raises(CatalogError, match="not readable Parquet"):
        open_catalog(path).total()


# Folders ----------------------------------------------------------------------------------------------------


def test_files_of_one_stem_are_one_item(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    (folder / "animals/birds").mkdir(parents=True)
    make_png(folder / "animals/birds/owl.png")
    make_wav(folder / "animals/birds/owl.wav")
    (folder / "animals/birds/owl.txt").write_text("\ufeffA snowy owl.\n", encoding="utf-8")
    make_png(folder / "animals/birds/snowy-owl_02.PNG")
    (folder / "animals/birds/owl.svg").write_text("<svg/>")  # the PNG goes before it
    (folder / "animals/birds/owl.dat").write_text("another kind")
    (folder / "animals/.hidden.png").write_text("")
    (folder / "empty side-car.txt").write_text("  \n")
    make_png(folder / "a.b.png")
    reader = open_catalog(folder)
    assert good(reader) == [
        {"id": "a.b", "text": "a b", "image": "a.b.png"},
        {"id": "empty side-car", "text": "empty side car"},
        {
            "id": "animals/birds/owl",
            "text": "A snowy owl.",
            "image": "animals/birds/owl.png",
            "audio": "animals/birds/owl.wav",
            "category": "animals/birds",
        },
        {
            "id": "animals/birds/snowy-owl_02",
            "text": "snowy owl 02",
            "image": "animals/birds/snowy-owl_02.PNG",
            "category": "animals/birds",
        },
    ]
    assert reader.total() == 4
    assert good(open_catalog(folder / "animals", root=folder))[0]["image"] == "animals/birds/owl.png"


def test_folder_outside_the_root(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(CatalogError, match="not under the root"):
        list(open_catalog(tmp_path / "a", root=tmp_path / "b").rows())


def test_sidecar_that_leads_outside_or_is_no_text(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    bad = {row.id: str(row.error) for row in open_catalog(folder).rows() if isinstance(row, BadRow)}
    assert "leads outside the root" in bad["link"]
    assert "'bytes.txt' is not UTF-8 (byte 0)" in bad["bytes"]


@pytest.mark.parametrize(
    ("stem", "words"), [("snowy-owl_02", "snowy owl 02"), ("a.b  c", "a b c"), ("_x_", "x"), ("Eule", "Eule")]
)
def test_readable_names(stem: str, words: str) -> None:
    assert readable(stem) == words


# Which reader -----------------------------------------------------------------------------------------------


def test_unknown_and_missing_catalogues(tmp_path: Path) -> None:
    (tmp_path / "items.xml").write_text("")
    with pytest.raises(CatalogError, match=r"unknown kind '\.xml': use \.jsonl"):
        open_catalog(tmp_path / "items.xml")
    with pytest.raises(CatalogError, match="no catalogue at"):
        open_catalog(tmp_path / "nothing.jsonl")
    with pytest.raises(CatalogError, match="no role is called 'picture': use one of id, text, image, audio"):
        open_catalog(tmp_path, columns={"picture": "x"})


def test_numbers_of_the_round_trip_stay_exact(tmp_path: Path) -> None:
    """Python writes and reads the shortest form of a float, so that none is changed on the way."""
    rows = [{"id": "1", "x": 0.1 + 0.2}, {"id": "2", "x": math.nextafter(1, 2)}]
    assert good(open_catalog(write_jsonl(tmp_path / "i.jsonl", rows))) == rows
