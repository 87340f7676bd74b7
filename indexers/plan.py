"""What is to be done with each entry of a catalogue, after a look into the store.

The store is the ledger: every point carries the digest of what was encoded. So there is no second record that could
disagree with it, and a run that was killed resumes by running again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.ingest import Digest
from engine.store.base import Point, VectorStore
from indexers.report import Outcome
from indexers.rows import Entry


@dataclass(frozen=True, slots=True)
class Planned:
    """An entry and what becomes of it."""

    entry: Entry
    outcome: Outcome
    stored: Point | None = None
    """The stored point, with its vectors, where only the payload changed."""


def plan(entries: Sequence[Entry], store: VectorStore) -> list[Planned]:
    """Compare entries with the store. Vectors are only fetched where they will be used again."""
    points = store.retrieve([entry.item.id for entry in entries], with_vectors=False, once=True)
    planned = [Planned(entry, _outcome(entry, point)) for entry, point in zip(entries, points, strict=True)]
    reused = [row for row, it in enumerate(planned) if it.outcome is Outcome.PAYLOAD]
    if reused:
        full = store.retrieve([planned[row].entry.item.id for row in reused], once=True)
        for row, point in zip(reused, full, strict=True):
            entry = planned[row].entry
            wanted = {content.modality for content in entry.item.contents}
            whole = point is not None and set(point.vectors) == wanted
            planned[row] = Planned(entry, Outcome.PAYLOAD, point) if whole else Planned(entry, Outcome.CHANGED)
    return planned


def _outcome(entry: Entry, point: Point | None) -> Outcome:
    if point is None:
        return Outcome.ADDED
    known = Digest.of_payload(point.payload)
    if known == entry.digest:
        return Outcome.UNCHANGED
    if known is not None and known.contents == entry.digest.contents:
        return Outcome.PAYLOAD
    return Outcome.CHANGED
