"""Reads a folder of files as a catalogue.

Files of one folder and stem are one item: `birds/owl.png`, `birds/owl.txt` and `birds/owl.ogg` are the item
`birds/owl`. Its text is what the side-car (`.txt`, else `.md`) says, else the stem made readable; the sub-folder
becomes the payload field `category`. Of two pictures or sounds of one stem the first in `IMAGES` or `AUDIOS` is
taken. Hidden files, files of other kinds and links to folders are left alone. One folder's names are sorted in
memory, the tree is not.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from encoders.errors import TriveniError
from indexers.errors import CatalogError
from indexers.paths import decode_utf8, read_under
from indexers.readers.base import MAX_ROW_BYTES, BadRow, Row, Value

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".svg", ".svgz")
AUDIOS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff")
TEXTS = (".txt", ".md")
_ROLES = {
    suffix: (role, order)
    for role, suffixes in (("image", IMAGES), ("audio", AUDIOS), ("text", TEXTS))
    for order, suffix in enumerate(suffixes)
}

Files = dict[str, tuple[int, str]]
"""Per role the order of the suffix, and the file's name."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of files, with or without side-car texts.

    Args:
        path: the folder.
        root: where the items' paths begin; the folder itself, or one above it.
    """

    path: Path
    root: Path

    def check(self) -> None:
        """See `Reader.check`: its items have ids and contents; but it must lie under the root.

        Raises:
            CatalogError: if it does not.
        """
        if not self.path.resolve().is_relative_to(self.root.resolve()):
            raise CatalogError(f"folder {self.path} is not under the root {self.root}", "give a --root above it")

    def rows(self) -> Iterator[Row | BadRow]:
        """See `Reader.rows`."""
        self.check()
        folder, root = self.path.resolve(), self.root.resolve()
        above = folder.relative_to(root).as_posix()
        for line, (category, stem, files) in enumerate(_items(str(folder)), start=1):
            yield _row(line, "" if above == "." else f"{above}/", category, stem, files, str(root))

    def total(self) -> int | None:
        """The number of items; the folder's names are read for it."""
        return sum(1 for _ in _items(str(self.path.resolve())))


def readable(stem: str) -> str:
    """A file's name as words: `snowy-owl_02` becomes `snowy owl 02`."""
    return re.sub(r"[\s_.\-]+", " ", stem).strip()


def _row(line: int, above: str, category: str, stem: str, files: Files, root: str) -> Row | BadRow:
    inside = f"{category}/" if category else ""
    item_id = inside + stem
    values: dict[str, Value] = {"id": item_id, "text": readable(stem)}
    if category:
        values["category"] = category
    for role, (_, name) in files.items():
        path = above + inside + name
        if role != "text":
            values[role] = path
            continue
        try:
            values["text"] = decode_utf8(read_under(root, path, "text", MAX_ROW_BYTES)[0], name) or values["text"]
        except TriveniError as error:
            return BadRow(line, error, item_id)
    return Row(line, values)


def _items(folder: str) -> Iterator[tuple[str, str, Files]]:
    """The sub-folder, stem and files of each item, in the order of the names."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        stems: dict[str, Files] = {}
        for name in names:
            stem, suffix = os.path.splitext(name)  # noqa: PTH122
            role, order = _ROLES.get(suffix.lower(), ("", 0))
            if not role or name.startswith("."):
                continue
            files = stems.setdefault(stem, {})
            files[role] = min(files.get(role, (order, name)), (order, name))
        category = os.path.relpath(here, folder).replace(os.sep, "/")
        for stem in sorted(stems):
            yield "" if category == "." else category, stem, stems[stem]
