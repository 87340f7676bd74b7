"""Pictures and sounds become vectors, which come back from a history as such."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from encoders.errors import TriveniError
from encoders.types import Audio, Image, Modality, Text
from engine.core.deadline import Deadline
from engine.core.errors import CancelledError
from engine.core.types import Event, EventKind, Query, UserId, VectorInput
from engine.encode.encoding import DirectEncoder
from engine.events.check import EventLimits
from engine.events.encode import with_vectors
from engine.events.sql import SqlEventStore
from engine.events.types import OutcomeKind, UserEvent
from engine.query.resolve import QuerySignals, resolve
from engine.query.settings import FuseSettings
from engine.store.memory import MemoryStore
from tests.events.stores import NOW, click, on
from tests.tiny import png_bytes, tiny_space, wav_bytes

SPACE = tiny_space()


def encoded(*events: UserEvent) -> list[UserEvent | TriveniError]:
    fingerprint = SPACE.manifest.fingerprint
    return with_vectors(events, DirectEncoder(SPACE), fingerprint, EventLimits(), NOW, Deadline())


def test_uploads_are_kept_as_vectors_and_replayed(store: SqlEventStore) -> None:
    events = [
        click(),
        on(Image(png_bytes(1)), kind=EventKind.UPLOAD),
        on(Text("owl")),
        on(Audio(wav_bytes()), kind=EventKind.UPLOAD),
    ]
    ready = encoded(*events)
    assert ready[0] is events[0]
    assert ready[2] is events[2]
    outcomes = store.record([event for event in ready if isinstance(event, UserEvent)])
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.RECORDED] * 4
    stored = store.history(UserId("ann"), kinds=[EventKind.UPLOAD]).events
    back = {event.content.modality: event.content for event in stored if isinstance(event.content, VectorInput)}
    for modality, content in ((Modality.IMAGE, events[1].event.content), (Modality.AUDIO, events[3].event.content)):
        (wanted,) = DirectEncoder(SPACE).encode([content], Deadline())  # type: ignore[list-item]
        np.testing.assert_allclose(back[modality].values, wanted, atol=1e-6)
        assert back[modality].values.dtype == np.float32
        assert back[modality].fingerprint == SPACE.manifest.fingerprint


def test_sent_again_in_other_company_it_has_the_same_id() -> None:
    picture = on(Image(png_bytes(1)))
    (alone,) = encoded(picture)
    among = encoded(on(Image(png_bytes(2))), picture, on(Image(png_bytes(3))))[1]
    assert isinstance(alone, UserEvent)
    assert isinstance(among, UserEvent)
    assert alone.event.id == among.event.id
    assert alone.event.id.startswith("auto-")
    assert alone.event.time == picture.event.time


def test_a_bad_one_does_not_spoil_the_others() -> None:
    bad = on(Image(b"no picture"))
    nobody = on(Image(png_bytes(1)), user="\ud800")
    naive = UserEvent(UserId("ann"), replace(bad.event, time=NOW.replace(tzinfo=None)))
    first, second, third, fourth = encoded(bad, nobody, naive, on(Image(png_bytes(1))))
    assert isinstance(first, TriveniError)
    assert "user_id" in str(second)
    assert "has no time zone" in str(third)
    assert isinstance(fourth, UserEvent)


def test_nothing_is_encoded_for_a_caller_who_went_away() -> None:
    deadline = Deadline()
    deadline.cancel()
    with pytest.raises(CancelledError):
        with_vectors([on(Image(png_bytes(1)))], DirectEncoder(SPACE), "f", EventLimits(), NOW, deadline)


def test_a_stored_history_weighs_as_the_one_that_was_sent(store: SqlEventStore) -> None:
    sent = [
        on(Image(png_bytes(1)), kind=EventKind.UPLOAD),
        on(Audio(wav_bytes()), kind=EventKind.UPLOAD),
        on(Text("owl")),
    ]
    store.record([event for event in encoded(*sent) if isinstance(event, UserEvent)])

    def sources(history: Sequence[Event]) -> QuerySignals:
        manifest = SPACE.manifest
        items = MemoryStore(
            fingerprint=manifest.fingerprint, dimension=manifest.dimension, modalities=tuple(Modality)
        )
        query = Query(history=tuple(history))
        return resolve(query, DirectEncoder(SPACE), manifest, items, FuseSettings(), NOW, Deadline())

    def rows(found: QuerySignals) -> list[tuple[str, float, list[float]]]:
        assert found.skipped == ()
        return sorted(
            (str(modality), found.weights[row], np.round(found.vectors[modality][row], 5).tolist())
            for modality in Modality
            for row in np.flatnonzero(found.present[modality])
        )

    assert len(rows(sources([event.event for event in sent]))) == 3
    assert rows(sources(store.history(UserId("ann")).events)) == rows(sources([event.event for event in sent]))
