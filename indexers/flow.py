"""The stages of bulk indexing: plan, decode, encode, write. They overlap; what waits between them is bounded.

rows ── read, hash ── plan ──▶ decode (threads) ──▶ encode (one thread) ──▶ write (one thread)
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from encoders.errors import DecoderError, SpaceError, WeightsError
from encoders.spaces.space import Space
from encoders.types import Floats, Modality, Prepared
from engine.catalog.ingest import (
    Digest,
    Key,
    is_thinned,
    item_of,
    keys_of,
    may_be_long,
    passages_of,
    point_of,
    vectors_of,
)
from engine.core.types import ItemId
from engine.store.base import Point, VectorStore
from indexers.catalog import Catalog
from indexers.deadletters import DeadLetters
from indexers.plan import Planned, plan
from indexers.report import RowOutcome, Tally
from indexers.rows import CatalogEntry, DeadLetter
from indexers.seen import IdSet
from indexers.stages import Budget, StageChannel, StagesStopped, StopStages, batches

WAITING_BYTES = 256 << 20
"""Files and decoded contents that wait to be encoded."""
_GROUP_BYTES = 96 << 20
_PLANNED_BYTES = 64 << 20
_PLANNED_BATCHES = 4

Outlet = StageChannel[Future["Decoded | DeadLetter"]] | StageChannel[list["Decoded"]] | None


@dataclass(frozen=True, slots=True)
class Decoded:
    """An item on its way to the store."""

    line: int
    outcome: RowOutcome
    id: ItemId
    make: Callable[[Mapping[Key, Floats]], Point]
    """Makes the point of all vectors."""
    vectors: Mapping[Key, Floats]
    """Those that there are."""
    prepared: Mapping[Key, Prepared] = field(default_factory=dict)
    """What is to be encoded yet."""
    size: int = 0
    """Bytes of `prepared`."""
    missing: tuple[DeadLetter, ...] = ()
    """Tell of the contents that it is indexed without."""


class Flow:
    """One run through the stages; each stage is a method that runs in a thread of its own.

    Args:
        store: where the points go.
        space: the encoders.
        tally: takes the counts.
        letters: takes the rows that fail.
        pool: decodes.
        stop: ends all stages.
        batch: items per batch of the networks and of the store.
        dry_run: everything is read and decoded, nothing is encoded or written.
        strict: refuse an item if one of its contents cannot be read, instead of indexing the others.
    """

    def __init__(
        self,
        store: VectorStore,
        space: Space,
        tally: Tally,
        letters: DeadLetters,
        pool: Executor,
        stop: StopStages,
        *,
        batch: int,
        dry_run: bool,
        strict: bool,
    ) -> None:
        self._store = store
        self._space = space
        self._tally = tally
        self._letters = letters
        self._pool = pool
        self._stop = stop
        self._batch = batch
        self._dry_run = dry_run
        self._strict = strict
        self._budget = Budget(WAITING_BYTES, stop)
        self._decoding: StageChannel[Future[Decoded | DeadLetter]] = StageChannel(batch, stop)
        self._writing: StageChannel[list[Decoded]] = StageChannel(2, stop)

    def stages(self, catalog: Catalog, seen: IdSet, readers: Executor) -> list[Callable[[], None]]:
        """The stages, each to be run in a thread of its own.

        Args:
            catalog: what is indexed.
            seen: takes the ids of all rows.
            readers: reads and hashes files; another pool than that which decodes.
        """
        kinds = {**catalog.schema(), **self._store.schema}
        return [
            self._stage(lambda: self._plan(catalog.entries(seen, readers, kinds)), self._decoding),
            self._stage(self._encode, self._writing),
            self._stage(self._write, None),
        ]

    def _stage(self, work: Callable[[], None], out: Outlet) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
                if out is not None:
                    out.close()
            except StagesStopped:
                pass
            except BaseException as error:  # noqa: BLE001 (it is raised again by the caller of the run)
                self._stop.set(error)

        return run

    # Stages -------------------------------------------------------------------------------------------------

    def _plan(self, entries: Iterator[CatalogEntry | DeadLetter]) -> None:
        """Leave out what is unchanged, and hand the rest to the decoders."""
        size = self._batch * _PLANNED_BATCHES
        for group in batches(self._alive(entries), size, lambda entry: entry.size, _PLANNED_BYTES):
            planned = plan(group, self._store)
            self._tally.count(RowOutcome.UNCHANGED, sum(it.settled for it in planned))
            for it in planned:
                if it.settled:
                    self._bury(*_without(it.entry, it.entry.missing))
                else:
                    self._budget.take(it.entry.size)
                    self._decoding.put(self._pool.submit(self._decode, it))

    def _alive(self, entries: Iterator[CatalogEntry | DeadLetter]) -> Iterator[CatalogEntry]:
        for entry in entries:
            if self._stop.is_set:
                raise StagesStopped
            if isinstance(entry, DeadLetter):
                self._bury(entry)
            elif entry.missing and self._strict:
                self._bury(_refused(entry, entry.missing))
            else:
                yield entry

    def _decode(self, it: Planned) -> Decoded | DeadLetter:
        """Decode those contents of an entry that the store has no vectors of, in a thread of the pool."""
        entry, size = it.entry, 0
        try:
            if self._stop.is_set:
                raise StagesStopped
            kept, prepared, missing = self._prepare(it)
            if missing and (self._strict or not (prepared or kept)):
                return _refused(entry, missing)
            if missing and it.outcome is RowOutcome.CHANGED and self._has_one_of(entry.item.id, missing):
                return _refused(entry, missing, "; the item stays in the store as it was")
            size = sum(_size(one) for one in prepared.values())
            make = partial(
                point_of,
                entry.item,
                media=entry.media,
                digest_=entry.digest,
                indexed_at=None if it.stored is None else item_of(it.stored).indexed_at,
                missing=missing,
            )
            outcome = RowOutcome.CHANGED if it.stored and prepared else it.outcome
            letters = _without(entry, missing)
            return Decoded(entry.line, outcome, entry.item.id, make, kept, prepared, size, letters)
        finally:
            self._budget.give(entry.size - size)

    def _prepare(
        self, it: Planned
    ) -> tuple[Mapping[Key, Floats], Mapping[Key, Prepared], Mapping[Modality, Exception]]:
        """The vectors of an entry's parts that are kept, the other parts, and why contents are missing.

        A stored content that may be long is prepared again where it may have been split otherwise; its vectors are
        kept where it was not.
        """
        entry, had = it.entry, {} if it.stored is None else vectors_of(it.stored)
        known = None if it.stored is None else Digest.of_payload(it.stored.payload)
        split_alike = known is not None and known.split == entry.digest.split
        most = passages_of(entry.item, entry.digest.split)
        kept: dict[Key, Floats] = {}
        prepared: dict[Key, Prepared] = {}
        missing = dict(entry.missing)
        for key, content in zip(keys_of(entry.item), entry.item.contents, strict=True):
            own = {part: vector for part, vector in had.items() if part.content == key}
            if own and (split_alike or not may_be_long(content)):
                kept |= own
                continue
            try:
                if content.modality not in self._space.modalities:
                    raise self._no_encoder(content.modality)
                for span, one in self._space.prepare_passages(content, most[content.modality]).items():
                    part = key._replace(span=span)
                    if part in own:
                        kept[part] = own[part]
                    else:
                        prepared[part] = one
            except DecoderError:
                raise  # no fault of the content's
            except Exception as error:  # noqa: BLE001 (whatever a file does to a decoder, the run goes on)
                if own:
                    kept |= own
                else:
                    missing[content.modality] = error
        return kept, prepared, missing

    def _has_one_of(self, item: ItemId, modalities: Collection[Modality]) -> bool:
        """Whether the store has such a vector of an item: a file that is lost for a while must not cost it."""
        (point,) = self._store.retrieve([item], with_payload=False)
        return point is not None and any(modality in point.vectors for modality in modalities)

    def _no_encoder(self, modality: Modality) -> SpaceError:
        have = ", ".join(self._space.modalities)
        problem = f"space {self._space.manifest.name} has no {modality} encoder, only {have}"
        return SpaceError(problem, f"choose another space, or leave the {modality}s out: --ignore {modality}")

    def _encode(self) -> None:
        """Run the networks over what is decoded, in batches."""
        results = (future.result() for future in self._decoding)
        for group in batches(self._decoded(results), self._batch, lambda it: it.size, _GROUP_BYTES):
            encoded = group if self._dry_run else self._forward(group)
            self._budget.give(sum(it.size for it in group))
            if encoded:
                self._writing.put(encoded)

    def _decoded(self, results: Iterator[Decoded | DeadLetter]) -> Iterator[Decoded]:
        for result in results:
            if isinstance(result, DeadLetter):
                self._bury(result)
            else:
                yield result

    def _forward(self, group: Sequence[Decoded]) -> list[Decoded]:
        """The group with its vectors; what cannot be encoded is left out."""
        try:
            prepared = [one for it in group for one in it.prepared.values()]  # with passages many times the items
            starts = range(0, max(len(prepared), 1), self._batch)
            vectors = np.concatenate([self._space.forward(prepared[at : at + self._batch]) for at in starts])
        except WeightsError:
            raise  # they are loaded for the first batch
        except Exception as error:
            if len(group) == 1:
                self._bury(_letter(group[0], error))
                return []
            alone = [one for it in group for one in self._forward([it])]
            if not alone:
                raise  # not a bad item: the networks do not work
            return alone
        return _with_vectors(group, vectors)

    def _write(self) -> None:
        """Write points; what the store has acknowledged is counted."""
        for group in self._writing:
            changed = [it for it in group if it.outcome is not RowOutcome.UNCHANGED]
            if changed and not self._dry_run:
                self._store.upsert([it.make(it.vectors) for it in changed])
            self._tally.thin(sum(is_thinned(it.vectors) for it in changed))
            for it in group:
                self._tally.count(it.outcome)
                self._bury(*it.missing)

    def _bury(self, *letters: DeadLetter) -> None:
        for letter in letters:
            self._letters.add(letter)
            self._tally.fail(letter)


def _with_vectors(group: Sequence[Decoded], vectors: Floats) -> list[Decoded]:
    """Give each item its rows of `vectors`, float32 (contents of all items, d); items that have theirs keep them."""
    done, row = [], 0
    for it in group:
        new = dict(zip(it.prepared, vectors[row : row + len(it.prepared)], strict=True))
        row += len(new)
        done.append(replace(it, vectors={**it.vectors, **new}, prepared={}, size=0))
    return done


def _refused(entry: CatalogEntry, missing: Mapping[Modality, Exception], also: str = "") -> DeadLetter:
    modality, error = next(iter(missing.items()))
    letter = DeadLetter.of(entry.line, entry.item.id, error, modality)
    return replace(letter, reason=letter.reason + also)


def _without(entry: CatalogEntry, missing: Mapping[Modality, Exception]) -> tuple[DeadLetter, ...]:
    return tuple(DeadLetter.without(entry.line, entry.item.id, *one) for one in missing.items())


def _letter(it: Decoded, error: Exception) -> DeadLetter:
    modalities = {key.modality for key in it.prepared}
    return DeadLetter.of(it.line, it.id, error, modalities.pop() if len(modalities) == 1 else None)


def _size(prepared: Prepared) -> int:
    return int(getattr(prepared.value, "nbytes", 0))
