"""How good ranked lists are. All metrics are per case, so that rankers can be compared case by case.

Relevance is binary: an item is one of the case's targets, or it is not. Notation: b cases, m items, k positions.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from encoders.types import Doubles, Floats, Ints, Rows
from engine.learn.dcg import discounts

Mask = npt.NDArray[np.bool_]

PER_CASE = ("precision", "recall", "f1", "hr", "ndcg", "mrr", "map")
"""The metrics of `per_case`; `@k` is added to each."""


def top(scores: Floats, k: int, seen: Mask | None = None) -> Rows:
    """The items with the highest scores, best first; of equal scores, the lower row comes first.

    Args:
        scores: (b, m); items of score -inf are not shown.
        k: positions, at least 1.
        seen: (b, m), items that are left out; None leaves out none.

    Returns:
        (b, k) rows, -1 for positions that stay empty.

    Raises:
        ValueError: if a score is NaN, the shapes differ, or k is below 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}: ask for 1 position or more")
    if seen is not None and seen.shape != scores.shape:
        raise ValueError(f"scores are {scores.shape}, the mask of seen items is {seen.shape}: they must be the same")
    if np.isnan(scores).any():
        raise ValueError("a score is NaN: a ranker must give numbers, -inf for what it would never show")
    shown = scores if seen is None else np.where(seen, -np.inf, scores)
    cases, size = shown.shape
    best = np.full((cases, k), -1, np.intp)
    if not size:
        return best
    positions = min(k, size)
    least = -np.partition(-shown, positions - 1, axis=1)[:, positions - 1 : positions]  # (b, 1)
    case, row = np.nonzero((shown >= least) & (shown > -np.inf))
    order = np.lexsort((row, -shown[case, row], case))
    case, row = case[order], row[order]
    position = np.arange(len(case)) - np.searchsorted(case, case)
    keep = position < k
    best[case[keep], position[keep]] = row[keep]
    return best


def hits(best: Rows, targets: Sequence[Rows]) -> Mask:
    """(b, k): whether the item in each position is a target.

    Args:
        best: (b, k) rows, -1 for empty positions.
        targets: per case the rows of the targets.
    """
    width = int(max(best.max(initial=0), max((int(rows.max(initial=0)) for rows in targets), default=0))) + 2
    keys = np.fromiter(chain.from_iterable(targets), np.int64) + width * np.repeat(
        np.arange(len(targets)), [len(rows) for rows in targets]
    )
    found = np.isin(best + width * np.arange(len(best))[:, None], keys)
    return np.asarray(found & (best >= 0))


def per_case(best: Rows, targets: Sequence[Rows], ks: Sequence[int]) -> dict[str, Doubles]:
    """The metrics of `PER_CASE` at several k.

    With h(i) = 1 where position i holds a target, n targets, and H = Σ h(i) over the first k positions:
    precision H / k; recall H / n; F1 their harmonic mean; HR 1 if H > 0; NDCG Σ h(i) / log2(i + 1) over what
    min(k, n) hits in the first positions would give (Järvelin & Kekäläinen, 2002); MRR 1 / the position of the first
    hit; MAP Σ h(i) · precision at i / n, as trec_eval's `map_cut`.

    Args:
        best: (b, k') rows, best first, with k' at least the largest k.
        targets: per case the rows of its targets, distinct, at least one.
        ks: the numbers of positions that count.

    Returns:
        Per metric and k, such as `ndcg@10`, (b,).

    Raises:
        ValueError: if a k is larger than the lists, or a case has no target.
    """
    if max(ks) > best.shape[1]:
        raise ValueError(f"k is {max(ks)}, the lists have {best.shape[1]} positions: make longer lists")
    count = np.array([len(rows) for rows in targets], np.float64)
    if (count == 0).any():
        raise ValueError(f"case {int(np.argmin(count))} has no target: leave it out")
    hit = hits(best, targets).astype(np.float64)  # (b, k')
    rank = np.arange(1, best.shape[1] + 1)
    discount = discounts(best.shape[1])
    ideal = np.concatenate([[0.0], np.cumsum(discount)])
    found: dict[str, Doubles] = {}
    for k in ks:
        at = hit[:, :k]
        number = at.sum(axis=1)
        precision, recall = number / k, number / count
        both = precision + recall
        values = {
            "precision": precision,
            "recall": recall,
            "f1": np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0),
            "hr": (number > 0).astype(np.float64),
            "ndcg": at @ discount[:k] / ideal[np.minimum(count, k).astype(np.intp)],
            "mrr": (at / rank[:k]).max(axis=1),
            "map": (at * np.cumsum(at, axis=1) / rank[:k]).sum(axis=1) / count,
        }
        found |= {f"{name}@{k}": values[name] for name in PER_CASE}
    return found


def coverage(best: Rows, size: int) -> float:
    """The share of the catalogue's items that some list shows.

    Args:
        best: (b, k) rows, -1 for empty positions.
        size: m, the number of items.
    """
    return len(np.unique(best[best >= 0])) / size if size else 0.0


def novelty(best: Rows, popularity: Ints, users: int) -> Doubles:
    """Mean self-information of the items shown: -log2 of the share of people that had to do with the item.

    Zhou et al., PNAS 2010; Vargas & Castells, RecSys 2011. An item that nobody had to do with counts like one that
    one person had.

    Args:
        best: (b, k) rows, -1 for empty positions.
        popularity: (m,), how many people had to do with each item.
        users: how many there are, at least 1.

    Returns:
        (b,) in bits; NaN for an empty list.
    """
    bits = -np.log2(np.maximum(popularity, 1) / max(users, 1))
    return _mean_over(bits[best], best >= 0)


def diversity(best: Rows, vectors: Floats, present: Mask) -> Doubles:
    """Intra-list diversity: 1 - the mean cosine of the pairs of items shown.

    Args:
        best: (b, k) rows, -1 for empty positions.
        vectors: (m, d), unit rows.
        present: (m,), which items have a vector; others are left out.

    Returns:
        (b,); NaN where fewer than two items of a list have a vector.
    """
    there = (best >= 0) & present[best]
    total = np.zeros((len(best), vectors.shape[1]))
    for position in range(best.shape[1]):
        total += np.where(there[:, position, None], vectors[best[:, position]], 0)
    number = there.sum(axis=1).astype(np.float64)
    pairs = number * (number - 1)
    cosine = np.square(total).sum(axis=1) - number  # the sum over ordered pairs, for unit rows
    return np.asarray(1 - np.divide(cosine, pairs, out=np.full(len(best), np.nan), where=pairs > 0))


def calibration_error(probabilities: Doubles, outcomes: Mask, bins: int = 15) -> float:
    """Expected calibration error: how far what was predicted lies from what happened, over equal bins.

    Naeini et al., AAAI 2015; Guo et al., ICML 2017.

    Args:
        probabilities: (n,), in [0, 1].
        outcomes: (n,), whether it happened.
        bins: their number.

    Raises:
        ValueError: if a probability is not in [0, 1], or there is none.
    """
    if not len(probabilities) or not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("calibration needs probabilities, each from 0 to 1: give a ranker that predicts them")
    position = np.minimum((probabilities * bins).astype(np.intp), bins - 1)
    apart = np.bincount(position, weights=probabilities - outcomes, minlength=bins)
    return float(np.abs(apart).sum() / len(probabilities))


def _mean_over(values: Doubles, mask: Mask) -> Doubles:
    number = mask.sum(axis=1)
    total = np.where(mask, values, 0).sum(axis=1)
    return np.asarray(np.divide(total, number, out=np.full(len(values), np.nan), where=number > 0))
