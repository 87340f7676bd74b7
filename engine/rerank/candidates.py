"""Where candidates come from besides the search in the shared space: what people did.

Each source is named in the card of a model version, and its opinion is a feature of the reranker.
"""

from collections.abc import Mapping

import numpy as np

from encoders.types import Bools, Floats, Rows
from engine.rerank import counts
from engine.rerank.standard import standardised
from engine.rerank.table import Table

COUNTED: Mapping[str, int] = {
    "transitions": 70,
    "transitions_share": 40,
    "linear": 70,
    "popularity": 15,
    "popularity_7d": 30,
    "attractiveness": 30,
}
"""How many candidates each count gives at most."""
CONTENT_CANDIDATES = 20
"""How many candidates each modality gives at most: what is most like the last items that a user acted on."""
TOWER_CANDIDATES = 70
"""How many candidates the learned query vector gives at most."""
NEW_CANDIDATES = 50
"""How many candidates come from the items that nobody has acted on yet: those most like what the user acted on."""
FRESH_CANDIDATES = 10
"""How many candidates come from the items that were indexed last."""
_RECENT = 20


def count_candidates(by_counts: Floats, hidden: Rows) -> Rows:
    """The items that the counts put first, each once, rising.

    Args:
        by_counts: (s, m), `engine.rerank.counts.count_scores`.
        hidden: rows that are not to be candidates, such as what was seen.
    """
    position = {name: row for row, name in enumerate(counts.NAMES)}
    return _union([_best(by_counts[position[name]], most, hidden) for name, most in COUNTED.items()])


def content_candidates(table: Table, positive: Rows, new: Bools, hidden: Rows) -> Rows:
    """The items that are most like the last that a person acted on, by each modality; exact, for training.

    Of the items that nobody has acted on yet, which no count speaks for, some more by all modalities and categories.

    Args:
        table: the vectors and fields; the first m rows are items.
        positive: (k,), the items that the person acted on favourably, oldest first.
        new: (m,), the items that nobody has acted on.
        hidden: rows that are not to be candidates.
    """
    size, known = len(new), positive[-_RECENT:]
    found: list[Rows] = []
    overall = np.zeros(size, np.float32)
    for modality, vectors in table.vectors.items():
        there = table.present[modality]
        these = known[there[known]]
        if len(these):
            likeness = np.where(there[:size], vectors[:size] @ vectors[these].mean(axis=0), 0).astype(np.float32)
            found.append(_best(likeness, CONTENT_CANDIDATES, hidden))
            overall += standardised(likeness)
    for matrix in table.fields.categories.values():
        if len(known):
            overall += standardised(matrix[:size] @ matrix[known].mean(axis=0))
    above = np.where(new, overall - overall.min(initial=0) + 1, 0) if len(known) else np.zeros(size)
    return _union([*found, _best(above, NEW_CANDIDATES, hidden)])


def tower_candidates(scores: Floats, hidden: Rows) -> Rows:
    """The items that the learned query vector puts first; exact, for training.

    Args:
        scores: (m,), of `engine.rerank.two_towers.TowerScores`.
        hidden: rows that are not to be candidates.
    """
    return _best(scores - scores.min(initial=0) + 1, TOWER_CANDIDATES, hidden)


def fresh_candidates(table: Table, now: float, hidden: Rows) -> Rows:
    """The items that came last, and not after now (seconds since 1970)."""
    since = np.where(table.since < now, table.since, np.nan)
    return _best(np.nan_to_num(since, nan=0.0), FRESH_CANDIDATES, hidden)


def _best(scores: np.ndarray, most: int, hidden: Rows) -> Rows:
    """The rows of the highest scores above 0."""
    allowed = scores > 0
    allowed[hidden] = False
    rows = np.flatnonzero(allowed)  # of most counts few
    if len(rows) <= most:
        return rows
    return rows[np.argpartition(-scores[rows], most - 1)[:most]] if most else rows[:0]


def _union(rows: list[Rows]) -> Rows:
    return np.unique(np.concatenate([np.zeros(0, np.intp), *rows]))
