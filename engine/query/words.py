"""What the words of a text query say of items, on the scale of calibrated similarity.

The BM25 score s of an item sums, over the words that it shares with the query, how rare each is in the catalogue:
-ln of the share of items that have the word. So s is the surprise at finding them there by chance. One rare word that
is all of a query says more than one of twenty, which may well be there by chance: so the surprise is weighted by what
part it is of the most that n words could say of one of N items. What words add to the similarity is

    e += STEEPNESS s (s / n ln(1 + N))^SHARPNESS

An item that shares no word loses nothing, and common words add next to nothing. `python -m benchmarks.hybrid`
measures it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from encoders.types import Floats, Text
from engine.core.deadline import Deadline
from engine.core.types import NOTABLE, ItemId, Payload, Query, Reason, ReasonKind
from engine.query.resolve import QuerySignals
from engine.query.search import Search
from engine.store.base import NO_HITS, Hits, VectorQuery
from engine.store.words import WORDS, shared

STEEPNESS, SHARPNESS = 0.6, 1.5
"""Chosen so that words win where meaning fails, and hardly count where they fail; see docs/BENCHMARKS.md."""


@dataclass(frozen=True, slots=True)
class FoundWords:
    """What a search by the words of one signal found."""

    hits: Hits
    whole: bool
    """Whether no other item has any of the words."""


_NOTHING = FoundWords(NO_HITS, whole=False)


def word_searches(
    query: Query, signals: QuerySignals, limit: int, exclude: tuple[ItemId, ...]
) -> dict[int, VectorQuery]:
    """By signal, searches by the words of the positive parts of a query."""
    return {
        row: VectorQuery(words, WORDS, limit, query.filter, exclude)
        for row, words in signals.words.items()
        if signals.weights[row] > 0
    }


def word_similarity(
    signals: QuerySignals,
    ids: Sequence[ItemId],
    found: Mapping[int, FoundWords],
    size: int,
    search: Search,
    deadline: Deadline,
) -> Floats:
    """What the words of each of n signals add to its similarity for each of N items: (n, N), 0 for other signals.

    Args:
        signals: n of a request.
        ids: the N items.
        found: by signal what is known already; the store is asked only for what that does not tell.
        size: items of the catalogue.
        search: how the store is searched.
        deadline: of the request.
    """
    added = np.zeros((len(signals.kinds), len(ids)), np.float32)
    row_of = {name: row for row, name in enumerate(ids)}
    known = {signal: found.get(signal, _NOTHING) for signal in signals.words}
    asked = {}
    for signal, one in known.items():
        others = () if one.whole else tuple(row_of.keys() - {*one.hits.ids})
        if others:
            asked[signal] = VectorQuery(signals.words[signal], WORDS, len(others), among=others)
    more = dict(zip(asked, search.search([*asked.values()], deadline), strict=True)) if asked else {}
    for signal, one in known.items():
        count = len(signals.words[signal].indices)
        for hits in (one.hits, more.get(signal, NO_HITS)):
            there = [place for place, name in enumerate(hits.ids) if name in row_of]
            rows = np.array([row_of[hits.ids[place]] for place in there], np.intp)
            added[signal, rows] = evidence(hits.scores[there], count, size)
    return added


def evidence(scores: Floats, count: int, size: int) -> Floats:
    """What words add to the similarity.

    Args:
        scores: of items by BM25, any shape.
        count: words that are asked for.
        size: items of the catalogue.
    """
    part = np.minimum(scores / np.float32(count * math.log(1 + max(size, 1))), 1)
    return np.asarray(np.float32(STEEPNESS) * scores * part ** np.float32(SHARPNESS), np.float32)


def word_shares(added: Floats, similarity: Floats) -> Floats:
    """The part of a similarity, words among it, that words give; any shape, 0 to 1."""
    return np.asarray(added / np.maximum(similarity, np.maximum(added, np.float32(1e-6))), np.float32)


def named_words(
    reasons: Sequence[Reason], query: Query, payload: Payload, fields: Sequence[str]
) -> tuple[Reason, ...]:
    """Reasons with the words that an item shares with the query, where these give a good part of them.

    Args:
        reasons: of one item.
        query: the request.
        payload: of the item.
        fields: that words are kept of.
    """

    def named(reason: Reason) -> Reason:
        if reason.kind is not ReasonKind.QUERY or reason.words_share < NOTABLE:
            return reason
        source = query.parts[reason.index].source
        return replace(reason, words=shared(source.text, payload, fields)) if isinstance(source, Text) else reason

    return tuple(map(named, reasons))
