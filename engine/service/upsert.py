"""A batch of items into the store: what changed is encoded, what did not is left alone, what is bad is refused."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from encoders.errors import DecoderError, TriveniError
from encoders.types import WHOLE, Floats
from engine.catalog.ingest import (
    Digest,
    Key,
    digest,
    is_thinned,
    keys_of,
    may_be_long,
    missing_of,
    passages_of,
    point_of,
    vectors_of,
)
from engine.core.deadline import Deadline
from engine.core.errors import CancelledError, DeadlineError
from engine.core.types import MAX_PARTS, Item, ItemId, check_parts
from engine.encode.encoding import ContentEncoder, EncodedPassages
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
    thinned: bool = False
    """Whether passages of a long text are left out."""


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

    def add(self, place: int, key: Key, found: EncodedPassages) -> None:
        """Take the vectors of a content, by passage, or the reason why there are none.

        Args:
            place: of the content in the item.
            key: of the content.
            found: what was made of it.
        """
        if isinstance(found, TriveniError):
            found.field = f"contents[{place}].{key.modality}"
            self.missing[key] = found
        else:
            self.vectors |= {key._replace(span=span): vector for span, vector in found.items()}

    def refusal(self, earlier: Point | None) -> TriveniError | None:
        """Why the item is refused: strictness, nothing else in it, poorer than before, or no fault of its own.

        Args:
            earlier: what an earlier row of the batch makes of the item.
        """
        before = earlier or self.before
        for key, error in self.missing.items():
            had = not self.same and before is not None and key.modality in before.vectors
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
        split_long: whether long texts and sounds are split into passages, within `max_parts`.
    """

    def __init__(
        self,
        encoder: ContentEncoder,
        store: VectorStore,
        changed: Callable[[Sequence[ItemId]], None] = lambda _: None,
        *,
        strict: bool = False,
        max_parts: int = MAX_PARTS,
        split_long: bool = False,
    ) -> None:
        self._encoder, self._store, self._changed, self._strict = encoder, store, changed, strict
        self._max_parts, self._split = max_parts, max_parts if split_long else 0

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
                said = digest(item, split=self._split)
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
            kept = _kept(item, point, before, said) if point and before and before.contents == said.contents else {}
            works[row] = _Work(item, said, point, kept, same, strictly)
            latest[item.id] = row
        return works

    def _encode(self, works: dict[int, _Work], deadline: Deadline) -> None:
        """Give the works the vectors that they lack, or the reasons why there are none."""
        lacking = [
            (work, place, key, content)
            for work in works.values()
            for place, (key, content) in enumerate(zip(keys_of(work.item), work.item.contents, strict=True))
            if key not in {part.content for part in work.vectors}
        ]
        short = [one for one in lacking if not (one[0].digest.split and may_be_long(one[3]))]
        for start in range(0, len(short), _AT_ONCE):
            some = short[start : start + _AT_ONCE]
            encoded = self._encoder.encode([content for *_, content in some], deadline)
            for (work, place, key, _), result in zip(some, encoded, strict=True):
                work.add(place, key, result if isinstance(result, TriveniError) else {WHOLE: result})
        long = [one for one in lacking if one[0].digest.split and may_be_long(one[3])]
        most = [passages_of(work.item, work.digest.split)[key.modality] for work, _, key, _ in long]
        passages = self._encoder.encode_passages([content for *_, content in long], most, deadline) if long else []
        for (work, place, key, _), found in zip(long, passages, strict=True):
            work.add(place, key, found)


def _kept(item: Item, point: Point, before: Digest, said: Digest) -> dict[Key, Floats]:
    """The vectors that can be kept for an item of the same contents: not those that may have been split otherwise."""
    had = vectors_of(point)
    if before.split == said.split:
        return had
    short = {key for key, content in zip(keys_of(item), item.contents, strict=True) if not may_be_long(content)}
    return {part: vector for part, vector in had.items() if part.content in short}


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
        results[row] = Upserted(outcome, tuple(work.missing.values()), is_thinned(work.vectors))
        if not nothing_new:
            missing = {key.modality for key in work.missing}
            points[work.item.id] = point_of(work.item, work.vectors, digest_=work.digest, missing=missing)
    return points


def _is_stored(result: Result) -> bool:
    return isinstance(result, Upserted) and result.outcome is UpsertOutcome.STORED
