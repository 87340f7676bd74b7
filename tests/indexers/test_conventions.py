"""Other conventions of numbers, times and names, as the settings say them, in every kind of catalogue."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.filters import FieldKind
from engine.store.match import seconds_of
from indexers.catalog import Catalog
from indexers.errors import CatalogError
from indexers.guess.conventions import convention_of, plain_name
from indexers.guess.sample import Column
from indexers.readers import BadRow, Row
from indexers.readers.conventions import Conventions, number, time
from tests.indexers.catalogs import write_jsonl

OTHERS = Conventions({"preis": ","}, {"seit": "%d.%m.%Y", "am": "milliseconds"}, {"preis": "price"})
FIELDS = {"price": FieldKind.FLOAT, "seit": FieldKind.DATETIME}


def rows_of(path: Path, **how: object) -> list[Row | BadRow]:
    return list(Catalog(path, columns={"text": "name"}, fields=FIELDS, conventions=OTHERS, **how).reader().rows())  # type: ignore[arg-type]


@given(st.integers(-(10**12), 10**12), st.integers(0, 99), st.sampled_from([",", "."]))
def test_a_number_comes_back_with_or_without_marks_of_thousands(whole: int, cents: int, sign: str) -> None:
    other = "." if sign == "," else ","
    for text in (f"{whole}{sign}{cents:02d}", f"{whole:,}".replace(",", other) + f"{sign}{cents:02d}"):
        assert number(text, sign) == float(f"{whole}.{cents:02d}")
    assert number(f"{whole:,}".replace(",", other), sign) == whole


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)).map(lambda one: one.replace(microsecond=0)))
def test_a_time_comes_back_from_each_form(then: datetime) -> None:
    seconds = then.replace(tzinfo=UTC).timestamp()
    for value, form in ((seconds, "seconds"), (str(seconds), "seconds"), (1000 * seconds, "milliseconds"),
                        (f"{then:%d.%m.%Y %H:%M:%S}", "%d.%m.%Y %H:%M:%S")):  # fmt: skip
        assert seconds_of(time(value, form)) == seconds
    assert time(f"{then:%m/%d/%Y}", "%m/%d/%Y") == then.date().isoformat()


def test_csv_and_jsonl_give_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,name,preis,seit,am\n1,one,"1.234,5",31.12.2024,1700000000000\n2,two,7,,\n')
    rows = [
        {"id": "1", "name": "one", "preis": "1.234,5", "seit": "31.12.2024", "am": 1_700_000_000_000},
        {"id": "2", "name": "two", "preis": 7, "seit": None, "am": ""},
    ]
    write_jsonl(tmp_path / "a.jsonl", rows)
    for path in ("a.csv", "a.jsonl"):
        first, second = rows_of(tmp_path / path)
        assert isinstance(first, Row)
        assert isinstance(second, Row)
        told = {name: first.values[name] for name in ("price", "seit", "am")}
        assert told == {"price": 1234.5, "seit": "2024-12-31", "am": "2023-11-14T22:13:20.000Z"}
        assert second.values["price"] == 7
        assert "preis" not in first.values


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"preis": "1,234.5"}, "column preis is '1,234.5', which is not as index.decimals"),
        ({"seit": "2024-12-31"}, "column seit is '2024-12-31'"),
        ({"am": True}, "column am is 'True'"),
        ({"am": 1e300}, "column am is '1e[+]300'"),
        ({"preis": "1", "price": 2}, "columns preis and price would both be price"),
    ],
)
def test_what_is_not_as_it_is_said_makes_a_bad_row(tmp_path: Path, row: dict[str, object], said: str) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{"id": "1", "name": "one", **row}])
    (bad,) = rows_of(tmp_path / "a.jsonl")
    assert isinstance(bad, BadRow)
    with pytest.raises(type(bad.error), match=said):
        raise bad.error


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"decimals": {"a": ";"}}, "the decimal sign of a is ';'"),
        ({"rename": {"a": "b c"}}, "a cannot be called 'b c'"),
        ({"rename": {"a": "c", "b": "c"}}, "two columns get one name"),
    ],
)
def test_conventions_that_cannot_be_are_refused(wrong: dict[str, dict[str, str]], said: str) -> None:
    with pytest.raises(CatalogError, match=said):
        Conventions(**wrong)


def test_a_column_that_plays_a_role_is_not_renamed(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{"id": "1", "name": "one"}])
    with pytest.raises(CatalogError, match="column name plays a role"):
        Catalog(tmp_path / "a.jsonl", columns={"text": "name"}, conventions=Conventions(rename={"name": "title"}))


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("price", ["1,50", "2"], (",", "")),
        ("price", ["1,500.25", "2"], (".", "")),
        ("price", ["1.50", "2"], None),
        ("price", ["1,50", "cheap"], None),
        ("day", ["31/12/2024", "01/02/2024"], ("", "%d/%m/%Y")),
        ("day", ["12/31/2024", "01/02/2024"], ("", "%m/%d/%Y")),
        ("day", ["2024-12-31"], None),
        ("created_at", [1_700_000_000, 1_700_000_001.5], ("", "seconds")),
        ("created_at", [1_700_000_000_000], ("", "milliseconds")),
        ("views", [1_700_000_000], None),
    ],
)
def test_a_convention_is_found_where_all_values_follow_it(
    name: str, values: list[object], found: tuple[str, str] | None
) -> None:
    other = convention_of(Column(name, values))  # type: ignore[arg-type]
    assert (other and (other.sign, other.form)) == found


def test_what_could_be_either_is_told() -> None:
    either = convention_of(Column("day", ["01/02/2024", "03/04/2024"]))
    assert either
    assert 'if it is the month, write index.times.day = "%m/%d/%Y"' in either.doubt
    thousands = convention_of(Column("price", ["1,500", "12,000"]))
    assert thousands
    assert 'write index.decimals.price = "."' in thousands.doubt


def test_a_name_of_a_field_is_made_of_what_is_plain_in_it() -> None:
    assert plain_name("Preis in €", ()) == "Preis_in"
    assert plain_name("Größe", ()) == "Grosse"
    assert plain_name("Größe", ("Grosse",)) == plain_name("价格", ()) == plain_name("fine", ()) == ""
