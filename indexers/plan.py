"""What is to be done with each entry of a catalogue, after a look into the store.

The store is the ledger: every point carries the digest of what was encoded. So there is no second record that could
disagree with it, and a run that was killed resumes by running again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.catalog.ingest import Digest, missing_of
from engine.store.base import Point, VectorStore
from indexers.report import Outcome
from indexers.rows import Entry


@dataclass(frozen=True, slots=True)
class Planned:
    """An entry and what becomes of it."""

    entry: Entry
    outcome: Outcome
    stored: Point | None = None
    """The stored point, with its vectors, where the contents are the same and there is something to do: the payload
    changed, or a content could not be read and may be by now, since limits and decoders change."""

    @property
    def settled(self) -> bool:
        """Whether there is nothing to do."""
        return self.outcome is Outcome.UNCHANGED and self.stored is None


def plan(entries: Sequence[Entry], store: VectorStore) -> list[Planned]:
    """Compare entries with the store. Vectors are only fetched where they will be used again."""
    points = store.retrieve([entry.item.id for entry in entries], with_vectors=False, once=True)
    planned = [Planned(entry, _outcome(entry, point)) for entry, point in zip(entries, points, strict=True)]
    reused = [
        row
        for row, (it, point) in enumerate(zip(planned, points, strict=True))
        if it.outcome is Outcome.PAYLOAD or (it.outcome is Outcome.UNCHANGED and _lacks(it.entry, point))
    ]
    if reused:
        full = store.retrieve([planned[row].entry.item.id for row in reused], once=True)
        for row, point in zip(reused, full, strict=True):
            it = planned[row]
            known = point is not None and point.vectors
            planned[row] = replace(it, stored=point) if known else Planned(it.entry, Outcome.CHANGED)
    return planned


def _lacks(entry: Entry, point: Point | None) -> bool:
    """Whether the point was stored without a content that the entry has."""
    missing = missing_of(point.payload) if point is not None else frozenset()
    return bool(missing) and any(content.modality in missing for content in entry.item.contents)


def _outcome(entry: Entry, point: Point | None) -> Outcome:
    if point is None:
        return Outcome.ADDED
    known = Digest.of_payload(point.payload)
    if known == entry.digest:
        return Outcome.UNCHANGED
    if known is not None and known.contents == entry.digest.contents:
        return Outcome.PAYLOAD
    return Outcome.CHANGED
