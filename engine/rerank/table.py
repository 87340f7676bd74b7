"""A request as numbers: tokens (what a person did, each an item or a content of their own) and candidates.

The vectors of tokens and candidates are looked up in a `Table`, by row.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.types import Bools, Floats, Modality, Rows
from engine.core.kinds import STANDARD_KINDS, EventKinds
from engine.core.types import EventKind
from engine.rerank.fields import Fields

KINDS = tuple(kind for kind in EventKind if kind is not EventKind.IMPRESSION)
"""Standard kinds of tokens. Parts of a query are tokens too: a text as a search, a picture or sound as an upload."""
GAPS = 28
"""Buckets of time gaps: powers of two of seconds."""
MAX_TOKENS = 50


@dataclass(frozen=True, slots=True)
class TokenKinds:
    """The kinds of events that a version of the model learned from."""

    names: tuple[str, ...] = KINDS
    """Each has a row in its networks, in this order."""
    negative: frozenset[str] = STANDARD_KINDS.negative
    """Those that speak against an item."""

    @classmethod
    def of(cls, kinds: EventKinds) -> "TokenKinds":
        """All that a deployment has, but for what was only shown."""
        return cls(tuple(name for name in kinds.names if name != EventKind.IMPRESSION), kinds.negative)

    def row(self, kind: str) -> int:
        """Its row; behind the last for a kind that came after the training, of which networks know nothing."""
        return self.names.index(kind) if kind in self.names else len(self.names)


STANDARD_TOKENS = TokenKinds()


@dataclass(frozen=True, slots=True)
class Table:
    """m items, then contents of people's own: what tokens and candidates are rows of."""

    vectors: Mapping[Modality, Floats]
    """Per modality (r, d), r >= m; zeros where `present` is False."""
    present: Mapping[Modality, Bools]
    fields: Fields
    """Of the m items."""
    since: npt.NDArray[np.float64]
    """(m,): when each item came, seconds since 1970; NaN where unknown."""
    identity: Rows
    """(r,): the row of the model's id embedding, 0 for an item that the model does not know."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a person did, h tokens, oldest first."""

    rows: Rows
    """(h,), rows of a `Table`."""
    kinds: Rows
    """(h,), rows of `TokenKinds`."""
    values: Floats
    """(h,): stars and the like; NaN for none."""
    gaps: npt.NDArray[np.float64]
    """(h,): seconds until the request, at least 0."""

    def newest(self) -> "Tokens":
        """The last `MAX_TOKENS`."""
        cut = slice(-MAX_TOKENS, None)
        return Tokens(self.rows[cut], self.kinds[cut], self.values[cut], self.gaps[cut])


@dataclass(frozen=True, slots=True)
class RankingInput:
    """One request as numbers: h tokens, c candidates, f features."""

    tokens: Tokens
    candidates: Rows
    """(c,), rows of a `Table`."""
    ids: Rows
    """(c,): the candidates' rows of the id embedding, 0 for one that the model is not to know."""
    dense: Floats
    """(c, f), float16 or float32."""


def gap_buckets(gaps: npt.NDArray[np.float64]) -> Rows:
    """(h,): log2 of the seconds, 0 to GAPS - 1."""
    return np.clip(np.log2(np.maximum(gaps, 1.0)), 0, GAPS - 1).astype(np.intp)
