"""Directions in the catalogue's own vectors that people like or dislike, and how they turn with time."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.types import Doubles, Floats, Ints, Modality, Rows
from engine.catalog.items import ItemTable
from engine.learn.simulate.config import WorldConfig

MONTH = 30 * 86400.0
"""Seconds of the 30 days that drift is given for."""


@dataclass(frozen=True, slots=True)
class Field:
    """The catalogue as tastes see it. m items, T topics, d dimensions.

    The vectors of a modality lie in a cone of their own (Liang et al., *Mind the Gap*, NeurIPS 2022), so what they
    have in common is taken away before directions are compared.
    """

    vectors: Mapping[Modality, Floats]
    """Per modality (m, d): less their mean, unit rows; zeros where an item lacks the modality."""
    topics: Mapping[Modality, Floats]
    """Per modality (T, d): unit rows; zeros where no item of the topic has the modality."""
    scale: Mapping[Modality, float]
    """Per modality the standard deviation of topics' cosines with items."""
    members: Rows
    """(T, n): the items of each topic, nearest to its middle first."""

    @classmethod
    def of(cls, items: ItemTable, count: int, random: np.random.Generator) -> "Field":
        """Find topics: random items, each with those that are nearest to it.

        Args:
            items: m items.
            count: topics, fewer in a small catalogue.
            random: chooses.
        """
        vectors = {m: _centred(items.vectors[m], items.present[m]) for m in items.vectors if items.present[m].any()}
        size = len(items)
        count = min(count, max(2, size // 5))
        near = max(3, size // count // 2)
        anchors = random.choice(size, count, replace=False)
        total, shared = np.zeros((count, size), np.float32), np.zeros((count, size), np.float32)
        for modality, matrix in vectors.items():
            total += matrix[anchors] @ matrix.T
            shared += np.outer(items.present[modality][anchors], items.present[modality])
        likeness = np.where(shared > 0, total / np.maximum(shared, 1), -2.0)
        members = np.argsort(-likeness, axis=1, kind="stable")[:, :near]
        topics = {m: unit_rows(matrix[members].sum(axis=1)) for m, matrix in vectors.items()}
        scale = {m: float(np.std((topics[m] @ vectors[m].T)[:, items.present[m]])) or 1.0 for m in vectors}
        return cls(vectors, topics, scale, members)


@dataclass(frozen=True, slots=True)
class Tastes:
    """The tastes of P people, K positions for each; a position may be empty. A person's last position is what they
    dislike."""

    topic: Ints
    """(P, K): where a taste begins."""
    towards: Ints
    """(P, K): the topic that it turns to."""
    item: Ints
    """(P, K): the item that gives it its personal part."""
    rate: Doubles
    """(P, K): how fast it turns, radians per second."""
    handicap: Doubles
    """(P, K): how many standard deviations it counts less than the person's first; infinite where there is none."""
    focus: Floats
    """(P, M): how much each modality counts; the squares of a person's sum to 1."""
    personal: float

    @classmethod
    def draw(cls, field: Field, config: WorldConfig, random: np.random.Generator) -> "Tastes":
        """Tastes for all people of a world."""
        users, slots, topics = config.users, config.max_tastes + 1, len(field.members)
        share = random.dirichlet(np.ones(topics))  # some topics are liked by many
        order = np.log(np.maximum(share, 1e-12)) + random.gumbel(size=(users, topics))
        ranked = np.argsort(-order, axis=1)  # without repeats, in proportion to the shares (Gumbel top-k)
        topic = ranked[:, np.arange(slots) % min(slots, topics - 1)]
        topic[:, -1] = ranked[:, min(slots, topics) - 1]  # what is disliked is none of the tastes
        towards = (topic + random.integers(1, topics, topic.shape)) % topics
        item = field.members[topic, random.integers(0, field.members.shape[1], topic.shape)]
        rate = config.drift * random.uniform(0.5, 1.5, topic.shape) / MONTH
        handicap = np.sort(random.uniform(0, 1, topic.shape), axis=1)
        handicap[:, 0] = 0.0
        owned = random.integers(1, config.max_tastes + 1, users)
        handicap[np.arange(slots)[None, :] >= owned[:, None]] = np.inf
        handicap[:, -1] = 0.0
        squares = random.dirichlet(np.full(len(field.vectors), config.modality_focus), users)
        focus = np.asarray(np.sqrt(squares), np.float32)
        return cls(topic, towards, item, rate, handicap, focus, config.personal)

    def directions(self, field: Field, modality: Modality, users: Rows, seconds: Doubles) -> Floats:
        """Where the tastes of b people point at b times.

        A taste turns in the plane of its beginning and of the topic that it turns to, on the unit sphere, a quarter
        turn at most.

        Args:
            field: the catalogue.
            modality: of the vectors.
            users: (b,).
            seconds: (b,), since the world began.

        Returns:
            (b, K, d): unit vectors; zeros where the taste says nothing about the modality.
        """
        topics, vectors = field.topics[modality], field.vectors[modality]
        topic = topics[self.topic[users]]  # (b, K, d)
        begin = unit_rows((1 - self.personal) * topic + self.personal * vectors[self.item[users]])
        aim = topics[self.towards[users]]
        across = unit_rows(aim - (aim * begin).sum(axis=-1, keepdims=True) * begin)
        angle = np.clip(self.rate[users] * seconds[:, None], 0, np.pi / 2)[..., None]  # (b, K, 1)
        return unit_rows(np.cos(angle).astype(np.float32) * begin + np.sin(angle).astype(np.float32) * across)


def unit_rows(vectors: Floats) -> Floats:
    """The last axis scaled to length 1, float32; what is (nearly) zero becomes zeros."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(np.where(length > 1e-6, vectors / np.maximum(length, 1e-6), 0.0), np.float32)


def _centred(vectors: Floats, present: npt.NDArray[np.bool_]) -> Floats:
    matrix = np.zeros_like(vectors, np.float32)
    matrix[present] = unit_rows(vectors[present] - vectors[present].mean(axis=0))
    return matrix
