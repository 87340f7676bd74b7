"""Distributions that add parts: only their metadata, as pip would leave it."""

from pathlib import Path

import pytest


def add_distribution(
    patch: pytest.MonkeyPatch, folder: Path, group: str, points: dict[str, str], name: str = "others"
) -> None:
    """Let entry points of a group be found, until the test is over.

    Args:
        patch: undoes it.
        folder: an empty place.
        group: of the entry points.
        points: by name what they are, `module:attribute`.
        name: of the distribution.
    """
    metadata = folder / name / f"{name}-1.2.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    lines = "".join(f"{point} = {value}\n" for point, value in points.items())
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{lines}")
    patch.syspath_prepend(str(folder / name))
