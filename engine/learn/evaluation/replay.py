"""Served lists replayed: would another order have put what people chose higher?

What was shown is ranked anew, by what was known when it was shown, and only it: an item that nobody saw could not be
chosen. What is looked at less is chosen less, so a choice counts the inverse of how much its place is looked at
(Joachims et al., WSDM 2017), which is estimated from how often each place is chosen. That estimate takes lists whose
best items may stand anywhere; where a good ranking made the log, it is too steep.
"""

from collections.abc import Sequence

import numpy as np

from engine.events.types import Impression
from engine.items import ItemTable
from engine.learn.log import Doubles, EventLog
from engine.learn.ranker import Cases, Ranker, Rows
from engine.learn.splits import Positives, table_rows

MAX_WEIGHT = 10.0
"""The most that one choice counts."""


def shown_lists(
    log: EventLog, train: EventLog, items: ItemTable, impressions: Sequence[Impression], positives: Positives
) -> tuple[Cases, tuple[Doubles, ...]]:
    """The lists of which something was chosen, as cases, and per case what each shown item is worth.

    Args:
        log: all events; they name the requests that they answer.
        train: the events that are known: the histories.
        items: the catalogue.
        impressions: served lists, none of them learned from.
        positives: which events are choices.
    """
    chosen: dict[str, set[int]] = {}
    rows = table_rows(log, items)
    for row in np.flatnonzero(positives.of(log) & (log.request >= 0) & (rows >= 0)).tolist():
        chosen.setdefault(log.requests[log.request[row]], set()).add(int(rows[row]))
    user_of = {user: number for number, user in enumerate(train.users)}
    mine = train.of_user()
    kept: list[tuple[int, float, Rows, Rows, np.ndarray, np.ndarray]] = []
    for one in impressions:
        person, took = user_of.get(one.user, -1), chosen.get(one.request_id)
        if person < 0 or took is None or not len(mine[person]):
            continue
        shown = items.rows(one.items)
        there = shown >= 0
        positions = np.array(one.positions, np.intp)[there]
        hit = np.isin(shown[there], list(took))
        if hit.any():
            kept.append((person, one.time.timestamp(), mine[person], shown[there], positions, hit))
    weights = place_weights([row[4] for row in kept], [row[5] for row in kept])
    cases = Cases(
        np.array([row[0] for row in kept], np.int64),
        np.array([row[1] for row in kept], np.float64),
        tuple(row[2] for row in kept),
        tuple(row[3][row[5]] for row in kept),
        shown=tuple(row[3] for row in kept),
    )
    return cases, tuple(row[5] * weights[row[4]] for row in kept)


def place_weights(positions: Sequence[np.ndarray], hits: Sequence[np.ndarray]) -> Doubles:
    """By place (from 1): how much a choice there counts, 1 at the first."""
    places = np.concatenate([np.zeros(0, np.intp), *positions])
    taken = np.bincount(places, np.concatenate([np.zeros(0), *hits]), minlength=2)
    seen = np.bincount(places, minlength=2)
    rate = (taken + 1) / (seen + 2)
    return np.asarray(np.clip(rate[1] / rate, 1.0, MAX_WEIGHT), np.float64)


def replayed_ndcg(ranker: Ranker, cases: Cases, worth: Sequence[Doubles], *, batch: int = 256) -> Doubles:
    """(b,): NDCG of the shown items in the ranker's order; the ranker was fitted."""
    found: list[float] = []
    for start in range(0, len(cases), batch):
        some = cases.take(np.arange(start, min(start + batch, len(cases)), dtype=np.intp))
        scores = ranker.score(some)
        for row, shown in enumerate(some.shown or ()):
            gains = worth[start + row]
            discount = 1 / np.log2(np.arange(len(gains)) + 2)
            order = np.argsort(-scores[row, shown], kind="stable")
            found.append(float((gains[order] * discount).sum() / (np.sort(gains)[::-1] * discount).sum()))
    return np.array(found, np.float64)
