"""A batch of items into the store: what changed is encoded, what did not is left alone, what is bad is refused."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from encoders.errors import DecoderError, TriveniError
from encoders.types import Floats
from engine.catalog.ingest import Digest, Key, digest, keys_of, missing_of, point_of, vectors_of
from engine.core.deadline import Deadline
from engine.core.errors import CancelledError, DeadlineError
from engine.core.types import MAX_PARTS, Item, ItemId, check_parts
from engine.encode.encoding import ContentEncoder, Encoded
from engine.store.base import Point, VectorStore
from engine.store.match import check_kinds

_AT_ONCE = 128
"""Contents that are handed to the networks together: far fewer than may wait for them."""


class UpsertOutcome(StrEnum):
    """What became of an item."""

    STORED = "stored"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Upserted:
    """An item that is in the store."""

    outcome: UpsertOutcome
    missing: tuple[TriveniError, ...] = ()
    """Why contents could not be read: the item is there without them."""


Result = Upserted | TriveniError


@dataclass(slots=True)
class _Work:
    """An item that is to be written, or completed."""

    item: Item
    digest: Digest
    before: Point | None
    """What the store has of it."""
    vectors: dict[Key, Floats]
    """At first those that can be kept."""
    same: bool
    """Whether the store has this very item, but without a content."""
    strict: bool
    missing: dict[Key, TriveniError] = field(default_factory=dict)

    def refusal(self, earlier: Point | None) -> TriveniError | None:
        """Why the item is refused: strictness, nothing else in it, poorer than before, or no fault of its own.

        Args:
            earlier: what an earlier row of the batch makes of the item.
        """
        before = earlier or self.before
        for (modality, _), error in self.missing.items():
            had = not self.same and before is not None and modality in before.vectors
            if self.strict or had or not self.vectors or isinstance(error, DecoderError):
                return error
        return None


class Upserter:
    """Writes batches of items. The caller sees to it that a batch begins after the last one ended.

    Args:
        encoder: encodes the contents.
        store: where the items go.
        changed: is told of the items that were written.
        strict: refuse every item of which a content cannot be read.
        max_parts: contents of one modality that an item may have.
    """

    def __init__(
        self,
        encoder: ContentEncoder,
        store: VectorStore,
        changed: Callable[[Sequence[ItemId]], None] = lambda _: None,
        *,
        strict: bool = False,
        max_parts: int = MAX_PARTS,
    ) -> None:
        self._encoder, self._store, self._changed, self._strict = encoder, store, changed, strict
        self._max_parts = max_parts

    def upsert(
        self, items: Sequence[Item | TriveniError], deadline: Deadline, strict: Collection[int] = ()
    ) -> list[Result]:
        """Write items. Of two with one id the later one stays.

        Args:
            items: items, or why there is none at this position.
            deadline: of the call.
            strict: positions of items that are refused if one of their contents cannot be read.

        Returns:
            For each position what became of the item, or why it was refused.

        Raises:
            DeadlineError: if the time is up; no item of the batch was written.
            CancelledError: if the caller went away.
        """
        stored = Upserted(UpsertOutcome.STORED)
        results: list[Result] = [item if isinstance(item, TriveniError) else stored for item in items]
        good = {row: item for row, item in enumerate(items) if not isinstance(item, TriveniError)}
        repeats: dict[int, int] = {}
        try:
            works = self._plan(good, results, repeats, strict)
            self._encode(works, deadline)
            points = _points(works, results)
            if points:
                deadline.check("writing")
                try:
                    self._store.upsert(list(points.values()))
                finally:  # some may be written even if it failed
                    self._changed(list(points))
        except (DeadlineError, CancelledError):
            raise
        except TriveniError as error:
            results = [error if _is_stored(result) else result for result in results]
        for row, first in repeats.items():
            result = results[first]
            results[row] = (
                replace(result, outcome=UpsertOutcome.UNCHANGED) if isinstance(result, Upserted) else result
            )
        return results

    def _known(self, items: Sequence[Item]) -> dict[ItemId, Point]:
        ids = list(dict.fromkeys(item.id for item in items))
        return {point.id: point for point in self._store.retrieve(ids, once=True) if point is not None}

    def _plan(
        self, good: dict[int, Item], results: list[Result], repeats: dict[int, int], strict: Collection[int]
    ) -> dict[int, _Work]:
        """What there is to do, by row. What became of the others goes into `results`; into `repeats`, for each that
        says what an earlier one of the batch said, the row of that: it shares its fate."""
        known = self._known(list(good.values()))
        works: dict[int, _Work] = {}
        latest: dict[ItemId, int] = {}
        schema = self._store.schema
        for row, item in good.items():
            try:
                check_kinds(item.payload, schema)
                check_parts(item.contents, self._max_parts)
                said = digest(item)
            except TriveniError as error:
                results[row] = error
                continue
            point = known.get(item.id)
            before = Digest.of_payload(point.payload) if point else None
            earlier = latest.get(item.id)
            strictly = self._strict or row in strict
            if earlier is not None and (said, strictly) == (works[earlier].digest, works[earlier].strict):
                repeats[row] = earlier
                continue
            same = earlier is None and said == before
            if same and not (point and missing_of(point.payload)):
                results[row] = Upserted(UpsertOutcome.UNCHANGED)
                continue
            kept = vectors_of(point) if point and before and before.contents == said.contents else {}
            works[row] = _Work(item, said, point, kept, same, strictly)
            latest[item.id] = row
        return works

    def _encode(self, works: dict[int, _Work], deadline: Deadline) -> None:
        """Give the works the vectors that they lack, or the reasons why there are none."""
        contents = [
            (work, place, key, content)
            for work in works.values()
            for place, (key, content) in enumerate(zip(keys_of(work.item), work.item.contents, strict=True))
            if key not in work.vectors
        ]
        encoded: list[Encoded | TriveniError] = []
        for start in range(0, len(contents), _AT_ONCE):
            some = [content for *_, content in contents[start : start + _AT_ONCE]]
            encoded += self._encoder.encode(some, deadline)
        for (work, place, key, content), result in zip(contents, encoded, strict=True):
            if isinstance(result, TriveniError):
                result.field = f"contents[{place}].{content.modality}"
                work.missing[key] = result
            else:
                work.vectors[key] = result


def _points(works: dict[int, _Work], results: list[Result]) -> dict[ItemId, Point]:
    """The points to write, by id. What becomes of each work goes into `results`."""
    points: dict[ItemId, Point] = {}
    for row, work in works.items():
        refusal = work.refusal(points.get(work.item.id))
        if refusal is not None:
            results[row] = refusal
            continue
        nothing_new = work.same and work.before is not None and work.vectors.keys() == vectors_of(work.before).keys()
        outcome = UpsertOutcome.UNCHANGED if nothing_new else UpsertOutcome.STORED
        results[row] = Upserted(outcome, tuple(work.missing.values()))
        if not nothing_new:
            missing = {modality for modality, _ in work.missing}
            points[work.item.id] = point_of(work.item, work.vectors, digest_=work.digest, missing=missing)
    return points


def _is_stored(result: Result) -> bool:
    return isinstance(result, Upserted) and result.outcome is UpsertOutcome.STORED
