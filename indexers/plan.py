"""What is to be done with each entry of a catalogue, after a look into the store.

The store is the ledger: every point carries the digest of what was encoded. So there is no second record that could
disagree with it, and a run that was killed resumes by running again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.catalog.ingest import Digest, missing_of
from engine.store.base import Point, VectorStore
from indexers.report import RowOutcome
from indexers.rows import CatalogEntry


@dataclass(frozen=True, slots=True)
class Planned:
    """An entry and what becomes of it."""

    entry: CatalogEntry
    outcome: RowOutcome
    stored: Point | None = None
    """The stored point, with its vectors, where the contents are the same and there is something to do: the payload
    changed, or a content could not be read and may be by now, since limits and decoders change."""

    @property
    def settled(self) -> bool:
        """Whether there is nothing to do."""
        return self.outcome is RowOutcome.UNCHANGED and self.stored is None


def plan(entries: Sequence[CatalogEntry], store: VectorStore) -> list[Planned]:
    """Compare entries with the store. Vectors are only fetched where they will be used again."""
    points = store.retrieve([entry.item.id for entry in entries], with_vectors=False, once=True)
    planned = [Planned(entry, _outcome(entry, point)) for entry, point in zip(entries, points, strict=True)]
    reused = [
        row
        for row, (it, point) in enumerate(zip(planned, points, strict=True))
        if it.outcome is RowOutcome.PAYLOAD or (it.outcome is RowOutcome.UNCHANGED and _lacks(it.entry, point))
    ]
    if reused:
        full = store.retrieve([planned[row].entry.item.id for row in reused], once=True)
        for row, point in zip(reused, full, strict=True):
            it = planned[row]
            known = point is not None and point.vectors
            planned[row] = replace(it, stored=point) if known else Planned(it.entry, RowOutcome.CHANGED)
    return planned


def _lacks(entry: CatalogEntry, point: Point | None) -> bool:
    """Whether the point was stored without a content that the entry has."""
    missing = missing_of(point.payload) if point is not None else frozenset()
    return bool(missing) and any(content.modality in missing for content in entry.item.contents)


def _outcome(entry: CatalogEntry, point: Point | None) -> RowOutcome:
    if point is None:
        return RowOutcome.ADDED
    known = Digest.of_payload(point.payload)
    if known == entry.digest:
        return RowOutcome.UNCHANGED
    if known is not None and known.contents == entry.digest.contents:
        return RowOutcome.PAYLOAD
    return RowOutcome.CHANGED
