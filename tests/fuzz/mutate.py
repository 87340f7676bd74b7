"""Inputs from inputs, without coverage: for the short run of the tests, and where atheris is not installed."""

import random
from collections.abc import Sequence

_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF)
_PIECES = (
    b"\0", b"\n", b'"', b"[" * 40, b"{" * 40, b"\xff\xff\xff\xff", b"\xed\xa0\x80", b"9" * 30, b"nan", b"1e999",
    b"@deep", b"@digits", b"../",
)  # fmt: skip


def mutated(seeds: Sequence[bytes], chance: random.Random, max_bytes: int) -> bytes:
    """One of the seeds with a few changes: bits, edges of numbers, pieces doubled, cut, moved in from another."""
    data = bytearray(chance.choice(seeds))
    for _ in range(1 << chance.randrange(4)):
        at = chance.randrange(len(data) + 1)
        size = min(1 << chance.randrange(7), len(data) - at)
        match chance.randrange(7):
            case 0 if data:
                data[at % len(data)] ^= 1 << chance.randrange(8)
            case 1:
                width = chance.choice((1, 2, 4, 8))
                value = chance.choice(_EDGES) % (1 << 8 * width)
                data[at : at + width] = value.to_bytes(width, chance.choice(("little", "big")))
            case 2:
                del data[at : at + size]
            case 3:
                data[at:at] = data[at : at + size]
            case 4:
                data[at:at] = chance.choice(_PIECES)
            case 5:
                other = chance.choice(seeds)
                begin = chance.randrange(len(other) + 1)
                data[at : at + size] = other[begin : begin + size]
            case _:
                data[at : at + size] = chance.randbytes(size)
    return bytes(data[:max_bytes])
