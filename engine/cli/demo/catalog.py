"""The catalogue of the demo: the Tux Paint stamps, 950 pictures with titles, 134 with a sound of their own."""

import json
from collections.abc import Iterator
from pathlib import Path

from encoders.fitting.download import fetch_debian

PACKAGE = "tuxpaint-stamps-default"
"""Debian's package of the stamps (GPL-2, http://www.tuxpaint.org/stamps/)."""

STAMPS = Path("usr/share/tuxpaint/stamps")
"""Where they lie in the package."""


def tux_paint(folder: Path) -> tuple[Path, Path]:
    """Get the stamps and write a catalogue of them, unless both are there.

    Returns:
        The catalogue (JSONL) and the root of its paths.

    Raises:
        DownloadError: if the package cannot be had.
    """
    root = folder / PACKAGE / STAMPS
    catalog = folder / "catalog.jsonl"
    fetch_debian(PACKAGE, folder / PACKAGE)
    if not catalog.is_file():
        part = catalog.with_suffix(".part")
        with part.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(root))
        part.replace(catalog)
    return catalog, root


def rows(root: Path) -> Iterator[dict[str, str]]:
    """A catalogue row for every stamp below `root` that has a title, in the order of their paths."""
    for text in sorted(root.rglob("*.txt")):
        stem = text.with_suffix("")
        title = text.read_text(encoding="utf-8").split("\n", 1)[0].strip()
        picture = _first(stem, "png", "svg")
        if not title or picture is None:
            continue
        name = stem.relative_to(root)
        row = {
            "id": name.as_posix(),
            "text": title,
            "image": picture.relative_to(root).as_posix(),
            "title": title,
            "category": name.parts[0],
            "group": name.parent.as_posix(),
        }
        sound = _first(stem, "ogg", "wav")
        if sound is not None:
            row["audio"] = sound.relative_to(root).as_posix()
        yield row


def _first(stem: Path, *endings: str) -> Path | None:
    files = (stem.with_name(f"{stem.name}.{ending}") for ending in endings)
    return next((file for file in files if file.is_file()), None)
