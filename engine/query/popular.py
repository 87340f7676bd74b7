"""What a person gets of whom nothing is known that they like: what is popular, or else what is new.

What they dislike is known perhaps, and what is like it comes last.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from encoders.types import Floats, Modality, Rows
from engine.catalog.ingest import INDEXED_AT
from engine.core.deadline import Deadline
from engine.core.errors import InvalidQueryError
from engine.core.filters import FieldKind, Filter
from engine.core.types import Candidates, ItemId, Query, Reason, ReasonKind, Tier
from engine.query.fuse import Intent
from engine.query.models import Contribution
from engine.query.policy.caps import Caps
from engine.query.retrieve import passing, with_modality
from engine.query.score import penalty
from engine.query.scored import Meaning, Scored
from engine.query.settings import RetrieveSettings
from engine.store.base import VectorQuery, VectorStore
from engine.store.match import seconds_of

_MAX_PAGE = 4096
"""How far down an order is read, where the first items do not do; for long lists up to twice `_GROWTH` times their
length."""
_HOLDERS = 1024
"""Items of a modality that are looked at, where hardly one of the first items has it."""
_MAX_PAGES = 64
_GROWTH = 4


def popular(
    query: Query,
    exclude: Sequence[ItemId],
    store: VectorStore,
    settings: RetrieveSettings,
    deadline: Deadline,
    *,
    intent: Intent,
    max_per_value: Mapping[str, int],
    contribution: Contribution,
    with_payload: bool,
    sourced: Mapping[ItemId, ReasonKind],
    at_least: int = 0,
) -> Scored:
    """The most popular items if the catalogue counts popularity, then the newest; each says which of the two it is.

    An item counts if it has one of the query's modalities, there is room for its values under the caps, and it is not
    like something disliked. Where too few of the first items count, more are read, down to a bound; then those that
    have the modality are asked for. What the sources name takes turns with it: neither has scores to hold the other
    against, and behind the popular items it would never be shown. What is like something disliked comes last,
    the most so at the end.

    Scores only tell the order: they fall evenly from 1. In the pool are the model's items too: it knows what others
    like, and what this user does not.

    Args:
        query: the query.
        exclude: items that must not be among them.
        store: the catalogue.
        settings: how many are fetched.
        deadline: of the query.
        intent: what to stay away from.
        max_per_value: the caps that the policy will apply.
        contribution: what the user's model adds to the request.
        with_payload: whether the payloads of the candidates are needed.
        sourced: what the sources name, without the excluded, and the reason for each.
        at_least: so many are wanted, where rules may leave some out.

    Raises:
        InvalidQueryError: if the query only says what is not wanted.
    """
    if query.parts and not query.history:
        raise InvalidQueryError("no query part has a positive weight", "say what is wanted too", field="query.parts")
    wanted = max(at_least, math.ceil(settings.overfetch * query.limit))
    room = Caps({field: math.ceil(settings.overfetch * most) for field, most in max_per_value.items()}, store.schema)
    found, disliked = _read(query, exclude, store, settings.popularity_field, deadline, intent, room, wanted)
    deadline.check("fetching candidates")
    liked = list(found)[:wanted]
    named = passing(query, {*liked, *disliked}, list(sourced), store)
    by_turns = [name for pair in zip_longest(liked, named) for name in pair if name is not None]
    names = [*by_turns, *disliked]
    candidates = with_modality(store.candidates(names, with_payload=with_payload), query.modalities)
    candidates = candidates.take(np.argsort(_losses(candidates, intent), kind="stable"))
    count = len(candidates)
    scores = np.asarray((count - np.arange(count)) / max(count, 1), np.float32)
    every = dict(sourced) | found | disliked
    kinds = {name: every[name] for name in names}
    pool = candidates
    if contribution.rerankers:
        more = passing(query, set(candidates.ids), contribution.items, store)
        pool = with_modality(store.candidates([*candidates.ids, *more], with_payload=with_payload), query.modalities)

    def explain(results: Candidates, _: Rows) -> list[tuple[Reason, ...]]:
        return [(Reason(kinds.get(name, ReasonKind.LEARNED)),) for name in results.ids]

    unwanted = _losses(pool, intent) > 0
    return Scored.of(candidates.scored(scores), Meaning.ORDER, Tier.COLD, explain, unwanted=unwanted, pool=pool)


def _read(
    query: Query,
    exclude: Sequence[ItemId],
    store: VectorStore,
    popularity: str,
    deadline: Deadline,
    intent: Intent,
    room: Caps,
    wanted: int,
) -> tuple[dict[ItemId, ReasonKind], dict[ItemId, ReasonKind]]:
    """Items that count, the first ones first, and such as would if they were not disliked, with the order of each.

    Args:
        query: the query.
        exclude: items that must not be among them.
        store: the catalogue.
        popularity: the field that counts it.
        deadline: of the query.
        intent: what to stay away from.
        room: under the caps.
        wanted: so many are enough.
    """
    capped = bool(room.limits)
    picky = bool(query.modalities or capped or len(intent.negatives))
    seen = set(exclude)
    found: dict[ItemId, ReasonKind] = {}
    disliked: dict[ItemId, ReasonKind] = {}
    orders = [(INDEXED_AT, ReasonKind.FRESH)]
    if store.schema.get(popularity) in (FieldKind.INTEGER, FieldKind.FLOAT):
        orders.insert(0, (popularity, ReasonKind.POPULAR))
    bound = max(_MAX_PAGE, 2 * _GROWTH * wanted)

    def consider(names: list[ItemId], kind: ReasonKind) -> None:
        seen.update(names)
        liked, pushed = names, list[ItemId]()
        if picky:
            liked, pushed = _sorted_out(store.candidates(names, with_payload=capped), query, intent, room)
        found.update(dict.fromkeys(liked, kind))
        disliked.update(dict.fromkeys(pushed[: max(wanted - len(disliked), 0)], kind))

    for field, kind in orders:
        size, pages = wanted + len(seen), 0
        while len(found) < wanted and size <= bound + len(seen) and pages < _MAX_PAGES:
            deadline.check("searching")
            full = room.full
            page = store.scroll(filter_=room.narrowed(query.filter), limit=size, with_payload=False, order_by=field)
            consider([point.id for point in page.points if point.id not in seen], kind)
            pages += 1
            if room.full == full:  # else the next page of the same size is another
                if len(page.points) < size:
                    break
                size *= _GROWTH
    if query.modalities and len(found) < wanted:
        deadline.check("searching")
        holders = _holders(query.modalities, room.narrowed(query.filter), store)
        consider([name for name in holders if name not in seen], ReasonKind.FRESH)
    return found, disliked


def _holders(modalities: Sequence[Modality], filter_: Filter | None, store: VectorStore) -> list[ItemId]:
    """Items that have one of the modalities, newest first: all of them if they are few.

    No filter asks for a modality, but a search finds nothing else. In which direction it looks does not matter.
    """
    anywhere = np.ones(store.dimension, np.float32)
    known = [modality for modality in modalities if modality in store.modalities]
    hits = store.query([VectorQuery(anywhere, modality, _HOLDERS, filter_) for modality in known])
    names = list(dict.fromkeys(name for hit in hits for name in hit.ids))
    points = [point for point in store.retrieve(names, with_vectors=False, once=True) if point is not None]
    times = {point.id: seconds_of(point.payload.get(INDEXED_AT)) or 0.0 for point in points}
    return sorted(times, key=times.__getitem__, reverse=True)


def _sorted_out(items: Candidates, query: Query, intent: Intent, room: Caps) -> tuple[list[ItemId], list[ItemId]]:
    """Those items that count, and those that would if they were not like something disliked."""
    has = np.ones(len(items), np.bool_)
    if query.modalities:
        has = np.any([items.present[m] for m in query.modalities if m in items.present] or [~has], axis=0)
    pushed = _losses(items, intent) > 0
    liked = []
    for row in np.flatnonzero(has & ~pushed):
        if room.fits(items.payloads[row]):
            room.take(items.payloads[row])
            liked.append(items.ids[row])
    return liked, [items.ids[row] for row in np.flatnonzero(has & pushed)]


def _losses(items: Candidates, intent: Intent) -> Floats | npt.NDArray[np.float64]:
    """(n,): the penalty of each item for being like something disliked."""
    if not len(intent.negatives) or not len(items):
        return np.zeros(len(items))
    return penalty(intent, intent.calibrated.similarity(items))
