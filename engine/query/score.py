"""Exact similarity scores of candidates, from one matrix: of each signal for each item."""

from dataclasses import dataclass

import numpy as np

from encoders.types import Floats, Rows
from engine.query.fuse import Intent
from engine.query.similarity import Columns

DISLIKE_TOLERANCE, DISLIKE_SLOPE = 0.8, 4.0
"""See `penalty`; chosen on Tux Paint, `python -m benchmarks.feedback`."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of N items before an intent of n signals and c interests."""

    similarity: Floats
    """(n, N): of each signal for each item."""
    words: Floats
    """(n, N): the part of it that words give."""
    query: Floats
    """(N,): the combined similarity of the query's parts, 0 without."""
    interests: Floats
    """(c, N): the combined similarity of each interest."""
    interest: Rows
    """(N,): the interest that speaks most for the item; 0 without a history."""
    penalty: Floats
    """(N,): what is taken from the total for being like something not wanted; see `penalty`."""
    total: Floats
    """(N,): standard deviations above an unrelated item."""


def score(intent: Intent, items: Columns, words: Floats | None = None) -> Scores:
    """Score items: the formula of `Intent`, exactly.

    Args:
        intent: of n signals.
        items: the N.
        words: (n, N), what the words of each signal add; None for nothing. See engine/query/words.py.
    """
    words = np.zeros((len(intent.weights), _count(items)), np.float32) if words is None else words
    similarity = intent.calibrated.similarity(items) + words
    combined = intent.combinations() @ similarity  # (groups, N)
    has_query = len(intent.parts) > 0
    size = similarity.shape[1]
    query = combined[0] if has_query else np.zeros(size, np.float32)
    interests = combined[1:] if has_query else combined
    scores = np.float32(intent.query_weight) * query
    interest = np.zeros(size, np.intp)
    if len(interests):
        interest = interests.argmax(axis=0)
        scores = scores + np.float32(1 - intent.query_weight) * interests.max(axis=0)
    taken = penalty(intent, similarity, scores)
    total = np.asarray(scores - taken, np.float32)
    return Scores(similarity, words, query, interests, interest, taken, total)


def _count(items: Columns) -> int:
    return len(next(iter(items.present.values())))


def penalty(intent: Intent, similarity: Floats, wanted: Floats | float = 0.0) -> Floats:
    """(N,): what is taken from the score of items that are like something not wanted, the most of all of them.

    A dislike takes away what is like the disliked, and leaves what is liked: of two neighbours, what is like the one
    is related to the other too, and would fall behind what has to do with neither. So it counts how much more an item
    is like the disliked than `DISLIKE_TOLERANCE` of what speaks for it, `DISLIKE_SLOPE` times. A negative part of a
    query says what the results must not be like, whatever speaks for them: there all counts that is beyond merely
    related.

    Args:
        intent: of n signals.
        similarity: (n, N).
        wanted: (N,), what speaks for the items.
    """
    if not len(intent.negatives):
        return np.zeros(similarity.shape[1], np.float32)
    related = np.float32(intent.related)
    against = similarity[intent.negatives]  # (negatives, N)
    disliked = np.float32(DISLIKE_SLOPE) * (against - np.maximum(np.float32(DISLIKE_TOLERANCE) * wanted, related))
    beyond = np.where(intent.from_query[:, None], against - related, disliked)
    return np.asarray((intent.strengths[:, None] * np.maximum(beyond, 0)).max(axis=0), np.float32)
