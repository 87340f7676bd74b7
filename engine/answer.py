"""The last step: the chosen items become the answer that a caller gets."""

import uuid
from collections.abc import Sequence

from engine.store.base import VectorStore
from engine.types import Candidates, Payload, Reason, Recommendation, Recommendations


def answer(
    results: Candidates,
    reasons: Sequence[tuple[Reason, ...]],
    store: VectorStore,
    *,
    fingerprint: str,
    model: str,
    tier: str,
    skipped: tuple[tuple[int, str], ...],
) -> Recommendations:
    """Fetch the payloads of the results alone, and number them. An item that was deleted meanwhile is left out."""
    points = store.retrieve(results.ids, with_vectors=False)
    listed: list[Recommendation] = []
    for name, score, point, why in zip(results.ids, results.scores.tolist(), points, reasons, strict=True):
        if point is not None:
            listed.append(Recommendation(name, score, len(listed) + 1, _shown(point.payload), why))
    return Recommendations(tuple(listed), uuid.uuid4().hex, fingerprint, model, tier, skipped)


def _shown(payload: Payload) -> Payload:
    """The item's own fields; those that begin with `_` are the engine's."""
    return {key: value for key, value in payload.items() if not key.startswith("_")}
