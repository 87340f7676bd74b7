"""Text files that were made to fill the memory: each costs a row, or is refused."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.core import rows
from engine.events.files import read_events
from engine.events.rows import BadLine
from indexers.errors import RowError
from indexers.readers import BadRow, Row, TextFormat, open_catalog
from indexers.readers.jsonl import JsonLines

GOOD = {"id": "good", "text": "a red bird"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"id": "1", "text": ' + "[" * 100_000, "not usable JSON"),
        ('{"id": "1", "a": ' * 10_000, "not usable JSON"),
        ('{"id": "1", "n": ' + "9" * 100_000 + "}", "not usable JSON"),
        ('{"id": "1", "text": "' + "a" * 200_000 + '"}', "over 200000 bytes long"),
        ('{"' + "k" * 250_000 + '": 1}', "over 200000 bytes long"),
        ('"' + "a" * 100_000 + '"', "a str, not an object"),
        ("[1]", "a list, not an object"),
        ('{"id": "1", "text": "\\ud800"}', ""),
        ('{"id": "1", "text": NaN}', ""),
        ('{"id": "1", "id": "2", "text": "a"}', ""),
        ('{"id": "1", "n": 1e999999, "text": "a"}', ""),
    ],
    ids=lambda text: text[:30],
)
def test_a_line_of_json_costs_itself(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(f"{line}\n{json.dumps(GOOD)}\n")
    first, second = JsonLines(path, max_row_bytes=200_000).rows()
    assert isinstance(second, Row)
    assert second.values == GOOD
    if reason:
        assert isinstance(first, BadRow)
        assert reason in str(first.error)


@pytest.mark.parametrize(
    "line",
    [
        lambda size: "1," + "a" * size,
        lambda size: '1,"' + "a" * size + '"',
        lambda size: "1" + "," * size,
        lambda size: '1,"' + '""' * (size // 2) + '"',
    ],
    ids=["plain", "quoted", "cells", "quotes"],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_line_of_csv_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: Callable[[int], str], ending: str
) -> None:
    monkeypatch.setattr(rows, "MAX_LINE", 100_000)
    path = tmp_path / "x.csv"
    path.write_text(f"id,text{ending}{line(20_000_000)}{ending}good,a red bird{ending}", newline="")
    tracemalloc.start()
    first, second = open_catalog(path).rows()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(first, BadRow)
    assert isinstance(first.error, RowError)
    assert "a line has over 100000 characters" in str(first.error)
    assert isinstance(second, Row)
    assert second.values == GOOD
    assert peak < 16_000_000


def test_a_header_of_csv_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_LINE", 1000)
    path = tmp_path / "x.csv"
    path.write_text("id," * 10_000)
    with pytest.raises(Exception, match=r"no valid header \(a line has over 1000 characters\)"):
        open_catalog(path).check()


def test_a_file_of_events_whose_lines_are_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_LINE", 1000)
    path = tmp_path / "x.csv"
    good = "u,like,a,2024-05-01T00:00:00Z\n"
    path.write_text("user_id,kind,item_id,time\n" + good + "u," * 5000 + "\n" + good)
    first, second, third = read_events(path)
    assert isinstance(second, BadLine)
    assert "a line has over 1000 characters" in str(second.error)
    assert not isinstance(first, BadLine)
    assert not isinstance(third, BadLine)


def test_a_file_that_ends_within_a_sign(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("id,text\n1,a\n".encode("utf-16") + b"\0")
    first, second = open_catalog(path, text=TextFormat(encoding="utf-16")).rows()
    assert isinstance(first, Row)
    assert isinstance(second, BadRow)
    assert "the rest is no utf-16" in str(second.error)
