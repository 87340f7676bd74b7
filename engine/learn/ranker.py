"""The protocol of everything that can be evaluated: baselines, the engine, and what it learned."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from encoders.types import Doubles, Floats, Ints, Rows
from engine.catalog.items import ItemTable
from engine.learn.log import EventLog


@dataclass(frozen=True, slots=True)
class Cases:
    """b cases: a person, a moment, what they had done until then, and what they did next."""

    user: Ints
    """(b,), indexes the training log's `users`."""
    time: Doubles
    """(b,): the moment, seconds since 1970. Nothing that happened then or later may be used."""
    history: tuple[Rows, ...]
    """Per case the rows of the log that are known of the person, oldest first."""
    targets: tuple[Rows, ...]
    """Per case the rows of the item table that followed, at least one."""
    log: EventLog | None = None
    """The log that `history` indexes; None is the one that was learned from. Its people and items are numbered as
    there. It is another one where more is known of a person than may be learned from."""
    shown: tuple[Rows, ...] | None = None
    """Per case the items that were shown, which a ranker has to score whatever it thinks of them; None asks all."""

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: Rows) -> "Cases":
        """The cases at these rows."""
        return Cases(
            self.user[rows],
            self.time[rows],
            tuple(self.history[row] for row in rows.tolist()),
            tuple(self.targets[row] for row in rows.tolist()),
            self.log,
            None if self.shown is None else tuple(self.shown[row] for row in rows.tolist()),
        )

    def batches(self, size: int) -> Iterator["Cases"]:
        """The cases in their order, at most `size` at a time."""
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self)), dtype=np.intp))


@dataclass(frozen=True, slots=True)
class Split:
    """What may be learned from, and what is to be predicted."""

    name: str
    train: EventLog
    """The events that may be learned from; no target of a case is in it."""
    cases: Cases


class Ranker(Protocol):
    """Learns from a log, then scores all items for cases."""

    @property
    def name(self) -> str:
        """The name in reports."""

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """Learn; `log.items` need not all be in the table, nor the table's in the log."""

    def score(self, cases: Cases) -> Floats:
        """(b, m) over the item table's rows, higher is better; -inf for items that it would never show.

        Items that were seen are scored like others: the evaluation leaves them out where it is told to.
        """


@runtime_checkable
class Reads(Protocol):
    """A ranker that reads items' vectors when it scores."""

    def read(self, items: ItemTable) -> None:
        """Score with another table from now on, without learning anew.

        Args:
            items: the items that it was fitted with, in the same order, such as without the vectors of a modality.
        """
