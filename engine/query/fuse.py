"""Signals become an intent: what to search for, and what to stay away from. No training is needed.

A person with several interests gets several query vectors instead of one meaningless mean: the positive events
are grouped by average linkage on how related they are, and the heaviest groups are kept, as in PinnerSage
(Pal et al., KDD 2020). There the vectors themselves are clustered; here the calibrated similarity between them is, so
that a text, a picture and a sound of one thing fall into one interest although their vectors lie apart.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from encoders.types import Doubles, Floats, Rows
from engine.core.types import ReasonKind
from engine.query.resolve import QuerySignals
from engine.query.settings import FuseSettings
from engine.query.similarity import CalibratedSignals, spread

NEGLIGIBLE = 1e-6
"""Weights this small beside the largest do not count."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What a query comes to. n signals; an item's score is

    query_weight · Q + (1 - query_weight) · max over interests H - max over negatives of strength times their penalty

    where Q and the H are weighted combinations of the similarity of their signals; see engine/query/score.py.
    """

    calibrated: CalibratedSignals
    weights: Doubles
    """(n,), signed; the largest of the query, and of the history, has size 1."""
    parts: Rows
    """The signals that are the query's positive parts."""
    interests: tuple[Rows, ...]
    """The signals of each interest of the history, the heaviest first."""
    shares: Doubles
    """(c,): the part of the results that each interest may claim, positive; empty where there is a query."""
    negatives: Rows
    """The signals to stay away from."""
    strengths: Floats
    """Of each negative, the size of its weight: at most 1."""
    from_query: npt.NDArray[np.bool_]
    """Which negatives are parts of the query; the others are events."""
    query_weight: float
    """1 without a usable history, 0 without positive parts."""
    related: float
    """The similarity from which on two things are related."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to search for."""
        return not len(self.parts) and not self.interests

    @property
    def groups(self) -> tuple[Rows, ...]:
        """The query's parts, if any, then the interests: the signals that are combined with one another."""
        return ((self.parts,) if len(self.parts) else ()) + self.interests

    def combinations(self) -> Floats:
        """(groups, n): row g times the similarity (n, N) is the combined similarity of group g."""
        matrix = np.zeros((len(self.groups), len(self.weights)), np.float32)
        for row, rows in enumerate(self.groups):
            weights = self.weights[rows] / self.weights[rows].max()  # only their ratios matter
            matrix[row, rows] = weights / spread(weights, self.calibrated.correlation)
        return matrix

    def search_weights(self) -> Floats:
        """(c, n): what to search for: each interest mixed with the query, or the query alone."""
        combined = self.combinations()
        if not len(self.parts) or not self.interests:
            return combined
        return np.asarray(self.query_weight * combined[:1] + (1 - self.query_weight) * combined[1:], np.float32)


def fuse(signals: QuerySignals, calibrated: CalibratedSignals, settings: FuseSettings) -> Intent:
    """Sort signals into query, interests and negatives.

    Args:
        signals: n signals.
        calibrated: the same n signals, made ready to be held against items.
        settings: the weights.
    """
    is_query = np.array([kind is ReasonKind.QUERY for kind in signals.kinds], np.bool_)
    size = np.abs(signals.weights)
    largest = np.where(is_query, size[is_query].max(initial=0), size[~is_query].max(initial=0))
    weights = signals.weights / np.maximum(largest, np.finfo(np.float64).tiny)
    liked = ~is_query & (weights > 0)
    asked = is_query & (weights > 0)
    liked &= weights >= NEGLIGIBLE * weights[liked].max(initial=0)
    asked &= weights >= NEGLIGIBLE * weights[asked].max(initial=0)
    parts = np.flatnonzero(asked)
    similarity = calibrated.relatedness(signals)  # (n, n): of each signal for each as an item
    interests = _interests(similarity, weights, np.flatnonzero(liked), settings)
    negatives = np.flatnonzero(weights <= -NEGLIGIBLE)
    shares = np.zeros(0) if len(parts) else _shares(similarity, weights, interests, negatives, settings.related)
    query_weight = 0.0 if not len(parts) else settings.query_weight if interests else 1.0
    strengths = np.asarray(-weights[negatives], np.float32)
    return Intent(
        calibrated,
        weights,
        parts,
        interests,
        shares,
        negatives,
        strengths,
        is_query[negatives],
        query_weight,
        settings.related,
    )


def _interests(similarity: Floats, weights: Doubles, liked: Rows, settings: FuseSettings) -> tuple[Rows, ...]:
    """Group the liked signals, at most `max_interests`, the heaviest first."""
    if len(liked) < 2:
        return (liked,) if len(liked) else ()
    among = similarity[np.ix_(liked, liked)]
    related = (among + among.T) / 2
    top = float(related.max())
    distance = top - related
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="average")
    groups = {row: [row] for row in range(len(liked))}
    for step, (one, other, height, _) in enumerate(tree.tolist(), len(liked)):  # heights rise
        if height <= max(top - settings.related, 0.0):
            groups[step] = groups.pop(int(one)) + groups.pop(int(other))
    found = [liked[sorted(rows)] for rows in groups.values()]
    found.sort(key=lambda rows: (-weights[rows].sum(), rows[0]))
    return tuple(found[: settings.max_interests])


def _shares(
    similarity: Floats, weights: Doubles, interests: tuple[Rows, ...], negatives: Rows, related: float
) -> Doubles:
    """The part of the results that each interest may claim.

    It goes with the square root of the interest's weight, so that one of long standing does not drown a new one; from
    the weight comes off what was disliked of it, down to a tenth.
    """
    if not interests:
        return np.zeros(0)
    total = np.array([weights[rows].sum() for rows in interests])
    disliked = np.zeros_like(total)
    if len(negatives):
        near = np.stack(
            [weights[rows] @ similarity[np.ix_(rows, negatives)] / weights[rows].sum() for rows in interests]
        )  # (c, negatives)
        nearest = near.argmax(axis=0)
        counts = near.max(axis=0) >= related
        np.add.at(disliked, nearest[counts], -weights[negatives[counts]])
    claims = np.sqrt(np.maximum(total - disliked, 0.1 * total))
    return np.asarray(claims / claims.sum())
