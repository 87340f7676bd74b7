"""Rankers that look at what items are, not at who had to do with them: they can say something of a new item."""

from dataclasses import replace

import numpy as np

from encoders.types import Floats, Modality
from engine.catalog.items import ItemTable
from engine.core.types import Json, Payload
from engine.learn.evaluation.baselines.combined import standardised
from engine.learn.evaluation.baselines.matrix import Frame
from engine.learn.log import EventLog
from engine.learn.ranker import Cases
from engine.learn.splits import ALL_POSITIVES, Positives
from engine.models.errors import TrainingError


class Tfidf:
    """The cosine of an item's words with those of the history (TF-IDF, Salton & Buckley, 1988).

    Its words are all texts of its payload, and of lists in it.

    Args:
        fields: the payload fields that are read; none reads all.
        positives: the events that count.
    """

    name = "tf-idf"

    def __init__(self, fields: tuple[str, ...] = (), positives: Positives = ALL_POSITIVES) -> None:
        self._fields, self._positives = fields, positives
        self._frame: Frame | None = None
        self._words: Floats = np.zeros((0, 0), np.float32)

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """See `Ranker.fit`.

        Raises:
            TrainingError: if no item has a word.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer  # it takes seconds to load

        self._frame = Frame.of(log, items, self._positives)
        texts = [words_of(payload, self._fields) for payload in items.payloads]
        try:
            words = TfidfVectorizer(sublinear_tf=True, stop_words="english", dtype=np.float32).fit_transform(texts)
        except ValueError:
            raise TrainingError(
                "no item has a text in its payload", "leave tf-idf out, or give items texts"
            ) from None
        self._words = words

    def score(self, cases: Cases) -> Floats:
        """See `Ranker.score`."""
        assert self._frame is not None, "fit first"
        profile = self._frame.case_matrix(cases) @ self._words  # (b, words)
        return np.asarray((profile @ self._words.T).toarray(), np.float32)


class MeanVector:
    """The mean vector of the history in each modality, held against the items': what an untrained engine can do.

    A modality's scores are standardised over the items that have it, then averaged over those that an item has. An
    item without any scores -inf.

    Args:
        positives: the events that count.
    """

    name = "mean-vector"

    def __init__(self, positives: Positives = ALL_POSITIVES) -> None:
        self._positives = positives
        self._frame: Frame | None = None

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """See `Ranker.fit`.

        Raises:
            TrainingError: if no item has a vector.
        """
        if not any(mask.any() for mask in items.present.values()):
            raise TrainingError("no item has a vector", "index the catalogue, or leave mean-vector out")
        self._frame = Frame.of(log, items, self._positives)

    def read(self, items: ItemTable) -> None:
        """See `Reads.read`."""
        assert self._frame is not None, "fit first"
        self._frame = replace(self._frame, items=items)

    def score(self, cases: Cases) -> Floats:
        """See `Ranker.score`."""
        assert self._frame is not None, "fit first"
        items, history = self._frame.items, self._frame.case_matrix(cases)
        total = np.zeros((len(cases), len(items)), np.float32)
        number = np.zeros(len(items), np.float32)
        for modality, vectors in items.vectors.items():
            there = items.present[modality]
            profile = np.asarray(history @ np.where(there[:, None], vectors, 0), np.float32)  # (b, d)
            scores = standardised(np.where(there, profile @ vectors.T, -np.inf))
            total += np.where(there, scores, 0)
            number += there
        return np.where(number > 0, total / np.maximum(number, 1), -np.inf).astype(np.float32)


def without(items: ItemTable, modality: Modality) -> ItemTable:
    """The items as they would be without one modality's vectors."""
    return ItemTable(
        items.ids,
        {name: np.zeros_like(matrix) if name is modality else matrix for name, matrix in items.vectors.items()},
        {name: np.zeros_like(mask) if name is modality else mask for name, mask in items.present.items()},
        items.payloads,
        items.indexed_at,
    )


def words_of(payload: Payload, fields: tuple[str, ...] = ()) -> str:
    """The texts of a payload, and of lists in it, one after the other."""

    def texts(value: Json) -> list[str]:
        if isinstance(value, str):
            return [value]
        return [text for one in value for text in texts(one)] if isinstance(value, list) else []

    return " ".join(text for key, value in payload.items() if not fields or key in fields for text in texts(value))
