"""How small the vectors are that searches compare, and how widely each kind is searched.

A search of a graph over quantised vectors takes more neighbours than were asked for, and compares those by their full
vectors, which lie on disk. The numbers were measured by `python -m benchmarks.million` on points that are hard to
search; docs/BENCHMARKS.md has them.
"""

from dataclasses import dataclass
from typing import Literal

Quantization = Literal["none", "int8", "4bit"]


@dataclass(frozen=True, slots=True)
class Search:
    """How a collection is searched."""

    ef: int
    """How widely the graph is searched, at least."""
    oversampling: float = 1.0
    """So many times the limit are compared by their full vectors."""


SEARCHES: dict[Quantization, Search] = {
    "none": Search(256),
    "int8": Search(384, oversampling=2.0),
    "4bit": Search(384, oversampling=2.0),
}
"""How each kind is searched."""
