"""The last step: the chosen items become the answer that a caller gets."""

import uuid
from collections.abc import Sequence

from engine.catalog.ingest import TEXT, media_of, own_fields
from engine.catalog.parts import named_parts
from engine.core.deadline import Deadline
from engine.core.types import Candidates, Query, Reason, Recommendation, Recommendations
from engine.query.words import named_words
from engine.store.base import VectorStore

TEXT_SHOWN = 200
"""Characters of an item's text that an answer shows."""


def answer(
    results: Candidates,
    reasons: Sequence[tuple[Reason, ...]],
    propensities: Sequence[float],
    store: VectorStore,
    *,
    fingerprint: str,
    model: str,
    tier: str,
    skipped: tuple[tuple[int, str], ...],
    query: Query,
    deadline: Deadline,
    relevance: Sequence[float | None],
    no_match: bool,
) -> Recommendations:
    """Fetch the payloads of the results alone, and number them from where the page before ended.

    An item that was deleted meanwhile is left out.

    Raises:
        DeadlineError: if the time is up.
        CancelledError: if the caller went away.
    """
    deadline.check("fetching the results")
    points = store.retrieve(results.ids, with_vectors=False)
    listed: list[Recommendation] = []
    for row, (name, point, why) in enumerate(zip(results.ids, points, reasons, strict=True)):
        if point is not None:
            why = named_parts(named_words(why, query, point.payload, store.words), point.payload)
            own, media = own_fields(point.payload), media_of(point.payload)
            text = str(point.payload.get(TEXT) or "")[:TEXT_SHOWN]
            score, chance = float(results.scores[row]), float(propensities[row])
            rank = len(query.shown) + len(listed) + 1
            listed.append(Recommendation(name, score, rank, own, why, media, text, chance, relevance[row]))
    return Recommendations(
        tuple(listed),
        uuid.uuid4().hex,
        fingerprint,
        model,
        tier,
        skipped,
        full=len(results) == query.limit,
        no_match=no_match,
    )
