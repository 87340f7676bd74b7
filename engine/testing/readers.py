"""The suite of catalogue readers."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from indexers.readers.base import BadRow, Reader, Row, Value


class ReaderContract:
    """What every `Reader` does."""

    @abstractmethod
    def reader(self, folder: Path) -> Reader:
        """The reader of a catalogue without bad rows; twice of the same folder gives the same one."""

    @abstractmethod
    def expected(self) -> Sequence[Mapping[str, Value]]:
        """The rows of that catalogue, at least two."""

    def test_it_reads_what_is_there(self, tmp_path: Path) -> None:
        """All rows, in order."""
        reader = self.reader(tmp_path)
        assert isinstance(reader, Reader)
        reader.check()
        rows = self._rows(reader)
        assert [dict(row.values) for row in rows] == [dict(row) for row in self.expected()]

    def test_it_reads_again_from_the_start(self, tmp_path: Path) -> None:
        """Also while another reading is under way."""
        reader = self.reader(tmp_path)
        begun = iter(reader.rows())
        next(begun)
        assert self._rows(reader) == self._rows(reader)
        assert len(list(begun)) == len(self.expected()) - 1

    def test_rows_come_one_by_one_with_rising_numbers(self, tmp_path: Path) -> None:
        """From 1, so that a message can name the row."""
        rows = self.reader(tmp_path).rows()
        assert isinstance(rows, Iterator)
        lines = [row.line for row in rows]
        assert lines[0] >= 1
        assert all(before < after for before, after in pairwise(lines))

    def test_the_total_is_right_where_it_is_known(self, tmp_path: Path) -> None:
        """Text formats may count their lines: never fewer than there are rows."""
        total = self.reader(tmp_path).total()
        assert total is None or total >= len(self.expected())

    def _rows(self, reader: Reader) -> list[Row]:
        found = list(reader.rows())
        bad = [row for row in found if isinstance(row, BadRow)]
        assert not bad, f"bad rows: {bad}"
        return [row for row in found if isinstance(row, Row)]
