"""Why an item is shown: what of its score falls away without a query part or an event."""

from collections.abc import Sequence

import numpy as np

from encoders.types import Doubles, Floats, Modality, Rows
from engine.core.types import Reason
from engine.query.fuse import Intent
from engine.query.resolve import QuerySignals
from engine.query.score import Scores
from engine.query.similarity import Columns, parts_of
from engine.query.words import word_shares

MAX_REASONS = 10
"""Reasons named per result."""


def falls(intent: Intent, scores: Scores, rows: Rows) -> Floats:
    """By how much the score of items, before what is not wanted is taken from it, falls without each signal.

    Interests and the query's weight stay as they are.

    Args:
        intent: of n signals.
        scores: of N items.
        rows: k of the items.

    Returns:
        (n, k), negative where the signal speaks against the item more than its group does.
    """
    similarity = scores.similarity[:, rows]
    fall = np.zeros_like(similarity)
    if len(intent.parts):
        without = _without_each(intent, intent.parts, similarity)
        fall[intent.parts] = intent.query_weight * (scores.query[rows] - np.where(np.isnan(without), 0, without))
    interests = scores.interests[:, rows]  # (c, k)
    for number, members in enumerate(intent.interests):
        others = np.delete(interests, number, axis=0).max(axis=0, initial=-np.inf)  # (k,)
        left = np.fmax(_without_each(intent, members, similarity), others)  # fmax passes over NaN
        left = np.where(np.isfinite(left), left, 0)
        fall[members] = (1 - intent.query_weight) * (interests.max(axis=0) - left)
    return fall


def _without_each(intent: Intent, members: Rows, similarity: Floats) -> Floats:
    """(members, k): the group's combined similarity without each member; NaN where nothing is left of it."""
    weights = intent.weights[members] / intent.weights[members].max()
    correlation = intent.calibrated.correlation
    sums = weights @ similarity[members] - weights[:, None] * similarity[members]  # (members, k)
    if len(members) == 1:
        return np.full(sums.shape, np.nan, np.float32)
    left, squares = weights.sum() - weights, np.square(weights).sum() - np.square(weights)
    scale = np.sqrt((1 - correlation) * squares + correlation * np.square(left))
    return np.asarray(sums / scale[:, None], np.float32)


def explain(
    intent: Intent, signals: QuerySignals, scores: Scores, items: Columns, rows: Rows
) -> list[tuple[Reason, ...]]:
    """The reasons for each of k results, the strongest first, at most `MAX_REASONS`; their shares sum to 1.

    Args:
        intent: of n signals.
        signals: the same n.
        scores: of N items.
        items: the k results.
        rows: the results' rows in the pool (k,).
    """
    fall = falls(intent, scores, rows)
    terms = intent.calibrated.terms(items)  # (M, n, k)
    modalities = intent.calibrated.modalities
    absent = [~items.present[m] if m in items.present else np.ones(len(rows), bool) for m in modalities]
    terms[np.broadcast_to(np.array(absent)[:, None, :], terms.shape)] = -np.inf
    positive = np.maximum(fall, 0)
    order = np.argsort(-positive, axis=0, kind="stable")[:MAX_REASONS]  # (reasons, k)
    shares = np.take_along_axis(positive, order, axis=0).astype(np.float64)
    hopeless = shares.sum(axis=0) <= 0
    if hopeless.any():  # no signal raises the score: name the one with the highest similarity
        usable = np.concatenate(intent.groups)
        order[0, hopeless] = usable[scores.similarity[np.ix_(usable, rows[hopeless])].argmax(axis=0)]
        shares[0, hopeless] = 1
    shares /= shares.sum(axis=0)
    named = terms[:, order, np.arange(len(rows))]  # (M, reasons, k)
    best = named.argmax(axis=0)  # (reasons, k)
    by_words = word_shares(scores.words[order, rows], scores.similarity[order, rows])
    part = np.zeros_like(best)
    if parts_of(items) is not None:
        part = intent.calibrated.answering(items)[best, order, np.arange(len(rows))]
    columns = order, best, shares, _parts(named, best, modalities), by_words, part
    of_results = zip(*(np.swapaxes(column, 0, 1).tolist() for column in columns), strict=True)
    indexes = signals.indexes.tolist()
    return [
        tuple(
            Reason(signals.kinds[n], indexes[n], modalities[m], share, tuple(parts), words, part=part)
            for n, m, share, parts, words, part in zip(*of_result, strict=True)
            if share > 0
        )
        for of_result in of_results
    ]


def _parts(terms: Floats, best: Rows, modalities: Sequence[Modality]) -> Doubles:
    """What part of the similarity that speaks for an item each of its modalities gives: (r, k, 3), as in `Modality`.

    Args:
        terms: weighted z per item modality (M, r, k), -inf where the item lacks it.
        best: the modality that gives most (r, k): all of it where nothing speaks for the item.
        modalities: the M.
    """
    order = tuple(Modality)
    parts = np.zeros((*best.shape, len(order)), np.float64)
    for column, modality in enumerate(modalities):
        parts[:, :, order.index(modality)] = np.maximum(terms[column], 0)
    total = parts.sum(axis=2)
    positions = np.array([order.index(modality) for modality in modalities], np.intp)
    hopeless = total <= 0
    parts[hopeless, positions[best[hopeless]]] = total[hopeless] = 1
    return np.asarray(parts / total[:, :, None], np.float64)
