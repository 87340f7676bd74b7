"""What a text file does not say of itself: its encoding, and what separates its cells."""

import codecs
import csv
from collections import Counter
from itertools import islice
from pathlib import Path

from indexers.readers import TextFormat

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
TEXT_SUFFIXES = (".csv", ".tsv", ".tab")

_BLOCK = 1 << 20
_READ = 1 << 28
_ROWS = 200


def guess_form(path: Path) -> tuple[TextFormat, list[str]]:
    """The form of a CSV file, and what is doubtful about it.

    Returns:
        The form; its delimiter is "" where it is what the suffix says.
    """
    encoding, doubts = _encoding(path)
    usual = "," if path.suffix.lower() == ".csv" else "\t"
    scores = {one: _score(path, encoding, one) for one in DELIMITERS}
    best = max(scores, key=lambda one: (scores[one], one == usual))
    if scores[best] == 0:
        best = usual
    if best != usual:
        doubts.append(f"its cells are separated by {DELIMITERS[best]}, though it is called {path.suffix}")
    return TextFormat("" if best == usual else best, encoding), doubts


def _encoding(path: Path) -> tuple[str, list[str]]:
    with path.open("rb") as file:
        head = file.read(4096)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16", []
        if head[1::2].count(0) > len(head) // 4:
            return "utf-16-le", ["it has no mark of UTF-16, but every second byte is zero"]
        file.seek(0)
        wrong = _not_utf8(file.read(_READ))
    if wrong is None:
        return "utf-8", []
    try:
        shown = wrong.decode("cp1252")
        encoding, name = "cp1252", "Windows' Western European"
    except UnicodeDecodeError:
        shown = wrong.decode("latin-1")
        encoding, name = "latin-1", "ISO's Western European"
    words = next((word for word in shown.replace(";", " ").replace(",", " ").split() if not word.isascii()), shown)
    return encoding, [f"it is not UTF-8: read as {encoding} ({name}), which gives words such as {words[:30]!r}"]


def _not_utf8(raw: bytes) -> bytes | None:
    """The first line that is not UTF-8."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(raw)
    except UnicodeDecodeError as error:
        start = raw.rfind(b"\n", 0, error.start) + 1
        end = raw.find(b"\n", error.end)
        return raw[max(start, error.start - 80) : min(end if end >= 0 else len(raw), error.end + 80)]
    return None


def _score(path: Path, encoding: str, delimiter: str) -> float:
    """How much a file looks like one with this delimiter: its columns, times the share of rows that have as many."""
    try:
        with path.open(encoding=encoding, errors="replace", newline="") as file:
            rows = [row for row in islice(csv.reader(file, delimiter=delimiter), _ROWS) if row]
    except (csv.Error, UnicodeError):
        return 0.0
    if not rows or len(rows[0]) < 2:
        return 0.0
    same = Counter(map(len, rows))[len(rows[0])] / len(rows)
    return same * len(rows[0])
