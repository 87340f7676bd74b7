"""Rankers made of rankers, and scores that were made elsewhere."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from encoders.types import Floats, Rows
from engine.catalog.items import ItemTable
from engine.core.types import ItemId, UserId
from engine.learn.log import EventLog
from engine.learn.ranker import Cases, Ranker
from engine.models.errors import TrainingError


class Sum:
    """The standardised scores of several rankers, added.

    Args:
        parts: the rankers; each is fitted with it.
        name: in reports; their names with a hyphen between them if not given.
    """

    def __init__(self, parts: Sequence[Ranker], name: str = "") -> None:
        self._parts = tuple(parts)
        self.name = name or "-".join(part.name for part in self._parts)

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """See `Ranker.fit`."""
        for part in self._parts:
            part.fit(log, items)

    def score(self, cases: Cases) -> Floats:
        """See `Ranker.score`."""
        return np.asarray(sum(standardised(part.score(cases)) for part in self._parts), np.float32)


class Scores:
    """Scores that were made elsewhere, such as by a model that needs an environment of its own.

    Args:
        path: an .npz with `users` (b,) and `items` (m,) as texts, and `scores` (b, m). A case is found by its person,
            who must be in the file once; an item that is not in it scores -inf.
        name: in reports; the file's if not given.
    """

    def __init__(self, path: Path, name: str = "") -> None:
        self._path = path
        self.name = name or path.stem
        self._user_row: Mapping[UserId, int] = {}
        self._columns: Rows = np.zeros(0, np.intp)
        self._scores: Floats = np.zeros((0, 0), np.float32)
        self._users: tuple[UserId, ...] = ()

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """Read the file; nothing is learned.

        Raises:
            TrainingError: if the file is missing, lacks an array, or its shapes do not fit.
        """
        form = "write arrays users (b,), items (m,) and scores (b, m) with numpy.savez"
        try:
            with np.load(self._path, allow_pickle=False) as file:
                users, names, scores = (file[key] for key in ("users", "items", "scores"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"no scores can be read from {self._path}: {str(error).lower()}", form) from None
        if scores.shape != (len(users), len(names)):
            raise TrainingError(f"{self._path} has scores {scores.shape} of {len(users)} people", form)
        if len(set(users.tolist())) < len(users):
            raise TrainingError(f"{self._path} names a person twice", "write one row of scores per person")
        self._user_row = {UserId(str(user)): row for row, user in enumerate(users.tolist())}
        positions = {ItemId(str(item)): position for position, item in enumerate(names.tolist())}
        self._columns = np.array([positions.get(item, -1) for item in items.ids], np.intp)
        self._scores = np.asarray(scores, np.float32)
        self._users = log.users

    def score(self, cases: Cases) -> Floats:
        """See `Ranker.score`.

        Raises:
            TrainingError: if the file has no scores for a case's person.
        """
        rows = np.array([self._user_row.get(self._users[user], -1) for user in cases.user.tolist()], np.intp)
        if (rows < 0).any():
            user = self._users[int(cases.user[int(np.argmin(rows))])]
            raise TrainingError(f"{self._path} has no scores for person {user!r}", "score every person of the split")
        found = self._scores[rows][:, self._columns]
        return np.where(self._columns >= 0, found, np.float32(-np.inf))


def standardised(scores: Floats) -> Floats:
    """(b, m): each case's finite scores with mean 0 and standard deviation 1; -inf stays."""
    there = np.isfinite(scores)
    number = np.maximum(there.sum(axis=1, keepdims=True), 1)
    mean = np.where(there, scores, 0).sum(axis=1, keepdims=True, dtype=np.float64) / number
    apart = np.where(there, scores - mean, 0)
    spread = np.sqrt(np.square(apart).sum(axis=1, keepdims=True) / number)
    return np.where(there, apart / np.where(spread > 0, spread, 1), -np.inf).astype(np.float32)
