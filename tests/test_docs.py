"""What the documents name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATH = re.compile(r"`((?:engine|encoders|indexers|benchmarks|proto|tests|docs)/[\w./]+|[a-z_]+/[a-z_/]+\.py)`")


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", *(p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").rglob("*.md"))]
)
def test_files_and_folders_that_are_named_exist(name: str) -> None:
    text = (ROOT / name).read_text()
    gone = [path for path in PATH.findall(text) if not any((ROOT / at / path).exists() for at in ("", "engine"))]
    assert not gone


def test_the_picture_has_every_room() -> None:
    picture = (ROOT / "docs" / "rooms.svg").read_text()
    rooms = [path.parent.name for path in (ROOT / "engine").glob("*/__init__.py")]
    assert len(rooms) >= 12
    assert [room for room in [*rooms, "opening.py", "indexers", "encoders"] if room not in picture] == []
