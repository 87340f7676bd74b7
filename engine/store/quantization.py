"""How small the vectors are that searches compare, and how widely each kind is searched.

A search of a graph over quantised vectors takes more neighbours than were asked for, and compares those by their full
vectors, which lie on disk. The numbers were measured on points that are hard to search (`benchmarks.million`). At
100,000 of them, no field indexed, recall@10 and the median of a query were: full vectors .980 in 1.7 ms at ef 256;
int8 .981 in .72 at 256, .993 in .85 at 384; 4 bits .981 in .64 at 256, .996 in 1.2 at 384. More oversampling than 2
found no more for a limit of 10; without any, 4 bits stayed at .926. A larger graph has to be searched more widely for
the same: of a million, 4 bits in two parts, ef 384 finds .975, 448 .981, 512 .986.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

Quantization = Literal["none", "int8", "4bit"]
_LARGE = 250_000
"""Points of a collection from which on graphs are searched more widely."""


@dataclass(frozen=True, slots=True)
class Search:
    """How a collection is searched."""

    ef: int
    """How widely the graph is searched, at least."""
    oversampling: float = 1.0
    """So many times the limit are compared by their full vectors."""

    def over(self, points: int) -> "Search":
        """The same over so many points: an eighth more widely for each doubling beyond `_LARGE`."""
        return replace(self, ef=round(self.ef * (1 + math.log2(points / _LARGE) / 8))) if points > _LARGE else self


SEARCHES: dict[Quantization, Search] = {
    "none": Search(256),
    "int8": Search(384, oversampling=2.0),
    "4bit": Search(384, oversampling=2.0),
}
"""How each kind is searched."""
CANDIDATES = Search(256, oversampling=1.5)
"""How candidates of several interests are searched for, whatever kind the vectors are: the best are found by several
searches, and all are scored exactly, so that one which a search misses is seldom one of those that are shown."""
