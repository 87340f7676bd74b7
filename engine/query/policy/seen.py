"""Which items must not be shown at all, and which were shown already."""

from collections.abc import Sequence, Set
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


def page_rows(ids: Sequence[ItemId], shown: Set[bytes], limit: int) -> Rows:
    """Of a list from its beginning, the rows of the page that follows what was shown, see `Query.shown`."""
    left = (row for row, name in enumerate(ids) if mark_of(name) not in shown) if shown else range(len(ids))
    return np.fromiter(islice(left, limit), np.intp)
