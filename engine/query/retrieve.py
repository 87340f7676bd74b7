"""An intent becomes candidates: all its search vectors over all modalities in one store call, merged; then their
vectors in a second.
"""

import math
from collections.abc import Collection, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from encoders.types import Floats, Modality
from engine.core.deadline import Deadline
from engine.core.types import Candidates, ItemId, Query
from engine.query.fuse import Intent
from engine.query.models import Contribution
from engine.query.resolve import QuerySignals
from engine.query.search import Search
from engine.query.settings import RetrieveSettings
from engine.query.words import FoundWords, word_searches
from engine.store.base import Hits, VectorQuery, VectorStore
from engine.store.match import matches
from engine.store.quantization import CANDIDATES

ONE_IN = 10
"""Of an interest's candidates, one in so many comes from each search whatever the others say: what one modality
finds nearest of all may be a copy."""
_FIRST = 1e6
"""More than any similarity."""


def hits_each(limit: int, per_item: float) -> int:
    """How many hits each of an interest's searches brings, so that together they give its `limit` candidates.

    What comes first for an interest is among the first of some modality; so the more modalities items have, the fewer
    each search has to bring. Of 100,000 hard points of 2.2 modalities, 63 hits instead of 100 from each of three
    searches gave as many candidates, with all of the exact best 50 and .986 of the best 100 (.992) among them; the
    searches took .89 of the time, and a third fewer ids were read.

    Args:
        limit: candidates per interest.
        per_item: the mean number of modalities of an item, at least 1; then all candidates are hits of one search.
    """
    return math.ceil(2 * limit / (1 + per_item))


def retrieve(
    intent: Intent,
    query: Query,
    exclude: Sequence[ItemId],
    store: VectorStore,
    search: Search,
    settings: RetrieveSettings,
    deadline: Deadline,
    *,
    with_payload: bool,
    per_item: float,
    contribution: Contribution,
    sourced: Collection[ItemId] = (),
    signals: QuerySignals,
    words: dict[int, FoundWords],
) -> Candidates:
    """Fetch the candidates of every interest, and those that a model or a source names; their scores are not set yet.

    Args:
        intent: what is searched for.
        query: its filter and limit.
        exclude: items that are not wanted.
        store: the catalogue.
        search: how it is searched.
        settings: how many are fetched.
        deadline: of the request.
        with_payload: whether payloads are fetched too; only caps need those of all candidates.
        per_item: see `hits_each`.
        contribution: what the model would search for and consider besides.
        sourced: what the sources name, without the excluded.
        signals: whose words are searched for.
        words: takes what they find, by signal.

    Raises:
        InvalidQueryError: if the filter names a field that is not in the schema, or one of the wrong kind.
    """
    limit = max(settings.candidates, math.ceil(settings.overfetch * query.limit))
    weights = intent.search_weights()
    vectors = intent.calibrated.search_vectors(weights)  # per modality (c, d), (c,)
    positions = [(row, modality) for row in range(len(weights)) for modality in vectors]
    excluded = tuple(exclude)
    # The items that a filter leaves may have fewer modalities than others.
    each = limit if query.filter else max(hits_each(limit, per_item), query.limit)
    width = CANDIDATES if len(weights) > 1 else None  # of one interest no other search finds what this one misses
    queries = [
        VectorQuery(vectors[modality][0][row], modality, each, query.filter, excluded, width=width)
        for row, modality in positions
    ]
    also = [
        VectorQuery(one.vector, one.name, one.limit, query.filter, excluded, width=CANDIDATES)
        for one in contribution.searches
    ]
    by_words = word_searches(query, signals, limit, excluded)
    hits = search.search([*queries, *also, *by_words.values()], deadline)
    for row, found in zip(by_words, hits[len(hits) - len(by_words) :], strict=True):
        words[row] = FoundWords(found, whole=len(found.ids) < limit)
    hits, more = hits[: len(queries)], [name for hit in hits[len(queries) :] for name in hit.ids]
    norms = {modality: np.linalg.norm(matrix, axis=1) for modality, (matrix, _) in vectors.items()}
    lengths = np.array([norms[modality][row] for row, modality in positions], np.float32)
    offsets = np.array([vectors[modality][1][row] for row, modality in positions], np.float32)
    owners = np.array([row for row, _ in positions], np.intp)
    ids = merge(hits, lengths, offsets, owners, limit, intent.calibrated.correlation)
    deadline.check("fetching candidates")
    known = set(ids)
    ids += [name for name in dict.fromkeys(more) if name not in known]
    ids += passing(query, {*known, *more}, list(dict.fromkeys([*contribution.items, *sourced])), store)
    return with_modality(store.candidates(ids, with_payload=with_payload), query.modalities)


def with_modality(candidates: Candidates, modalities: Sequence[Modality]) -> Candidates:
    """The candidates that have one of the modalities; all if none is named."""
    if not modalities:
        return candidates
    has = [candidates.present[modality] for modality in modalities if modality in candidates.present]
    return candidates.take(np.flatnonzero(np.any(has, axis=0)) if has else np.zeros(0, np.intp))


def passing(query: Query, known: set[ItemId], more: Sequence[ItemId], store: VectorStore) -> list[ItemId]:
    """Those of `more` that are not known yet and pass the query's filter, in their order."""
    new = [name for name in more if name not in known]
    if query.filter is None or not new:
        return new
    points = store.retrieve(new, with_vectors=False)
    return [point.id for point in points if point is not None and matches(query.filter, point.payload, store.schema)]


def merge(
    hits: Sequence[Hits],
    lengths: Floats,
    offsets: Floats,
    owners: npt.NDArray[np.intp],
    limit: int,
    correlation: float,
) -> list[ItemId]:
    """The ids of the best hits of each interest, each once.

    A hit's cosine gives the similarity by one modality; where several modalities found an item, these are combined.
    The first hits of each search are kept in any case, see `ONE_IN`.

    Args:
        hits: of s searches.
        lengths: (s,), of the search vectors.
        offsets: (s,), see `CalibratedSignals.search_vectors`.
        owners: (s,), the interest that each search is for.
        limit: ids per interest.
        correlation: between the similarities of two modalities.
    """
    ids = list(chain.from_iterable(hit.ids for hit in hits))
    if not ids:
        return []
    names = list(dict.fromkeys(ids))
    row_of = dict(zip(names, range(len(names)), strict=True))
    rows = np.fromiter(map(row_of.__getitem__, ids), np.intp, len(ids))  # (h,), of all hits
    sizes = [len(hit.ids) for hit in hits]
    search = np.repeat(np.arange(len(hits)), sizes)
    first = np.concatenate([np.arange(size) < limit // ONE_IN for size in sizes])
    similarity = np.concatenate([hit.scores for hit in hits]) * lengths[search] - offsets[search]
    shape = int(owners.max()) + 1, len(names)
    cells = owners[search] * len(names) + rows  # of interests and items
    best = np.full(shape[0] * shape[1], -np.inf, np.float32)
    np.maximum.at(best, cells, similarity)
    total = np.bincount(cells, similarity, len(best))
    count = np.maximum(np.bincount(cells, minlength=len(best)), 1)
    combined = total / np.sqrt((1 - correlation) * count + correlation * count**2)
    estimate = np.where(np.isfinite(best), np.maximum(best, combined), -np.inf)
    estimate[cells[first]] += _FIRST
    estimate = estimate.reshape(shape)
    order = np.argsort(-estimate, axis=1, kind="stable")[:, :limit]
    kept = np.unique(order[np.isfinite(np.take_along_axis(estimate, order, axis=1))])
    return [names[row] for row in kept.tolist()]
