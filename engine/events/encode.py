"""Makes events with pictures and sounds fit to be kept: each is replaced by its vector."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from encoders.errors import TriveniError
from encoders.types import Audio, Image
from engine.core.deadline import Deadline
from engine.core.types import VectorInput
from engine.encode.encoding import ContentEncoder, Encoded
from engine.events.check import EventLimits, check_event
from engine.events.errors import EventError
from engine.events.identity import event_id
from engine.events.times import micros
from engine.events.types import UserEvent

CHUNK = 32
"""Contents that are handed to the encoder together, so that many leave room for others."""


def with_vectors(
    events: Sequence[UserEvent],
    encoder: ContentEncoder,
    fingerprint: str,
    limits: EventLimits,
    now: datetime,
    deadline: Deadline,
) -> list[UserEvent | TriveniError]:
    """Encode the pictures and sounds of events; other events stay as they are.

    Such an event gets its time and id here: an id made from the media is the same when it is sent again, one made
    from a vector need not be, since a batch may change its last bits.

    Args:
        events: of any persons.
        encoder: the space's.
        fingerprint: the space's.
        limits: those of the store; what it would refuse is not encoded.
        now: the time of events that have none.
        deadline: of the request.

    Returns:
        For each event, in order, one that `EventStore.record` takes, or the error that befell its content.

    Raises:
        DeadlineError: if the time is up before all are encoded.
        CancelledError: if the caller went away.
        OverloadedError: if too many contents wait already.
    """
    made: list[UserEvent | TriveniError] = list(events)
    rows: list[int] = []
    contents: list[Image | Audio] = []
    for row, event in enumerate(events):
        if isinstance(event.event.content, Image | Audio):
            try:
                check_event(event, limits, now, media=True)
            except EventError as error:
                made[row] = error
            else:
                rows.append(row)
                contents.append(event.event.content)
    vectors: list[Encoded] = []
    for start in range(0, len(contents), CHUNK):
        vectors += encoder.encode(contents[start : start + CHUNK], deadline)
    for row, content, vector in zip(rows, contents, vectors, strict=True):
        if isinstance(vector, TriveniError):
            made[row] = vector
            continue
        user, inner = events[row].user, events[row].event
        time = inner.time or now
        kept = VectorInput(content.modality, vector, fingerprint)
        made[row] = UserEvent(user, replace(inner, time=time, id=event_id(events[row], micros(time)), content=kept))
    return made
