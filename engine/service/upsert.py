"""A batch of items into the store: what changed is encoded, what did not is left alone, what is bad is refused."""

from collections.abc import Callable, Sequence
from enum import Enum, auto

from encoders.errors import TriveniError
from encoders.types import Content, Floats, Modality
from engine.deadline import Deadline
from engine.encoding import ContentEncoder
from engine.errors import CancelledError, DeadlineError
from engine.ingest import Digest, digest, point_of
from engine.store.base import Point, VectorStore
from engine.store.match import check_kinds
from engine.types import Item, ItemId


class Outcome(Enum):
    """What became of an item."""

    STORED = auto()
    UNCHANGED = auto()


class Upserter:
    """Writes batches of items. The caller sees to it that a batch begins after the last one ended.

    Args:
        encoder: encodes the contents.
        store: where the items go.
        changed: is told of the items that were written.
    """

    def __init__(
        self,
        encoder: ContentEncoder,
        store: VectorStore,
        changed: Callable[[Sequence[ItemId]], None] = lambda _: None,
    ) -> None:
        self._encoder, self._store, self._changed = encoder, store, changed

    def upsert(self, items: Sequence[Item | TriveniError], deadline: Deadline) -> list[Outcome | TriveniError]:
        """Write items. Of two with one id the later one stays.

        Args:
            items: items, or why there is none at this position.
            deadline: of the call.

        Returns:
            For each position what became of the item, or why it was refused.

        Raises:
            DeadlineError: if the time is up; no item of the batch was written.
            CancelledError: if the caller went away.
        """
        results: list[Outcome | TriveniError] = [
            item if isinstance(item, TriveniError) else Outcome.STORED for item in items
        ]
        good = {row: item for row, item in enumerate(items) if not isinstance(item, TriveniError)}
        repeats: dict[int, int] = {}
        try:
            known = self._known(list(good.values()))
            points = self._points(good, known, results, repeats, deadline)
            if points:
                deadline.check("writing")
                try:
                    self._store.upsert(list(points.values()))
                finally:  # some may be written even if it failed
                    self._changed(list(points))
        except (DeadlineError, CancelledError):
            raise
        except TriveniError as error:
            results = [error if result is Outcome.STORED else result for result in results]
        for row, first in repeats.items():
            result = results[first]
            results[row] = result if isinstance(result, TriveniError) else Outcome.UNCHANGED
        return results

    def _known(self, items: Sequence[Item]) -> dict[ItemId, Point]:
        ids = list(dict.fromkeys(item.id for item in items))
        return {point.id: point for point in self._store.retrieve(ids, once=True) if point is not None}

    def _points(
        self,
        good: dict[int, Item],
        known: dict[ItemId, Point],
        results: list[Outcome | TriveniError],
        repeats: dict[int, int],
        deadline: Deadline,
    ) -> dict[ItemId, Point]:
        """The points to write, by id. What became of the others goes into `results`; into `repeats`, for each that
        says what an earlier one of the batch said, the row of that: it shares its fate."""
        digests: dict[int, Digest] = {}
        vectors: dict[int, dict[Modality, Floats]] = {}
        contents: list[tuple[int, Content]] = []
        latest: dict[ItemId, int] = {}
        schema = self._store.schema
        for row, item in good.items():
            try:
                check_kinds(item.payload, schema)
                digests[row] = digest(item)
            except TriveniError as error:
                results[row] = error
                continue
            point = known.get(item.id)
            before = Digest.of_payload(point.payload) if point else None
            earlier = latest.get(item.id)
            if earlier is not None and digests[row] == digests[earlier]:
                repeats[row] = earlier
                continue
            if earlier is None and digests[row] == before:
                results[row] = Outcome.UNCHANGED
                continue
            if point and before and before.contents == digests[row].contents:
                vectors[row] = dict(point.vectors)
            else:
                vectors[row] = {}
                contents += [(row, content) for content in item.contents]
            latest[item.id] = row

        encoded = self._encoder.encode([content for _, content in contents], deadline) if contents else []
        for (row, content), result in zip(contents, encoded, strict=True):
            if isinstance(result, TriveniError):
                position = good[row].contents.index(content)
                result.field = f"contents[{position}].{content.modality}"
                results[row] = result
            else:
                vectors[row][content.modality] = result
        return {
            good[row].id: point_of(good[row], found, digest_=digests[row])
            for row, found in vectors.items()
            if results[row] is Outcome.STORED
        }
