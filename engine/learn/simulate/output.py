"""What happened in a simulation, into an event store or a file that `triveni events import` takes."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from engine.core.types import Event, EventKind
from engine.events.base import EventStore
from engine.events.files import export_events
from engine.events.types import Impression, OutcomeKind, UserEvent
from engine.learn.simulate.errors import SimulationError
from engine.learn.simulate.loop import Diary
from engine.learn.simulate.world import SIMULATED

_BATCH = 2000


def refuse_real_users(store: EventStore) -> None:
    """Refuse a store that holds people, or served lists, which no simulation made.

    A model that is trained on both learns from what nobody did.

    Raises:
        SimulationError: if there is one, naming it.
    """
    found = chain((one.user for one in store.export()), (one.impression.user for one in store.impressions()))
    real = next((user for user in found if SIMULATED.fullmatch(user) is None), None)
    if real is not None:
        raise SimulationError(
            f"the event store holds people who are not simulated, such as {real[:80]!r}",
            "name another with --store, write a file with --out, or give --mix to have both in it",
            field="store",
        )


def into_store(diary: Diary, store: EventStore) -> int:
    """Log the served lists, then record the events; doing it again changes nothing.

    Returns:
        How many events were new.

    Raises:
        SimulationError: if the store rejects an event; what came before it stays.
        EventError: if it refuses a served list.
        EventStoreError: if the database fails.
    """
    new = 0
    for start in range(0, len(diary.impressions), _BATCH):
        store.log_impressions(diary.impressions[start : start + _BATCH])
    for start in range(0, len(diary.events), _BATCH):
        for outcome in store.record(diary.events[start : start + _BATCH]):
            if outcome.error is not None:
                raise SimulationError(
                    f"the event store rejects an event ({outcome.error.problem})", outcome.error.remedy
                )
            new += outcome.kind is OutcomeKind.RECORDED
    return new


def into_file(diary: Diary, path: Path) -> int:
    """Write a .jsonl, .csv or .parquet file: the events, and of each served list one event per position.

    Returns:
        How many lines were written.

    Raises:
        EventFileError: if the file is of an unknown kind or cannot be written.
    """
    return export_events(path, chain(chain.from_iterable(map(positions_of, diary.impressions)), diary.events))


def positions_of(impression: Impression) -> Iterator[UserEvent]:
    """A served list as events of the kind impression; position, propensity, model and tier are in the context."""
    for item, position, propensity in zip(
        impression.items, impression.positions, impression.propensities, strict=True
    ):
        context = {
            "position": str(position),
            "propensity": repr(propensity),
            "model": impression.model,
            "tier": impression.tier,
        }
        event = Event(
            EventKind.IMPRESSION,
            item,
            time=impression.time,
            id=f"{impression.request_id}-{position}-impression",
            request_id=impression.request_id,
            context=context,
        )
        yield UserEvent(impression.user, event)


def counts(events: Sequence[UserEvent]) -> dict[EventKind, int]:
    """How many events there are of each kind, those there are, in the order of the kinds."""
    kinds = [one.event.kind for one in events]
    return {kind: count for kind in EventKind if (count := kinds.count(kind))}
