"""From vectors to positions on a map, and clusters of these: only numbers, no files."""

import os
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from encoders.spaces.space import unit
from encoders.types import Floats
from engine.catalog.items import ItemTable
from engine.core.extras import load

Tell = Callable[[float, str], None]
"""Is told the part that is done, 0 to 1, and what is being done."""

PERPLEXITY = 30
NEIGHBOURS = 10
"""Items that say where a new one is placed."""
EARLY, LATE = 250, 500
"""Steps of t-SNE: with clusters pulled together, then as they are."""
FEWEST = 8
"""Below so many items there is nothing to project: they lie on a circle."""
BLOCK = 2048

_EVERY = 25


def item_vectors(items: ItemTable) -> Floats:
    """One unit vector for each item (m, d), whatever modalities it has.

    Each modality lies in a cone of its own, away from the others: so of every vector the mean of its modality in this
    catalogue is taken first. What is left can be compared across modalities; an item is the mean of what it has. (A
    concatenation would part the items by what they lack.)
    """
    total = np.zeros((len(items), next(iter(items.vectors.values())).shape[1]), np.float32)
    for modality, matrix in items.vectors.items():
        there = items.present[modality]
        if there.any():
            total[there] += unit(matrix[there] - matrix[there].mean(axis=0) + np.float32(1e-9))
    return unit(total + np.float32(1e-9))


def project(vectors: Floats, before: Floats | None = None, tell: Tell = lambda share, stage: None) -> Floats:
    """Positions (m, 2) by t-SNE (openTSNE): near vectors lie near each other.

    Args:
        vectors: (m, d), unit rows.
        before: (m, 2), where they lie so far: the map then stays like it was; None begins from the main axes.
        tell: is told how far it is.

    Raises:
        MissingExtraError: if openTSNE is not installed.
    """
    if len(vectors) < FEWEST:
        turns = 2 * np.pi * np.arange(len(vectors)) / max(len(vectors), 1)
        return np.asarray(np.stack([np.cos(turns), np.sin(turns)], axis=1), np.float32)
    opentsne = load("openTSNE")
    done = 0

    def step(*_: object) -> bool:
        nonlocal done
        done += _EVERY
        tell(0.2 + 0.75 * min(1.0, done / steps), "moving the points")
        return False

    early = 0 if before is not None else EARLY
    steps = early + LATE
    tell(0.0, "finding neighbours")
    fit = opentsne.TSNE(
        perplexity=min(PERPLEXITY, (len(vectors) - 1) / 3),
        early_exaggeration_iter=early,
        n_iter=LATE,
        initialization="pca" if before is None else before / max(float(before.std()), 1e-9) * 1e-2,
        metric="euclidean",  # of unit vectors, in the order of cosines
        n_jobs=os.cpu_count() or 1,
        callbacks=step,
        callbacks_every_iters=_EVERY,
        random_state=0,
    )
    return framed(np.asarray(fit.fit(vectors), np.float32))


def place(vectors: Floats, known: Floats, positions: Floats) -> Floats:
    """Positions (n, 2) of new items among those that have one: the median of their nearest.

    Args:
        vectors: (n, d), of the new items.
        known: (m, d), of the others.
        positions: (m, 2), of the others.
    """
    near = min(NEIGHBOURS, len(known))
    placed = np.empty((len(vectors), 2), np.float32)
    for start in range(0, len(vectors), BLOCK):
        cosines = vectors[start : start + BLOCK] @ known.T
        nearest = np.argpartition(-cosines, near - 1, axis=1)[:, :near]
        placed[start : start + BLOCK] = np.median(positions[nearest], axis=1)
    return placed


def framed(positions: Floats) -> Floats:
    """Positions that reach from -1 to 1 on both axes."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    return np.asarray(2 * (positions - low) / np.maximum(high - low, 1e-9) - 1, np.float32)


def clusters(positions: Floats) -> npt.NDArray[np.int16]:
    """For each position the cluster that it lies in (m,), -1 for none, the largest first; HDBSCAN."""
    if len(positions) < FEWEST:
        return np.full(len(positions), -1, np.int16)
    smallest = max(5, round(len(positions) / 80))
    found = load("sklearn.cluster").HDBSCAN(
        min_cluster_size=smallest, min_samples=5, cluster_selection_method="leaf", copy=True
    )
    labels = np.asarray(found.fit_predict(positions.astype(np.float64)))
    by_size = np.argsort(-np.bincount(labels[labels >= 0], minlength=1), kind="stable")
    rank = np.empty(len(by_size), np.int16)
    rank[by_size] = np.arange(len(by_size), dtype=np.int16)
    return np.where(labels >= 0, rank[np.maximum(labels, 0)], -1).astype(np.int16)
