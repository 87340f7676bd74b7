"""What is known of learning and is not in the wire contract: whole cards, the trial, curves, searches, reports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.core.errors import NotFoundError
from engine.core.extras import missing
from engine.core.kinds import EventKinds
from engine.core.types import UNTRAINED
from engine.events.base import EventStore
from engine.models.registry import Registry
from engine.studio.kept import Kept

if TYPE_CHECKING:
    from engine.learn.evaluation.trial import Trial
    from engine.learn.tuning.tried import SearchResult

DEPTH = 3
"""How far below it they may lie, in folders."""

_MARK = b'<meta name="generator" content="triveni evaluate">'
_KEEP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Report:
    """A page that `triveni evaluate --report` wrote."""

    name: str
    """Its path below the folder of reports."""
    title: str
    written: float
    """Seconds since 1970."""


class Learning:
    """Reads it from files and from the event store; any number of threads may ask.

    Args:
        registry: the versions.
        events: what people did, and what they were shown.
        kinds: of events.
        candidate_share: the part of users that a trial begins with, unless it is told.
        reports: the folder in which reports are looked for.
    """

    def __init__(
        self, registry: Registry, events: EventStore, kinds: EventKinds, candidate_share: float, reports: Path
    ) -> None:
        self.registry, self._events, self._kinds = registry, events, kinds
        self.candidate_share = candidate_share
        self._reports = reports
        self._trial: Kept[Trial] = Kept(_KEEP_SECONDS)

    def curve(self) -> tuple[list[dict[str, float]], float]:
        """Per epoch the figures of the training that ran last, also while it runs, and when they were written."""
        if missing("sklearn"):
            return [], 0.0
        from engine.learn.network.resume import newest_history

        return newest_history(self.registry.path / ".runs")

    def tuning(self) -> SearchResult | None:
        """What the newest search of settings found so far; None if there is none."""
        if missing("optuna"):
            return None
        from engine.learn.tuning.tried import found

        return found(self.registry.path / ".tuning")

    def trial(self) -> Trial:
        """The candidate and what serves, compared by what followed their lists; it is kept for a while.

        Raises:
            NotFoundError: if no version is tried.
            TooLittleDataError: if not both have served lists yet.
        """
        pointer = self.registry.pointer()
        if not pointer.candidate:
            raise NotFoundError(
                "no version is tried", "try one on a share of users: triveni model candidate VERSION --share 0.1"
            )
        versions = pointer.candidate, pointer.serving or UNTRAINED
        return self._trial.get(lambda: self._compare(*versions), versions)

    def _compare(self, ours: str, theirs: str) -> Trial:
        from engine.learn.evaluation.trial import compare

        since = self.registry.card(ours).created  # it was tried after it was made
        served = [one for one in self._events.impressions(since=since) if one.impression.of_the_policy]
        return compare(served, ours, theirs, kinds=self._kinds)

    def reports(self) -> list[Report]:
        """The reports that there are, the newest first."""
        found = []
        for depth in range(DEPTH + 1):
            for path in self._reports.glob("*/" * depth + "*.html"):
                title = _title(path)
                if title is not None:
                    name = path.relative_to(self._reports).as_posix()
                    found.append(Report(name, title, path.stat().st_mtime))
        return sorted(found, key=lambda one: one.written, reverse=True)

    def report(self, name: str) -> Path:
        """The file of a report.

        Raises:
            NotFoundError: if there is none of that name.
        """
        if name not in {one.name for one in self.reports()}:
            raise NotFoundError(f"there is no report {name[:100]!r}", "write one: triveni evaluate --report")
        return self._reports / name


def _title(path: Path) -> str | None:
    """The title of a report; None if this is none. Links are not followed."""
    if path.is_symlink() or not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(1024)
    if _MARK not in head:
        return None
    return head.partition(b"<title>")[2].partition(b"</title>")[0].decode(errors="replace")
