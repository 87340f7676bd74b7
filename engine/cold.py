"""What a person gets of whom nothing is known: what is popular, or else what is new."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.config import RetrieveSettings
from engine.deadline import Deadline
from engine.filters import FieldKind
from engine.ingest import INDEXED_AT
from engine.store.base import VectorStore
from engine.types import Candidates, ItemId, Query, ReasonKind


def cold(
    query: Query,
    exclude: Sequence[ItemId],
    store: VectorStore,
    settings: RetrieveSettings,
    deadline: Deadline,
    *,
    with_payload: bool,
) -> tuple[Candidates, tuple[ReasonKind, ...]]:
    """The most popular items if the catalogue counts popularity, then the newest, and which of the two each is.

    Scores only tell the order: they fall evenly from 1. An item counts if it has one of the query's modalities.
    """
    wanted = int(np.ceil(settings.overfetch * query.limit))
    left_out = set(exclude)
    found: dict[ItemId, ReasonKind] = {}
    orders = [(INDEXED_AT, ReasonKind.FRESH)]
    if store.schema.get(settings.popularity_field) in (FieldKind.INTEGER, FieldKind.FLOAT):
        orders.insert(0, (settings.popularity_field, ReasonKind.POPULAR))
    for field, kind in orders:
        if len(found) < wanted:
            deadline.check("searching")
            size = wanted + len(left_out) + len(found)
            page = store.scroll(filter_=query.filter, limit=size, order_by=field)
            for point in page.points:
                if point.id not in left_out:
                    found.setdefault(point.id, kind)
    deadline.check("fetching candidates")
    candidates = store.candidates(list(found)[:wanted], with_payload=with_payload)
    if query.modalities:
        has = np.any([candidates.present[m] for m in query.modalities if m in candidates.present], axis=0)
        candidates = candidates.take(np.flatnonzero(np.broadcast_to(has, len(candidates))))
    size = len(candidates)
    scores = np.asarray((size - np.arange(size)) / max(size, 1), np.float32)
    return replace(candidates, scores=scores), tuple(found[name] for name in candidates.ids)
