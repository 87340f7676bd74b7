"""Vectors that a process has read from a server, so that they come only once.

An upsert writes a digest of a point's vectors into its payload, their address. A reader asks for the addresses of
the points, which are short, and fetches the vectors whose address it does not know. So what another process has
changed is never missed.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from encoders.types import Floats, Modality
from engine.core.caching import UseCount, Uses
from engine.store.parts import of_parts

ADDRESS = "_vectors"
"""The payload key of the address."""
_SEVERAL = "+"
More = Mapping[Modality, Floats]
"""The further parts of a point; see `Point.more`."""

Columns = Mapping[Modality, tuple[Floats, npt.NDArray[np.bool_]]]
"""By modality the vectors (n, d) of some points, zeros where they have none, and which have one (n,)."""


def address_of(vectors: Mapping[str, Floats]) -> str:
    """The address of a point's vectors: 96 bits of a digest, and a mark if there are further parts."""
    digest = blake2b(digest_size=12)
    for name in sorted(vectors):
        digest.update(name.encode() + b"\0")
        digest.update(vectors[name].astype("<f4").tobytes())
    return digest.hexdigest() + (_SEVERAL if any(map(of_parts, vectors)) else "")


def has_parts(address: str | None) -> bool:
    """Whether a point of this address has several parts of a modality."""
    return address is not None and address.endswith(_SEVERAL)


class VectorCache:
    """Vectors by address, as many as fit; a new one takes the place of the one that came first.

    Args:
        modalities: that points have vectors of.
        dimension: of each vector.
        size: bytes that they may take.
    """

    def __init__(self, modalities: Sequence[Modality], dimension: int, size: int) -> None:
        self.capacity = size // (4 * dimension * len(modalities))
        self._lock = threading.Lock()
        self._count = UseCount()
        self._slots: dict[str, int] = {}
        self._addresses: list[str] = []
        self._next = 0
        self._more: dict[str, More] = {}
        self._size, self._more_size = size, 0
        self._held = {  # memory is taken when it is written to
            name: (np.zeros((self.capacity, dimension), np.float32), np.zeros(self.capacity, np.bool_))
            for name in modalities
        }

    def read(self, addresses: Sequence[str | None], into: Columns, more: dict[int, More]) -> list[int]:
        """Fill the rows of addresses that are here.

        Args:
            addresses: of n points; None is nowhere.
            into: is written to, n rows.
            more: takes, by row, further parts.

        Returns:
            The other rows.
        """
        with self._lock:
            slots = np.array([-1 if one is None else self._slots.get(one, -1) for one in addresses], np.intp)
            for row in [row for row, one in enumerate(addresses) if has_parts(one)]:
                found = self._more.get(addresses[row] or "")
                if found is None:
                    slots[row] = -1
                elif slots[row] >= 0:
                    more[row] = found
            rows = np.flatnonzero(slots >= 0)
            for name, (matrix, present) in into.items():
                vectors, there = self._held[name]
                matrix[rows], present[rows] = vectors[slots[rows]], there[slots[rows]]
        missing: list[int] = np.flatnonzero(slots < 0).tolist()
        self._count.add(len(rows), len(missing))
        return missing

    @property
    def uses(self) -> Uses:
        """How it was used."""
        return self._count.uses

    def keep(self, addresses: Iterable[str], rows: Iterable[int], columns: Columns, more: Mapping[int, More]) -> None:
        """Keep vectors: of each address those in its row of the columns, and the further parts of that row."""
        with self._lock:
            for address, row in zip(addresses, rows, strict=True):
                if row in more and address not in self._more:
                    self._more_size += sum(matrix.nbytes for matrix in more[row].values())
                    if self._more_size > self._size:  # begin anew
                        self._more, self._more_size = {}, 0
                    self._more[address] = more[row]
                if address in self._slots or not self.capacity:
                    continue
                slot = self._next
                if slot < len(self._addresses):
                    del self._slots[self._addresses[slot]]
                    self._addresses[slot] = address
                else:
                    self._addresses.append(address)
                self._slots[address], self._next = slot, (slot + 1) % self.capacity
                for name, (matrix, present) in columns.items():
                    vectors, there = self._held[name]
                    vectors[slot], there[slot] = matrix[row], present[row]
