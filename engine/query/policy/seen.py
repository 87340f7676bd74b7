"""Which items must not be shown at all, and which were shown already."""

from collections.abc import Sequence
from itertools import islice

import numpy as np

from encoders.types import Rows
from engine.core.types import ItemId, Query, mark_of


def left_out(query: Query) -> tuple[ItemId, ...]:
    """The items excluded and, unless they are asked for, those of the history and of the query itself, each once."""
    names = list(query.policy.exclude)
    if not query.policy.include_seen:
        names += [event.item for event in query.history if event.item is not None]
        names += [part.source for part in query.parts if isinstance(part.source, str)]
    return tuple(dict.fromkeys(names))


def page_rows(query: Query, ids: Sequence[ItemId]) -> Rows:
    """Of a list from its beginning, the rows of the page that a query asks for: what no earlier page showed."""
    left = (row for row, name in enumerate(ids) if mark_of(name) not in query.shown)
    return np.fromiter(islice(left, query.limit), np.intp)
