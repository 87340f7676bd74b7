"""What the encoders take in: text, pictures and sounds.

A content holds its source, not its decoded form, so that a million of them can wait in a queue. Only
`encoders.decoding.decode` opens a source.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
"""An array of float32; its shape, like that of the others, is given where it is used."""
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]
"""Indexes: rows of a matrix, positions in a list."""


class Modality(StrEnum):
    """A kind of content. The value is also the name of the vector in the store."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"


@dataclass(frozen=True, slots=True)
class Text:
    """A text."""

    text: str
    modality: ClassVar[Modality] = Modality.TEXT


@dataclass(frozen=True, slots=True)
class Image:
    """A picture: a file's bytes, or the path of the file."""

    source: bytes | Path
    name: str = field(default="", compare=False)
    """Where it comes from, for the log."""
    modality: ClassVar[Modality] = Modality.IMAGE


@dataclass(frozen=True, slots=True)
class Audio:
    """A sound: a file's bytes, or the path of the file."""

    source: bytes | Path
    name: str = field(default="", compare=False)
    """Where it comes from, for the log."""
    modality: ClassVar[Modality] = Modality.AUDIO


Content = Text | Image | Audio

Span = tuple[int, int]
"""Where a passage of a long content begins and ends: characters of a text, milliseconds of a sound."""
WHOLE: Span = (0, 0)
"""Stands for all of a content."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A content after its CPU work (decoding, resizing, resampling), ready for `Encoder.forward`.

    `value` is the encoder's own: a cleaned string, a (3, side, side) array, an array of spectrogram patches.
    """

    modality: Modality
    value: Any


def by_modality(modalities: Sequence[Modality]) -> dict[Modality, list[int]]:
    """Group positions by modality: the rows of a mixed batch that one encoder takes together."""
    groups: dict[Modality, list[int]] = {}
    for row, modality in enumerate(modalities):
        groups.setdefault(modality, []).append(row)
    return groups
