"""The CSV reader: types of columns, lines, headers, and what is not CSV."""

from pathlib import Path
from typing import Any

import pytest

from engine.core.filters import FieldKind
from indexers.errors import CatalogError, RowError
from indexers.readers import BadRow, Row, open_catalog
from indexers.readers.base import Columns
from indexers.readers.delimited import Delimited
from tests.indexers.catalogs import good, only_bad


def table(tmp_path: Path, text: str, **options: Any) -> Delimited:
    path = tmp_path / "items.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    reader = open_catalog(path, **options)
    assert isinstance(reader, Delimited)
    return reader


def test_columns_are_typed_by_their_values(tmp_path: Path) -> None:
    reader = table(
        tmp_path,
        "id,text,n,x,on,code,tags,at,empty\n"
        '1,5,7,1.5,true,007,"[""a"",""b""]",2024-05-01,\n'
        '2,6,-8,2,False,12,"[]",2024-05-02T10:00Z,\n'
        "3,7,,,,,,,\n",
    )
    assert good(reader) == [
        {
            "id": "1",
            "text": "5",
            "n": 7,
            "x": 1.5,
            "on": True,
            "code": "007",
            "tags": ["a", "b"],
            "at": "2024-05-01",
        },
        {
            "id": "2",
            "text": "6",
            "n": -8,
            "x": 2.0,
            "on": False,
            "code": "12",
            "tags": [],
            "at": "2024-05-02T10:00Z",
        },
        {"id": "3", "text": "7"},
    ]


def test_declared_kind_goes_before_what_cells_look_like(tmp_path: Path) -> None:
    kinds = {"n": FieldKind.KEYWORD, "x": FieldKind.FLOAT}
    assert good(table(tmp_path, "id,n,x\n1,7,8\n", fields=kinds)) == [{"id": "1", "n": "7", "x": 8.0}]
    assert isinstance(good(table(tmp_path, "id,n,x\n1,7,8\n", fields=kinds))[0]["x"], float)


def test_cell_of_another_type_than_the_first_rows_is_a_bad_row(tmp_path: Path) -> None:
    lines = "".join(f"{n},{n}\n" for n in range(600))
    reader = table(tmp_path, f"id,n\n{lines}x,none\n")
    bad = only_bad(reader)
    assert bad.line == 602
    assert str(bad.error) == (
        "column n is 'none', but it holds values of kind integer: correct the cell, or declare the column: "
        "--field n=keyword"
    )
    assert len(good(table(tmp_path, f"id,n\n{lines}x,none\n", fields={"n": FieldKind.KEYWORD}))) == 601


@pytest.mark.parametrize("kind", [FieldKind.INTEGER, FieldKind.FLOAT, FieldKind.BOOL, FieldKind.GEO])
@pytest.mark.parametrize("cell", ["nan", "inf", "1e999", "x", "[", "1_000"])
def test_cell_that_is_not_of_the_declared_kind(tmp_path: Path, kind: FieldKind, cell: str) -> None:
    assert isinstance(only_bad(table(tmp_path, f"id,n\n1,{cell}\n", fields={"n": kind})).error, RowError)


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    reader = table(tmp_path, 'id,text\n1,"a\nb\nc"\n\n2,x,y\n3,"un"closed\n4,ok\n')
    rows = list(reader.rows())
    assert [(row.line, type(row)) for row in rows] == [(2, Row), (6, BadRow), (7, BadRow), (8, Row)]
    reasons = [row.error.problem for row in rows if isinstance(row, BadRow)]
    assert reasons[0] == "row has 3 cells, the header has 2"
    assert reasons[1].startswith("row is not valid CSV")


def test_long_cells_and_strange_bytes(tmp_path: Path) -> None:
    long = "word\n" * 60_000
    path = tmp_path / "items.csv"
    path.write_bytes(b'id,text\n1,"' + long.encode() + b'"\n2,\xff\xfe\n3,ok\n')
    rows = list(Delimited(path).rows())
    assert isinstance(rows[0], Row)
    assert rows[0].values["text"] == long
    assert "column text is not UTF-8" in only_bad(Delimited(path)).error.problem
    assert isinstance(rows[2], Row)


def test_tabs_and_named_columns(tmp_path: Path) -> None:
    path = tmp_path / "items.tsv"
    path.write_text("sku\ttitle\tid\n007\t12\t5\n")
    columns: Columns = {"id": "sku", "text": "title"}
    assert good(open_catalog(path, columns=columns)) == [{"sku": "007", "title": "12", "id": 5}]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no column 'id' for the id, its columns are none"),
        ("sku;title\n1;2\n", "its columns are 'sku;title': name it, such as --column id=sku; .csv has commas"),
        ("id,a,a\n", "two columns 'a'"),
    ],
)
def test_header_that_cannot_be_used(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(CatalogError, match=reason):
        list(table(tmp_path, text).rows())
