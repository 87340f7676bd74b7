"""JSONL and CSV as streams of rows. What the cells mean, and what becomes of a bad row, is for others to say."""

import codecs
import csv
import io
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar

from encoders.errors import TriveniError

Cells = dict[str, Any]
Refused = TypeVar("Refused", bound=TriveniError)

_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 20
MAX_LINE = 64 << 20
"""Characters of a line of CSV."""


def json_rows(
    path: Path, refused: type[Refused], most_bytes: int, remedy: str
) -> Iterator[tuple[int, Cells | Refused]]:
    """The objects of a file with one JSON object per line, in UTF-8; blank lines are skipped.

    Args:
        path: the file.
        refused: the error of a line that is no object.
        most_bytes: a longer line is refused, so that a missing line break cannot fill the memory.
        remedy: against a line that is too long.

    Yields:
        The number of a line, from 1, and its object, or why it cannot be read.
    """
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(most_bytes + 1):
            number += 1
            if len(raw) > most_bytes and not raw.endswith(b"\n"):
                _skip_line(file)
                yield number, refused(f"line is over {most_bytes} bytes long", remedy)
            elif raw.strip(b" \t\r\n" + _BOM):
                yield number, parsed_object(raw, refused)


def _skip_line(file: BinaryIO) -> None:
    while (block := file.readline(_BLOCK)) and not block.endswith(b"\n"):
        pass


def parsed_object(raw: bytes, refused: type[Refused]) -> Cells | Refused:
    """The object of a line of JSON, or why it is none."""
    try:
        cells = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return refused(f"line is not UTF-8 (byte {error.start})", "save the file as UTF-8")
    except json.JSONDecodeError as error:
        problem = f"line is not JSON: {error.msg.lower()} at column {error.colno}"
        return refused(problem, "write one JSON object per line")
    except (RecursionError, ValueError) as error:
        return refused(f"line is not usable JSON: {str(error)[:80].lower()}", "write plainer JSON")
    if not isinstance(cells, dict):
        return refused(f"line is a {type(cells).__name__}, not an object", "write one object per line")
    return cells


def csv_header(path: Path, broken: type[TriveniError], delimiter: str = ",", encoding: str = "utf-8") -> list[str]:
    """The columns of a file of separated values.

    Raises:
        broken: if the first line is no valid CSV.
    """
    with _opened(path, encoding) as file:
        try:
            return next(csv.reader(_Lines(file), delimiter=delimiter, strict=True), [])
        except (csv.Error, UnicodeError) as error:
            raise broken(f"{path} has no valid header ({error})", "write the columns' names") from None


def check_distinct(path: Path | str, names: Sequence[str], broken: type[TriveniError]) -> None:
    """Refuse two columns of one name.

    Raises:
        broken: if there are two.
    """
    doubled = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if doubled is not None:
        raise broken(f"{path} has two columns {doubled!r}", "give each a name of its own")


def csv_rows(
    path: Path,
    refused: type[Refused],
    delimiter: str = ",",
    is_row: Callable[[dict[str, str]], bool] | None = None,
    encoding: str = "utf-8",
) -> Iterator[tuple[int, dict[str, str] | Refused]]:
    """The rows of a file of separated values with a header; blank lines are skipped.

    Args:
        path: the file, whose header `csv_header` accepts.
        refused: the error of a row that is not valid.
        delimiter: what separates the cells.
        is_row: whether cells are a row. Where it is given, a quote that is never closed takes in no rows: a row with
            such a line in a quoted cell is refused, and the lines after its first are read again.
        encoding: of the file, as Python names it.

    Yields:
        The number of the line that a row begins on, from 1, and its cells that are not empty by column, or why
        it cannot be read. Bytes that are not of the encoding are surrogates.
    """
    with _opened(path, encoding) as file:
        lines = _Lines(file)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        names = next(reader, [])

        def swallowed() -> bool:
            """Whether one of the lines that a row goes on with is a row by itself."""
            for line in lines.row[1:]:
                cells = next(csv.reader([line], delimiter=delimiter), [])
                if len(cells) != len(names) or '"' in cells[0]:  # there the quoted cell is the first, and ends
                    continue
                if any('"' in cell and cell.replace('"', '""') not in line for cell in cells):  # ends in another one
                    continue
                if is_row is not None and is_row(dict(zip(names, cells, strict=True))):
                    return True
            return False

        while True:
            number = reader.line_num + 1 - lines.begin_row()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                several = is_row is not None and lines.again()
                yield number, _unclosed(refused) if several else _invalid(error, refused)
                continue
            if is_row is not None and swallowed():
                lines.again()
                yield number, _unclosed(refused)
            elif len(cells) == len(names):
                yield number, {name: cell for name, cell in zip(names, cells, strict=True) if cell}
            elif cells:
                separators = {",": "commas", "\t": "tabs"}.get(delimiter, repr(delimiter))
                problem = f"row has {len(cells)} cells, the header has {len(names)}"
                yield number, refused(problem, f"quote cells that hold {separators}")


def _opened(path: Path, encoding: str) -> TextIO:
    plain = codecs.lookup(encoding).name
    return path.open(encoding="utf-8-sig" if plain == "utf-8" else plain, errors="surrogateescape", newline="")


class _Lines:
    """The lines of a file. Those of the row that was read last can be read again.

    One that is too long is not kept, but skipped, and a csv.Error in its place: a missing line break cannot fill the
    memory.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._ahead: deque[str] = deque()
        self._twice = 0
        self.row: list[str] = []
        """The lines of the row."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._ahead.popleft() if self._ahead else self._read()
        if not line:
            raise StopIteration
        self.row.append(line)
        return line

    def _read(self) -> str:
        """The next line; "" at the end."""
        try:
            line = self._file.readline(MAX_LINE)
            if len(line) < MAX_LINE or line[-1] in "\r\n":
                return line
            while (more := self._file.readline(_BLOCK)) and more[-1] not in "\r\n":
                pass
        except UnicodeDecodeError as error:  # of encodings whose units are larger than a byte
            self._file = io.StringIO()
            raise csv.Error(f"the rest is no {error.encoding}") from None
        raise csv.Error(f"a line has over {MAX_LINE} characters")

    def begin_row(self) -> int:
        """Begin a row, and say how many lines before it were read twice."""
        self.row = []
        return self._twice

    def again(self) -> bool:
        """Let all lines of the row but the first be read again; False if there is one only."""
        self._ahead.extendleft(reversed(self.row[1:]))
        self._twice += len(self.row) - 1
        return len(self.row) > 1


def _unclosed(refused: type[Refused]) -> Refused:
    problem = "a quote that is opened in this row is not closed"
    return refused(problem, "close it, and double the quotes within a cell")


def _invalid(error: csv.Error, refused: type[Refused]) -> Refused:
    problem = f"row is not valid CSV: {str(error).lower()}"
    return refused(problem, "quote cells that hold quotes, and double the quotes")
