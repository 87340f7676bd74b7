"""What the words of a text query say of items, on the scale of calibrated similarity.

How rare a word is in the catalogue, -ln of the share of items that have it, is the surprise at finding it in an item
by chance. What is typed as one counts once: a code is as surprising as its whole or its parts together, whichever is
more, but no more than the rarest word; as nobody types one by chance, that counts `CODE` times. At most half of it is
for the parts, so that `AB-123` finds AB-123 first and then AB-123/4; where no item has the whole, all of it is. A
word that no item has counts as the rarest.

Of an item that has s of the surprise S of all that is asked for, the similarity grows by

    e += (STEEPNESS s + MEANT (1 - exp(-s))) (s / S)^SHARPNESS

exp(-s) being the probability that an item has all this by chance. So an item that has all that is asked for lies
above what is merely alike, be it a code, or a brand that a tenth of the items have. One rare word of many, which may
well be there by chance, says little, a word that all items have nothing, and who shares no word loses nothing.
`python -m benchmarks.hybrid` measures it.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from encoders.types import Floats, Modality, Text
from engine.core.deadline import Deadline
from engine.core.types import NOTABLE, ItemId, Payload, Query, Reason, ReasonKind
from engine.query.resolve import QuerySignals
from engine.query.search import Search
from engine.store.base import NO_HITS, Hits, VectorQuery
from engine.store.words import WORDS, AskedWords, WordVector, asked_tokens, shared, word_number

STEEPNESS, MEANT, SHARPNESS, CODE = 0.6, 2.0, 2.0, 5.0
"""Chosen so that words win where meaning fails, and hardly count where they fail; see docs/BENCHMARKS.md."""
_LEAST = 1e-6
"""Of a word that all of very many items have, the store's single precision makes a surprise of 0."""


@dataclass(frozen=True, slots=True)
class FoundWords:
    """What a search by the words of one signal found."""

    hits: Hits
    whole: bool
    """Whether no other item has any of the words."""


_NOTHING = FoundWords(NO_HITS, whole=False)


def texts_asked(query: Query, signals: QuerySignals) -> dict[int, str]:
    """By signal the texts of a query; none where other modalities than text are searched in."""
    if query.modalities and Modality.TEXT not in query.modalities:
        return {}
    parts = {
        row: query.parts[index].source
        for row, (kind, index) in enumerate(zip(signals.kinds, signals.indexes.tolist(), strict=True))
        if kind is ReasonKind.QUERY
    }
    return {row: part.text for row, part in parts.items() if isinstance(part, Text)}


def ask_words(texts: Sequence[str], size: int, search: Search, deadline: Deadline) -> list[AskedWords | None]:
    """What each text asks for by its words; None where no item has any of them.

    Args:
        texts: of a query.
        size: items of the catalogue.
        search: how the store is searched: for the rarity of each word, which is the score of any item that has it.
        deadline: of the request.
    """
    asked = [asked_tokens(text) for text in texts]
    every = [*dict.fromkeys(word for one in asked for token in one for word in token)]
    if not every:
        return [None] * len(texts)
    hits = search.search([VectorQuery(WordVector([word_number(word)], [1.0]), WORDS, 1) for word in every], deadline)
    rarity = {word: float(found.scores[0]) for word, found in zip(every, hits, strict=True) if found.ids}
    return [_weighed(one, rarity, size) for one in asked]


def _weighed(asked: Sequence[tuple[str, ...]], rarity: Mapping[str, float], size: int) -> AskedWords | None:
    """Words weighted so that each item's score is the surprise of what it has.

    Args:
        asked: what is typed as one; see `asked_tokens`.
        rarity: of the words that items have.
        size: items of the catalogue.
    """
    most = math.log(1 + max(size, 1))
    weights: defaultdict[int, float] = defaultdict(float)
    total = 0.0
    for *parts, whole in asked:
        there = whole in rarity
        known, missing = max(rarity.get(whole, 0.0), _LEAST), 0.0 if there else most
        together = sum(max(rarity.get(part, missing), _LEAST) for part in parts)
        surprise = min(max(known if there else 0.0, together), most) if parts else known if there else most
        by_parts = min(together, surprise / 2 if there else surprise)
        times = CODE if parts and any(map(str.isdigit, whole)) else 1.0
        total += times * surprise
        if there:
            weights[word_number(whole)] += times * (surprise - by_parts) / known
        for part in parts:
            if part in rarity:
                weights[word_number(part)] += times * by_parts / together
    numbers = sorted(weights)
    return AskedWords(WordVector(numbers, [weights[number] for number in numbers]), total) if weights else None


def word_searches(
    query: Query, signals: QuerySignals, limit: int, exclude: tuple[ItemId, ...]
) -> dict[int, VectorQuery]:
    """By signal, searches by the words of the positive parts of a query."""
    return {
        row: VectorQuery(words.vector, WORDS, limit, query.filter, exclude)
        for row, words in signals.words.items()
        if signals.weights[row] > 0
    }


def word_similarity(
    signals: QuerySignals,
    ids: Sequence[ItemId],
    found: Mapping[int, FoundWords],
    search: Search,
    deadline: Deadline,
) -> Floats:
    """What the words of each of n signals add to its similarity for each of N items: (n, N), 0 for other signals.

    Args:
        signals: n of a request.
        ids: the N items.
        found: by signal what is known already; the store is asked only for what that does not tell.
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
            asked[signal] = VectorQuery(signals.words[signal].vector, WORDS, len(others), among=others)
    more = dict(zip(asked, search.search([*asked.values()], deadline), strict=True)) if asked else {}
    for signal, one in known.items():
        for hits in (one.hits, more.get(signal, NO_HITS)):
            there = [place for place, name in enumerate(hits.ids) if name in row_of]
            rows = np.array([row_of[hits.ids[place]] for place in there], np.intp)
            added[signal, rows] = evidence(hits.scores[there], signals.words[signal].surprise)
    return added


def evidence(scores: Floats, surprise: float) -> Floats:
    """What words add to the similarity.

    Args:
        scores: the surprise of what items have of them, any shape.
        surprise: that of all that is asked for.
    """
    part = np.minimum(scores / np.float32(surprise), 1)
    whole = np.float32(STEEPNESS) * scores - np.float32(MEANT) * np.expm1(-scores)
    return np.asarray(whole * part ** np.float32(SHARPNESS), np.float32)


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
