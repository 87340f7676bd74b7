"""Lists as tables: of plain text as wide as the terminal, or HTML with small pictures.

What only showing needs is imported then: most clients show nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

TITLE = 60
"""Characters of a text that stand for a title."""
SIDE = 96
"""Pixels of a thumbnail's longer side."""
MAX_PICTURE = 128 << 10
"""Bytes of a picture that is shown as it is."""
MAX_PICTURES = 4 << 20
"""Bytes of all pictures of a table."""
MAX_PIXELS = 16 << 20
"""Pixels of a picture that is made small, as it is decoded: 64 MB."""
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
"""That are opened: others may run programs."""
_TYPES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp"}
_MIN_WIDTH = 8


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under their heads.

    Args:
        heads: of the columns.
        rows: their cells.
        notes: lines below.
        right: columns that are set to the right; they are not shortened.
        empty: what is said where there are no rows.
        pictures: HTML before each row, or nothing.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    right: Sequence[int] = ()
    empty: str = ""
    pictures: Sequence[str] = ()

    def with_pictures(self, pictures: Sequence[str]) -> Table:
        """The same with pictures in HTML."""
        return replace(self, pictures=pictures) if any(pictures) else self

    def text(self, columns: int = 0) -> str:
        """Plain text of lines not wider than so many columns; 0 takes the terminal's."""
        notes = [_clean(note) for note in self.notes]
        if not self.rows:
            return "\n".join([self.empty, *notes] if self.empty else notes)
        table = [[_clean(cell) for cell in row] for row in (self.heads, *self.rows)]
        widths = self._widths([max(map(_width, column)) for column in zip(*table, strict=True)], columns)
        lines = []
        for row in table:
            cells = [
                _pad(_cut(cell, width), width, right=column in self.right)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        lines.insert(1, "  ".join("─" * width for width in widths))
        return "\n".join([*lines, *notes])

    def _widths(self, wanted: list[int], columns: int) -> list[int]:
        """What each column gets: the widest ones give way."""
        import shutil

        room = (columns or shutil.get_terminal_size((100, 24)).columns) - 2 * (len(wanted) - 1)
        widths = list(wanted)
        while sum(widths) > room:
            widest = max((n for n in range(len(widths)) if n not in self.right), key=lambda n: widths[n])
            if widths[widest] <= _MIN_WIDTH:
                break
            widths[widest] -= 1
        return widths

    def html(self) -> str:
        """A table in HTML; whatever the cells hold is text."""
        from html import escape

        pictured = bool(self.pictures)
        heads = "".join(f"<th>{escape(head)}</th>" for head in (*([""] if pictured else []), *self.heads))
        lines = []
        for number, row in enumerate(self.rows):
            sides = ("right" if column in self.right else "left" for column in range(len(row)))
            cells = "".join(
                f'<td style="text-align:{side}">{escape(_clean(cell))}</td>'
                for side, cell in zip(sides, row, strict=True)
            )
            lines.append(f"<tr>{f'<td>{self.pictures[number]}</td>' if pictured else ''}{cells}</tr>")
        below = "".join(f"<p>{escape(_clean(note))}</p>" for note in self.notes)
        if not lines:
            return f"<p>{escape(self.empty)}</p>{below}" if self.empty else below
        return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>{below}"


def title(payload: Mapping[str, Any], text: str, item_id: str) -> str:
    """What an item is called: its payload's title or name, else its text, else its id."""
    for key in ("title", "name"):
        if isinstance(payload.get(key), str) and payload[key]:
            return str(payload[key])
    line = " ".join(text.split())
    return (line if len(line) <= TITLE else line[: TITLE - 1].rstrip() + "…") or item_id


def thumbnails(root: Path, paths: Sequence[str]) -> list[str]:
    """An <img> for each path below a folder, the picture in it; "" for what is not there, no picture or too large.

    Large pictures are shown where Pillow is installed, which makes them small.
    """
    import base64

    found, room = [], MAX_PICTURES
    for path in paths:
        picture = _picture(root, path) if path else None
        if picture is None or len(picture[1]) > room:
            found.append("")
            continue
        room -= len(picture[1])
        data = base64.b64encode(picture[1]).decode()
        style = f"max-width:{SIDE}px;max-height:{SIDE}px"
        found.append(f'<img style="{style}" src="data:image/{picture[0]};base64,{data}">')
    return found


def _picture(root: Path, path: str) -> tuple[str, bytes] | None:
    """A picture's type and bytes."""
    top = root.resolve()
    try:
        file = (top / path).resolve()
        if not file.is_relative_to(top) or not file.is_file():
            return None
        if file.stat().st_size > MAX_PICTURE:
            return _shrunk(file)
        data = file.read_bytes()
    except (OSError, ValueError):
        return None
    kind = next((kind for begin, kind in _TYPES.items() if data.startswith(begin)), "")
    if kind == "webp" and data[8:12] != b"WEBP":
        kind = ""
    if not kind and file.suffix.lower() == ".svg":
        kind = "svg+xml"  # in an <img>, its scripts do not run
    return (kind, data) if kind else None


def _shrunk(file: Path) -> tuple[str, bytes] | None:
    try:
        import io

        from PIL import Image
    except ImportError:
        return None
    try:
        with Image.open(file, formats=_FORMATS) as picture:
            picture.draft("RGB", (SIDE * 2, SIDE * 2))
            if picture.width * picture.height > MAX_PIXELS:
                return None
            picture.thumbnail((SIDE * 2, SIDE * 2))
            buffer = io.BytesIO()
            picture.convert("RGB").save(buffer, "JPEG")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    return "jpeg", buffer.getvalue()


# Text -------------------------------------------------------------------------------------------------------


def _clean(words: str) -> str:
    """On one line, and nothing that a terminal would obey."""
    return "".join(sign if sign.isprintable() else " " if sign.isspace() else "�" for sign in words)


def _width(words: str) -> int:
    """Columns of a terminal."""
    return sum(_columns(sign) for sign in words)


def _columns(sign: str) -> int:
    if unicodedata.combining(sign) or unicodedata.category(sign) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def _cut(words: str, width: int) -> str:
    if _width(words) <= width:
        return words
    kept, room = [], width - 1
    for sign in words:
        room -= _columns(sign)
        if room < 0:
            break
        kept.append(sign)
    return "".join(kept).rstrip() + "…"


def _pad(words: str, width: int, *, right: bool) -> str:
    blank = " " * (width - _width(words))
    return blank + words if right else words + blank
