"""The room that is left on the disk of an embedded store.

Qdrant Edge writes through memory maps. On a full disk, or one that may only be read, that ends the process by SIGBUS,
so there has to be room before it begins.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.core.errors import DiskFullError
from engine.core.files import disk_errors
from engine.store.base import Point
from engine.store.settings import DEFAULTS

RESERVE = DEFAULTS.reserve_mb << 20
"""Bytes that must be free, at least."""
_COPIES = 4
"""How often a vector or payload is written: in the shard, its log, the rows; measured 3.2."""
_MB = 1 << 20


def free_bytes(folder: Path) -> int:
    """Bytes that this user may still write on the disk of a folder."""
    return shutil.disk_usage(folder).free


class DiskRoom:
    """Sees to it that writers have room.

    Args:
        folder: on the disk in question.
        reserve: bytes that are free before anything is written, at least.
        free: tells how many there are.
    """

    def __init__(self, folder: Path, reserve: int = RESERVE, free: Callable[[Path], int] = free_bytes) -> None:
        self._folder, self._reserve, self._free = folder, reserve, free

    def check(self, size: int, doing: str) -> None:
        """Refuse to begin what might fill the disk.

        Args:
            size: bytes that will be written at the most; twice as many must be free, and at least the reserve.
            doing: what is to be done, for the message.

        Raises:
            DiskFullError: if there is too little room.
            DiskError: if the disk may only be read.
        """
        self._want(max(2 * size, self._reserve), doing)

    def check_least(self, doing: str) -> None:
        """Refuse what makes room, or only opens: a quarter of the reserve is enough for it.

        Edge writes where it deletes, and also where it opens, and on a disk without any room that ends the process.

        Args:
            doing: what is to be done, for the message.

        Raises:
            DiskFullError: if there is too little room.
            DiskError: if the disk may only be read.
        """
        self._want(self._reserve // 4, doing)

    def _want(self, wanted: int, doing: str) -> None:
        with disk_errors(self._folder):  # a disk that became read-only would end the process as a full one does
            os.utime(self._folder)
        left = self._free(self._folder)
        if left < wanted:
            raise DiskFullError(
                f"{doing} wants {-(-wanted // _MB)} MB free on the disk of {self._folder}, {left // _MB} are left",
                "free space there, or lower store.reserve_mb; reads go on meanwhile",
            )


def size_of(points: Sequence[Point], dimension: int) -> int:
    """Bytes that points take on disk, at the most."""
    vectors = sum(len(point.vectors) + sum(map(len, point.more.values())) for point in points) * dimension * 4
    return _COPIES * (vectors + sum(_size_of_payload(point.payload) for point in points))


def size_of_records(records: Iterable[tuple[object, Any, Mapping[str, Any]]]) -> int:
    """Bytes that records of a shard (key, named vectors, payload) take on disk, at the most."""
    return _COPIES * sum(
        4 * sum(_numbers(vector) for vector in (named or {}).values()) + _size_of_payload(payload)
        for _, named, payload in records
    )


def _numbers(vector: Any) -> int:
    """Of a dense vector, of several, or of the words."""
    if not isinstance(vector, list):
        return 2 * len(vector.indices)
    return sum(map(len, vector)) if vector and isinstance(vector[0], list) else len(vector)


def _size_of_payload(payload: Mapping[str, Any]) -> int:
    return len(json.dumps(dict(payload), ensure_ascii=False, default=str))


def size_of_vectors(count: int, dimension: int) -> int:
    """Bytes that extra vectors take on disk, at the most."""
    return _COPIES * count * dimension * 4


def size_of_folder(folder: Path) -> int:
    """Bytes that a folder takes on disk; holes in its files take none."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))
