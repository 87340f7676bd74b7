"""Which columns hold pictures and sounds, and where the files are that they name."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from indexers.guess.sample import Column, Sample
from indexers.readers.folder import AUDIOS, IMAGES

_SUFFIXES = {
    role: re.compile(rf".*({'|'.join(map(re.escape, ends))})$", re.IGNORECASE | re.DOTALL)
    for role, ends in (("image", IMAGES), ("audio", AUDIOS))
}
_IN_URL = {
    role: re.compile(rf".*({'|'.join(map(re.escape, ends))})(\?.*)?$", re.IGNORECASE | re.DOTALL)
    for role, ends in (("image", IMAGES), ("audio", AUDIOS))
}
_NAMES = {
    "image": re.compile(r"image|img|photo|picture|pic|thumb|cover|poster|bild|foto|artwork|jpe?g|png"),
    "audio": re.compile(r"audio|sound|song|track|music|wav|mp3|flac|ogg|ton|klang"),
}
_MAGIC = {
    "image": (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"<svg", b"<?xml"),
    "audio": (b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"FORM"),
}
_SHARE = 0.6
_WALKED = 20_000


def media_of(sample: Sample, role: str) -> list[Column]:
    """The columns that hold contents of a role (image, audio), the likeliest first."""
    fitting = [column for column in sample.whole() if column.values and _holds(column, role)]
    return sorted(
        fitting,
        key=lambda column: (
            column.plain_name != role,
            not _NAMES[role].search(column.plain_name),
            -len(column.values),
        ),
    )


def urls_of(sample: Sample, role: str) -> list[Column]:
    """The columns that hold addresses of such contents on the web."""
    return [
        column
        for column in sample.whole()
        if column.of_urls and (column.share(_IN_URL[role]) > 0.5 or _NAMES[role].search(column.plain_name))
    ]


def _holds(column: Column, role: str) -> bool:
    raw = [value for value in column.values if isinstance(value, bytes)]
    if raw:
        return sum(_role_of(one) == role for one in raw) > _SHARE * len(raw)
    return not column.of_urls and column.share(_SUFFIXES[role]) > _SHARE


def _role_of(raw: bytes) -> str:
    """The role of a file's bytes, by how they begin; "" if they are neither."""
    head = raw[:16].lstrip()
    if head[:4] == b"RIFF":
        return {b"WEBP": "image", b"WAVE": "audio"}.get(raw[8:12], "")
    if raw[4:8] == b"ftyp":
        return "image"
    return next((role for role, starts in _MAGIC.items() if head.startswith(starts)), "")


def found_below(root: Path, names: list[str]) -> int:
    """How many of the files are below a folder."""
    return sum((root / name).is_file() for name in names)


def look_for_root(folder: Path, names: list[str]) -> Path | None:
    """A folder below this one that the files are in, if the first of them is found."""
    wanted = Path(names[0])
    for path in _walked(folder):
        if path.name == wanted.name and path.parts[-len(wanted.parts) :] == wanted.parts:
            root = Path(*path.parts[: -len(wanted.parts)])
            if found_below(root, names) > len(names) // 2:
                return root
    return None


def _walked(folder: Path) -> Iterator[Path]:
    seen = 0
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in names:
            yield Path(here) / name
        seen += len(names)
        if seen > _WALKED:
            return
