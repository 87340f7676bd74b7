"""Catalogues on the command line: what is refused as a whole, before anything is loaded, and which rows are."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from engine import opening
from engine.cli import app
from engine.config.settings import Settings
from tests.indexers.catalogs import write_jsonl
from tests.tiny import tiny_space

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs a command in a folder of its own, with the tiny encoders."""
    monkeypatch.setattr(opening, "open_space", lambda settings: tiny_space())
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == code, (result.output, result.exception)
        return result

    yield call
    structlog.reset_defaults()  # the commands set it up for their own standard error


CATALOGUES = {
    "items.csv": "id,name,price\n1,an owl,3\n2,a lark,4\n",
    "items.tsv": "id\tname\tprice\n1\tan owl\t3\n",
    "items.jsonl": '{"id": "1", "name": "an owl"}\n{"id": "2", "price": 4}\n',
}


@pytest.mark.parametrize("command", [("index",), ("verify",), ("encode", "-o", "out.npz")])
@pytest.mark.parametrize("name", [*CATALOGUES, "items.parquet"])
def test_a_catalogue_without_contents_or_ids_is_refused_once(
    run: Run, tmp_path: Path, name: str, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    if name.endswith("parquet"):
        pq.write_table(pa.table({"id": ["1", "2"], "name": ["an owl", "a lark"], "price": [3, 4]}), path)
    else:
        path.write_text(CATALOGUES[name])
    with monkeypatch.context() as before_encoders:
        before_encoders.setattr(opening, "open_space", lambda settings: pytest.fail("it is refused before that"))
        refusal = said(run(*command, path, code=2))
        assert "no content column: name one, --column text=name; the columns of" in refusal
        assert "'id', 'name', 'price'" in refusal
        refusal = said(run(*command, path, "--column", "text=name", "--column", "id=sku", code=2))
        assert "has no column 'sku' for the id, its columns are 'id', 'name', 'price'" in refusal
        if not name.endswith("jsonl"):  # where a row need not have all columns
            refusal = said(run(*command, path, "--column", "image=photo", "--column", "text=name", code=2))
            assert "has no column 'photo' for the image" in refusal
            assert "correct --column image=photo" in refusal
    if command[0] != "verify":
        run(*command, path, "--columns", "text=name", "--max-errors", 1)  # a row of the JSON lines has no name


def said(result: Result) -> str:
    """What a usage error says, out of its box."""
    return " ".join(result.stderr.replace("│", " ").split())


HEAD = 520
"""Rows whose prices are numbers: more than those that the kinds are found in."""
BAD = [
    ("price", "float", "n/a"),
    ("price", "float", True),
    ("price", "integer", "12.50"),
    ("price", "float", [1.5, "n/a"]),
    ("price", "float", {"amount": 3}),
    ("made", "datetime", "soon"),
    ("made", "datetime", 1714557600),
    ("sold", "bool", "yes"),
]


@pytest.mark.parametrize(("field", "kind", "value"), BAD)
def test_a_value_that_its_field_cannot_hold_is_a_refused_row(
    run: Run, tmp_path: Path, field: str, kind: str, value: object
) -> None:
    rows = [
        {"id": "good", "text": "a", field: None},
        {"id": "bad", "text": "b", field: value},
        {"id": "3", "text": "c"},
    ]
    path = write_jsonl(tmp_path / "items.jsonl", rows)
    refused = run("index", path, "--field", f"{field}={kind}", code=1)
    shown = repr(value[1] if isinstance(value, list) else value)
    assert f"line 2, bad: {field} is {shown}, but the field holds values of kind {kind}: correct it" in refused.stderr
    assert stored() == {"good", "3"}
    assert json.loads(run("verify", path, "--json", code=1).stdout)["unreadable"]["count"] == 1
    run("index", path, "--field", f"{field}={kind}", "--dry-run", code=1)


def test_text_in_a_field_that_held_numbers_so_far_is_a_refused_row(run: Run, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": str(row), "text": "a", "price": row / 2} for row in range(HEAD)]
    rows.append({"id": "bad", "text": "b", "price": "n/a"})
    path = write_jsonl(tmp_path / "items.jsonl", rows)
    refused = run("index", path, code=1)
    assert f"line {HEAD + 1}, bad: price is 'n/a', but the field holds values of kind float" in refused.stderr
    # Only texts in another catalogue's first rows: the store's field stays one of numbers.
    other = write_jsonl(tmp_path / "other.jsonl", [{"id": "other", "text": "b", "price": "n/a"}])
    assert "price is 'n/a'" in run("index", other, code=1).stderr


def test_numbers_of_any_kind_and_texts_in_undeclared_mixed_fields_are_kept(run: Run, tmp_path: Path) -> None:
    rows = [{"id": "1", "text": "a", "stock": 2, "size": 3}, {"id": "2", "text": "b", "stock": 2.5, "size": "XL"}]
    run("index", write_jsonl(tmp_path / "items.jsonl", rows), "--field", "stock=integer")
    assert stored() == {"1", "2"}


@pytest.mark.parametrize("name", ["items.csv", "items.jsonl"])
def test_a_field_of_numbers_and_texts_is_named(run: Run, tmp_path: Path, name: str) -> None:
    prices: list[object] = [1.5, 2, 3, "n/a", 0.5]
    path = tmp_path / name
    if name.endswith("csv"):
        path.write_text("id,text,price,size\n" + "".join(f"{row},x,{one},XL\n" for row, one in enumerate(prices)))
    else:
        write_jsonl(path, [{"id": str(row), "text": "x", "price": one} for row, one in enumerate(prices)])
    note = "note: field price holds numbers, and texts such as 'n/a': --field price=float makes it one of numbers"
    assert note in run("index", path).stderr
    assert len(stored()) == len(prices)
    declared = run("index", path, "--field", "size=keyword", "--field", "price=keyword", "--dry-run")
    assert "note" not in declared.stderr


def stored() -> set[str]:
    store = opening.open_store(Settings(), tiny_space())
    found = {point.id for point in store.scroll().points}
    store.close()
    return set(found)
