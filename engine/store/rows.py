"""Columns of vectors in files, row by row: what ranking reads, where asking the shard for vectors is slow.

Qdrant Edge hands vectors over as lists of Python numbers, 30 microseconds each. Here a row number leads to the
same numbers as one slice of a memory-mapped file. A row is written once, before the point that names it, and
written again only after the point has let go of it; so whatever a point names is whole.
"""

import contextlib
import mmap
import os
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.types import Floats, Modality, Rows
from engine.store.validate import Columns

_FIRST_CAPACITY = 1024
_MANY_RELEASED = 2048
_OF_NO_RUN = "written again"
"""In the mark of unsynced rows, instead of a run of the machine."""


def _boot_id() -> str:
    """What tells this run of the machine from the one before a power cut; "" where the system has none."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


class VectorRows:
    """One file of float32 (capacity, dimension) per modality, and one of presence bits (capacity,).

    Files grow by doubling and are sparse: a modality that no item has takes no space. One writer at a time;
    readers need no lock.

    Args:
        folder: where the files are; made if missing.
        dimension: of every vector.
        modalities: in this order they are the presence bits.
        rest_seconds: how long a row that was let go is kept as it is.
    """

    def __init__(
        self, folder: Path, dimension: int, modalities: Sequence[Modality], rest_seconds: float = 10.0
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._dimension = dimension
        self._modalities = tuple(modalities)
        self._marker = folder / "unsynced"
        self._whole = not self._marker.exists() or (bool(_boot_id()) and self._marker.read_text() == _boot_id())
        names = [*(f"{modality}.f32" for modality in self._modalities), "present.u8"]
        self._widths = [*(4 * dimension for _ in self._modalities), 1]
        # All have as many rows; one that was cut off would grow again, with zeros for vectors.
        self._whole &= (
            len({_rows_of(folder / name, width) for name, width in zip(names, self._widths, strict=True)}) == 1
        )
        self._whole &= all((folder / name).exists() for name in names)
        if not self._whole:  # until `synced`: whoever ends while they are written again leaves them not whole
            self._marker.write_text(_OF_NO_RUN)
        self._files = [os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o644) for name in names]
        self._capacity = min(os.fstat(file).st_size // width for file, width in self._layout())
        self._end = 0
        self._free: list[int] = []
        self._released: deque[tuple[float, int]] = deque()
        self._since = 0
        self._rest_seconds = rest_seconds
        self._synced = not self._marker.exists()
        self._grow(max(self._capacity, _FIRST_CAPACITY))

    @property
    def whole(self) -> bool:
        """Whether the files hold all that was written: False after a power cut, or if one was missing or cut off."""
        return self._whole

    def _layout(self) -> list[tuple[int, int]]:
        return list(zip(self._files, self._widths, strict=True))

    def _grow(self, capacity: int) -> None:
        maps = []
        for file, width in self._layout():
            if os.fstat(file).st_size < capacity * width:
                os.ftruncate(file, capacity * width)
            maps.append(mmap.mmap(file, capacity * width, access=mmap.ACCESS_READ))
        self._columns: list[Floats] = [
            np.frombuffer(view, np.float32).reshape(capacity, self._dimension) for view in maps[:-1]
        ]
        self._present: npt.NDArray[np.uint8] = np.frombuffer(maps[-1], np.uint8)
        self._capacity = capacity

    def adopt(self, used: Sequence[int]) -> None:
        """Say which rows are named by points, after opening; all others may be written."""
        taken = np.zeros(max(used, default=-1) + 1, np.bool_)
        taken[list(used)] = True
        self._end = len(taken)
        self._free = np.flatnonzero(~taken).tolist()
        if self._end > self._capacity:
            self._grow(self._end)

    def write(self, count: int, columns: Columns) -> list[int]:
        """Write the vectors of `count` new points, and say in which rows."""
        if self._synced:
            self._marker.write_text(_boot_id())
            self._synced = False
        rows = [self._free.pop() for _ in range(min(len(self._free), count))]
        fresh = count - len(rows)
        rows += range(self._end, self._end + fresh)
        self.put(rows, columns)
        return rows

    def put(self, rows: Sequence[int], columns: Columns) -> None:
        """Write the vectors of points into the rows given."""
        self._end = max(self._end, max(rows, default=-1) + 1)
        if self._end > self._capacity:
            self._grow(max(self._end, 2 * self._capacity))
        bits = np.zeros(len(rows), np.uint8)
        runs = _runs(rows)
        for bit, modality in enumerate(self._modalities):
            if modality not in columns:
                continue
            positions, matrix = columns[modality]
            bits[positions] |= np.uint8(1 << bit)
            if len(positions) < len(rows):
                block = np.zeros((len(rows), self._dimension), np.float32)
                block[positions] = matrix
            else:
                block = np.ascontiguousarray(matrix)
            for start, stop in runs:
                os.pwrite(self._files[bit], block[start:stop].data, rows[start] * self._widths[bit])
        for start, stop in runs:
            os.pwrite(self._files[-1], bits[start:stop].data, rows[start])

    def release(self, rows: Sequence[int]) -> None:
        """Let go of rows that no point names any more; readers that are at them have time to finish."""
        now = time.monotonic()
        self._released.extend((now, row) for row in rows)
        self._since += len(rows)

    @property
    def many_released(self) -> bool:
        """Whether so many rows were let go since the last `synced` that another is due: only it gives them back."""
        return self._since >= _MANY_RELEASED

    def read(self, rows: Rows) -> tuple[dict[Modality, Floats], dict[Modality, npt.NDArray[np.bool_]]]:
        """The vectors of n rows, per modality float32 (n, d) with zeros where there is none, and masks (n,)."""
        columns, bits = self._columns, self._present
        present = {
            modality: (bits[rows] & np.uint8(1 << bit)).astype(np.bool_)
            for bit, modality in enumerate(self._modalities)
        }
        vectors = {}
        for bit, modality in enumerate(self._modalities):
            mask = present[modality]
            if mask.all():
                vectors[modality] = columns[bit].take(rows, axis=0)
            elif mask.any():
                whole = np.where(mask, rows, rows[mask.argmax()])  # not the files' holes
                vectors[modality] = columns[bit].take(whole, axis=0)
                vectors[modality][~mask] = 0
            else:
                vectors[modality] = np.zeros((len(rows), self._dimension), np.float32)
        return vectors, present

    def sync(self) -> None:
        """Make all rows durable. Call it before the points that name them are made durable."""
        if self._synced:
            return
        for file in self._files:
            os.fsync(file)

    def synced(self) -> bool:
        """Take away the mark of unsynced rows; call it after the points are durable too.

        Returns:
            Whether rows that were let go some time ago may be used again from now on.
        """
        before, free = time.monotonic() - self._rest_seconds, len(self._free)
        while self._released and self._released[0][0] <= before:
            self._free.append(self._released.popleft()[1])
        self._since = 0
        self._marker.unlink(missing_ok=True)
        self._synced = True
        self._whole = True
        return len(self._free) > free

    def close(self) -> None:
        """Close the files. Arrays that were read stay valid."""
        files, self._files = self._files, []
        for file in files:
            os.close(file)


def _rows_of(path: Path, width: int) -> int:
    """So many rows are in a file."""
    return path.stat().st_size // width if path.exists() else 0


def _runs(rows: Sequence[int]) -> list[tuple[int, int]]:
    """Positions (start, stop) of the runs of consecutive numbers."""
    cuts = (np.flatnonzero(np.diff(np.asarray(rows, np.intp)) != 1) + 1).tolist()
    return list(zip([0, *cuts], [*cuts, len(rows)], strict=True)) if rows else []
