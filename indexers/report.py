"""What a run of the pipeline did."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from encoders.errors import TriveniError
from indexers.rows import DeadLetter


class IndexStoppedError(TriveniError):
    """A run ended early. What it acknowledged is in the store; the same command goes on from there.

    Args:
        report: what was done until then.
        cause: why it ended.
    """

    status = "ABORTED"

    def __init__(self, report: "Report", cause: TriveniError) -> None:
        super().__init__(cause.problem, cause.remedy, field=cause.field)
        self.report = report


class RowOutcome(StrEnum):
    """What became of a row that could be read."""

    ADDED = "added"
    CHANGED = "changed"
    PAYLOAD = "payload only"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Report:
    """The numbers of a run. In a dry run they say what a real one would do."""

    outcomes: dict[RowOutcome, int]
    failed: dict[tuple[str, str], int]
    """Refused rows per (class of the error, modality, "" if it was none)."""
    missing: dict[tuple[str, str], int]
    """Contents that items were indexed without, per (class of the error, modality)."""
    examples: tuple[DeadLetter, ...]
    """The first dead letters."""
    pruned: int
    seconds: float
    """From the first row to the flushed and optimised store."""
    stored: int
    """Items in the store afterwards; 0 if it did not say."""
    dry_run: bool = False
    interrupted: bool = False
    worded: int = 0
    """Items that were there already and got their words."""
    thinned: int = 0
    """Items that were written without some passages of a long text, as they would have had too many."""

    @property
    def rows(self) -> int:
        """All rows that were seen."""
        return sum(self.outcomes.values()) + self.errors

    @property
    def errors(self) -> int:
        """Rows that were refused."""
        return sum(self.failed.values())

    @property
    def written(self) -> int:
        """Items that were written."""
        return sum(self.outcomes.get(kind, 0) for kind in (RowOutcome.ADDED, RowOutcome.CHANGED, RowOutcome.PAYLOAD))

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds if self.seconds > 0 else 0.0


@dataclass(slots=True)
class Tally:
    """Counts while a run goes on; from any thread."""

    outcomes: Counter[RowOutcome] = field(default_factory=Counter)
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    missing: Counter[tuple[str, str]] = field(default_factory=Counter)
    nameless: int = 0
    """Dead letters without an id: items of the catalogue that cannot be told from items that left it."""
    examples: list[DeadLetter] = field(default_factory=list)
    worded: int = 0
    thinned: int = 0
    """Items without some passages of a long text."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, outcome: RowOutcome, number: int = 1) -> None:
        """Count rows that are done."""
        with self._lock:
            self.outcomes[outcome] += number

    def word(self, number: int) -> None:
        """Count items that were there already and got their words."""
        self.worded += number

    def thin(self, number: int) -> None:
        """Count items without some passages of a long text."""
        with self._lock:
            self.thinned += number

    def fail(self, letter: DeadLetter) -> None:
        """Count a dead letter."""
        with self._lock:
            (self.missing if letter.indexed else self.failed)[letter.error, letter.modality] += 1
            self.nameless += not letter.id
            if len(self.examples) < 10:
                self.examples.append(letter)

    def report(
        self,
        *,
        seconds: float,
        stored: int,
        pruned: int = 0,
        dry_run: bool = False,
        interrupted: bool = False,
    ) -> Report:
        """The counts as they stand."""
        with self._lock:
            outcomes, failed, missing = dict(self.outcomes), dict(self.failed), dict(self.missing)
            examples = tuple(self.examples)
        worded, thinned = self.worded, self.thinned
        return Report(
            outcomes, failed, missing, examples, pruned, seconds, stored, dry_run, interrupted, worded, thinned
        )

    def done(self) -> tuple[int, int]:
        """Rows that are done, and how many of them failed."""
        with self._lock:
            failed = self.failed.total()
            return self.outcomes.total() + failed, failed
