"""Exact scores of candidates, and the reasons for them, from one matrix of evidence."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.types import Floats
from engine.evidence import Columns
from engine.fuse import Intent

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The scores of N items before an intent of n sources and c interests."""

    evidence: Floats
    """(n, N): of each source for each item."""
    query: Floats
    """(N,): the combined evidence of the query's parts, 0 without."""
    interests: Floats
    """(c, N): the combined evidence of each interest."""
    interest: Rows
    """(N,): the interest that speaks most for the item; 0 without a history."""
    scores: Floats
    """(N,): standard deviations above an unrelated item."""


def judge(intent: Intent, items: Columns) -> Judgement:
    """Score items: the formula of `Intent`, exactly."""
    evidence = intent.probes.evidence(items)
    combined = intent.combinations() @ evidence  # (groups, N)
    has_query = len(intent.parts) > 0
    size = evidence.shape[1]
    query = combined[0] if has_query else np.zeros(size, np.float32)
    interests = combined[1:] if has_query else combined
    scores = np.float32(intent.query_weight) * query
    interest = np.zeros(size, np.intp)
    if len(interests):
        interest = interests.argmax(axis=0)
        scores = scores + np.float32(1 - intent.query_weight) * interests.max(axis=0)
    scores = scores - penalty(intent, evidence)
    return Judgement(evidence, query, interests, interest, np.asarray(scores, np.float32))


def penalty(intent: Intent, evidence: Floats) -> Floats:
    """(N,): how close items are to the nearest thing disliked, beyond merely being unrelated to it."""
    if not len(intent.negatives):
        return np.zeros(evidence.shape[1], np.float32)
    beyond = np.maximum(evidence[intent.negatives] - np.float32(intent.related), 0)  # (negatives, N)
    return np.asarray((intent.strengths[:, None] * beyond).max(axis=0), np.float32)
