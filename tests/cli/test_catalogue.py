"""Catalogues on the command line: what is refused as a whole, before anything is loaded, and which rows are."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from engine import compose
from engine.cli import app
from tests.tiny import tiny_space

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs a command in a folder of its own, with the tiny encoders."""
    monkeypatch.setattr(compose, "open_space", lambda settings: tiny_space())
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
        before_encoders.setattr(compose, "open_space", lambda settings: pytest.fail("it is refused before that"))
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
