"""How large the batches of an Arrow file are once they are read, from their heads alone.

A batch names its rows and its buffers, and a compressed buffer begins with its size; a few kilobytes may claim
gigabytes. pyarrow has no way to ask, so the heads (FlatBuffers) are read here; see
https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format and Message.fbs beside it.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MAGIC = b"ARROW1\0\0"
_CONTINUES = 0xFFFFFFFF
_MAX_HEAD = 64 << 20
_DICTIONARY, _BATCH = 2, 3


@dataclass(frozen=True, slots=True)
class BatchSize:
    """A batch; one of a dictionary counts as without rows."""

    rows: int
    bytes: int
    """Of all its buffers, decompressed."""


def batch_sizes(path: Path) -> Iterator[BatchSize]:
    """The batches of an IPC file or stream.

    Raises:
        ValueError: if a head makes no sense.
        OSError: if the file cannot be read.
    """
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            file.seek(0)
        try:
            while head := _head(file):
                body = file.tell()
                message = _Head(head)
                kind, length = message.number("B", message.root, 1), message.number("<q", message.root, 3)
                if kind in (_DICTIONARY, _BATCH):
                    batch = message.table(message.root, 2)
                    inner = message.table(batch, 1) if kind == _DICTIONARY else batch
                    rows = message.number("<q", inner, 0) if kind == _BATCH else 0
                    yield BatchSize(max(rows, 0), _decompressed(message, inner, file, body))
                if length < 0:
                    raise ValueError(f"a body of {length} bytes")
                file.seek(body + length)
        except (struct.error, OverflowError):
            raise ValueError("the head of a batch makes no sense") from None


def _head(file: BinaryIO) -> bytes:
    """The next head; b"" at the end."""
    raw = file.read(4)
    if len(raw) < 4:
        return b""
    (size,) = struct.unpack("<I", raw)
    if size == _CONTINUES:
        (size,) = struct.unpack("<I", file.read(4))
    if size > _MAX_HEAD:
        raise ValueError(f"a head of {size} bytes")
    head = file.read(size)
    if len(head) < size:
        raise ValueError("a head is cut off")
    return head


def _decompressed(message: "_Head", batch: int, file: BinaryIO, body: int) -> int:
    compressed = bool(message.field(batch, 3))
    total = 0
    for offset, length in message.pairs(batch, 2):
        size = length
        if compressed and length >= 8:
            file.seek(body + offset)
            (claimed,) = struct.unpack("<q", file.read(8))
            size = length if claimed == -1 else claimed
        total += max(size, 0)
    return total


class _Head:
    """The fields of a FlatBuffers message, by their numbers."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.root = self._at("<I", 0)

    def _at(self, form: str, place: int) -> int:
        if place < 0:
            raise struct.error
        (value,) = struct.unpack_from(form, self._raw, place)
        return int(value)

    def field(self, table: int, number: int) -> int:
        """Where a field of a table is; 0 if it is left out."""
        layout = table - self._at("<i", table)
        if 4 + 2 * number >= self._at("<H", layout):
            return 0
        offset = self._at("<H", layout + 4 + 2 * number)
        return table + offset if offset else 0

    def number(self, form: str, table: int, number: int) -> int:
        """A number; 0 if it is left out."""
        place = self.field(table, number)
        return self._at(form, place) if place else 0

    def table(self, table: int, number: int) -> int:
        """Where an inner table or vector begins."""
        place = self.field(table, number)
        if not place:
            raise struct.error
        return place + self._at("<I", place)

    def pairs(self, table: int, number: int) -> Iterator[tuple[int, int]]:
        """A vector of structs of two 64-bit numbers."""
        if not self.field(table, number):
            return
        start = self.table(table, number)
        for one in range(self._at("<I", start)):
            yield self._at("<q", start + 4 + 16 * one), self._at("<q", start + 12 + 16 * one)
