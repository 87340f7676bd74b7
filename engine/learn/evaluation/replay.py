"""Served lists replayed: would another order have put what people chose higher?

What was shown is ranked anew, by what was known when it was shown, and only it: an item that nobody saw could not be
chosen. What is looked at less is chosen less, so a choice counts the inverse of how much its position is looked at
(Joachims et al., WSDM 2017); see `examination_probabilities`. The figure is the gain of all lists over
the best possible gain of all lists: a list whose choice stood far down counts more than one whose choice stood first.
Were each list held against its own best, a single choice would count the same wherever it stood, and the order that
was served would win by having been served.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from encoders.types import Doubles, Rows
from engine.catalog.items import ItemTable
from engine.core.types import EventKind
from engine.events.types import Impression
from engine.learn.dcg import dcg
from engine.learn.log import KIND_OF, EventLog
from engine.learn.ranker import Cases, Ranker
from engine.learn.splits import Positives, table_rows

MAX_WEIGHT = 20.0
"""The most that one choice counts."""


def shown_lists(
    log: EventLog,
    train: EventLog,
    items: ItemTable,
    impressions: Sequence[Impression],
    positives: Positives,
    examination: Doubles,
) -> tuple[Cases, tuple[Doubles, ...]]:
    """The lists of which something was chosen, as cases, and per case what each shown item is worth.

    Of people without a known event, only the lists that were served before their first one: they were new then.

    Args:
        log: all events; they name the requests that they answer.
        train: the events that are known: the histories.
        items: the catalogue.
        impressions: served lists, none of them learned from.
        positives: which events are choices.
        examination: by position, from 1, how much it is looked at; see `examination_probabilities`.
    """
    chosen: dict[str, set[int]] = {}
    rows = table_rows(log, items)
    for row in np.flatnonzero(positives.of(log) & (log.request >= 0) & (rows >= 0)).tolist():
        chosen.setdefault(log.requests[log.request[row]], set()).add(int(rows[row]))
    row_of = {user: number for number, user in enumerate(train.users)}
    mine = train.of_user()
    came = np.full(len(train.users), np.inf)  # the first event of each person
    done = log.kind != KIND_OF[EventKind.IMPRESSION]
    np.minimum.at(came, log.user[done], log.time[done])
    known = np.zeros(len(train.users), np.bool_)  # what was only shown to them says nothing of them
    known[train.user[train.kind != KIND_OF[EventKind.IMPRESSION]]] = True
    weights = position_weights(examination)
    kept: list[tuple[int, float, Rows, Rows, np.ndarray, np.ndarray]] = []
    for one in impressions:
        row, took = row_of.get(one.user, -1), chosen.get(one.request_id)
        if row < 0 or took is None or (not known[row] and one.time.timestamp() > came[row]):
            continue
        shown, positions = items.rows(one.items), np.array(one.positions, np.intp)
        there = (shown >= 0) & (positions < len(weights))
        there[there] = weights[positions[there]] > 0
        hit = np.isin(shown[there], list(took))
        if hit.any():
            kept.append((row, one.time.timestamp(), mine[row], shown[there], positions[there], hit))
    cases = Cases(
        np.array([row[0] for row in kept], np.int64),
        np.array([row[1] for row in kept], np.float64),
        tuple(row[2] for row in kept),
        tuple(row[3][row[5]] for row in kept),
        shown=tuple(row[3] for row in kept),
    )
    return cases, tuple(row[5] * weights[row[4]] for row in kept)


def position_weights(examination: Doubles) -> Doubles:
    """By position, from 1: how much a choice there counts, 1 at the position that is looked at most; 0 where a
    choice would count more than `MAX_WEIGHT`. What stood there is left out: counted for less, it would be where the
    order that was served had put it, and speak for that order."""
    seen = examination >= 1 / MAX_WEIGHT
    return np.where(seen, 1 / np.where(seen, examination, 1), 0.0)


def gain(utility: Doubles, keys: npt.ArrayLike) -> float:
    """The discounted gain of a list whose items are worth so much each, in the order of rising keys."""
    return dcg(utility[np.argsort(keys, kind="stable")])


def best_gain(utility: Sequence[Doubles]) -> float:
    """The mean over lists of the highest gain that each could have."""
    return float(np.mean([gain(one, -one) for one in utility]))


def replayed_ndcg(ranker: Ranker, cases: Cases, utility: Sequence[Doubles], *, batch: int = 256) -> Doubles:
    """(b,): the gain of each list in the ranker's order, in means of the best gain; the ranker was fitted.

    The mean of them is an NDCG, 1 at best; a single one may be above 1.
    """
    found: list[float] = []
    for some in cases.batches(batch):
        scores = ranker.score(some)
        for row, shown in enumerate(some.shown or ()):
            found.append(gain(utility[len(found)], -scores[row, shown]))
    return np.array(found, np.float64) / best_gain(utility)
