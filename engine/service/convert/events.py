"""event.proto: what people did, in both directions."""

from collections.abc import Mapping
from functools import lru_cache, partial

from encoders.errors import TriveniError
from encoders.types import Modality, Text
from engine.core.caching import Uses
from engine.core.errors import InvalidQueryError
from engine.core.kinds import STANDARD_KINDS, EventKinds
from engine.core.types import Event, EventKind, VectorInput
from engine.events.check import EventLimits
from engine.events.types import Impression, UserEvent
from engine.service.convert.content import content_of, vector_message
from engine.service.convert.fields import id_of, plain, time_of, timestamp, within
from triveni.v1 import content_pb2, event_pb2

_KINDS = {event_pb2.EventKind.Value(f"EVENT_KIND_{kind.name}"): kind for kind in EventKind}
_FROM_KIND: Mapping[str, str] = {kind: event_pb2.EventKind.Name(number) for number, kind in _KINDS.items()}


def event_of(message: event_pb2.Event, kinds: EventKinds = STANDARD_KINDS) -> Event:
    """An event.

    Args:
        message: the event.
        kinds: that there are.

    Raises:
        InvalidQueryError: if its kind is not named or not declared, it has no target, or its time is no time.
        InvalidItemError: if its item's id is no id.
    """
    kind = _kind_of(message, kinds)
    item = content = None
    match message.WhichOneof("target"):
        case "item_id":
            item = id_of(message.item_id, "item_id")
        case "content":
            try:
                content = content_of(message.content)
            except TriveniError as error:
                raise within(error, "content") from None
        case _:
            raise InvalidQueryError("event has no target", "set item_id or content")
    return Event(
        kind,
        item,
        content,
        time_of(message.time, "time") if message.HasField("time") else None,
        message.value if message.HasField("value") else None,
        plain(message.id, "id"),
        plain(message.request_id, "request_id"),
        dict(message.context),
    )


def _kind_of(message: event_pb2.Event, kinds: EventKinds) -> str:
    kind = _KINDS.get(message.kind)
    if not message.kind and message.kind_name:
        try:
            return kinds.parse(message.kind_name)
        except InvalidQueryError as error:
            error.field = "kind_name"
            raise
    if kind is None:
        names = ", ".join(event_pb2.EventKind.Name(known) for known in _KINDS)
        raise InvalidQueryError(
            f"event kind {message.kind} is unspecified or unknown",
            f"name one of {names}, or set kind_name",
            field="kind",
        )
    if message.kind_name.lower() not in ("", kind):
        problem = f"kind is {event_pb2.EventKind.Name(message.kind)}, kind_name is {message.kind_name[:60]!r}"
        raise InvalidQueryError(problem, "set one of them", field="kind_name")
    return kind


def user_event_of(message: event_pb2.UserEvent, limits: EventLimits) -> UserEvent:
    """An event and who did it, by the name that the store has for them; it checks the name.

    Raises:
        InvalidQueryError: if there is no event, or it is none.
        InvalidItemError: if its item's id is no id.
    """
    if not message.HasField("event"):
        raise InvalidQueryError("event is not set", "say what the person did", field="event")
    try:
        return UserEvent(limits.users(message.user_id), event_of(message.event, limits.kinds))
    except TriveniError as error:
        raise within(error, "event") from None


def event_message(event: Event, *, complete: bool = False) -> event_pb2.Event:
    """A stored event. Of a picture or sound, of which only the vector is kept, the content has no bytes.

    Args:
        event: the event.
        complete: whether that vector is added.
    """
    message = event_pb2.Event(
        kind=_FROM_KIND.get(event.kind),
        kind_name=None if event.kind in _FROM_KIND else event.kind,
        time=None if event.time is None else timestamp(event.time),
        value=event.value,
        id=event.id,
        request_id=event.request_id,
        context=event.context,
    )
    if event.item is not None:
        message.item_id = event.item
    elif isinstance(event.content, Text):
        message.content.text = event.content.text
    elif event.content is not None:
        message.content.CopyFrom(_WITHOUT_BYTES[event.content.modality])
    if complete and isinstance(event.content, VectorInput):
        message.vector.CopyFrom(vector_message(event.content))
    return message


def served_list_message(impression: Impression) -> event_pb2.ServedList:
    """A list that was served."""
    return event_pb2.ServedList(
        request_id=impression.request_id,
        time=timestamp(impression.time),
        item_ids=impression.items,
        positions=impression.positions,
        propensities=impression.propensities,
        model=impression.model,
        tier=impression.tier,
        context=impression.context,
    )


_WITHOUT_BYTES = {
    Modality.TEXT: content_pb2.Content(text=""),
    Modality.IMAGE: content_pb2.Content(image=b""),
    Modality.AUDIO: content_pb2.Content(audio=b""),
}


class EventReader:
    """`event_of` that remembers: most events of a history were sent with the person's last request already.

    Reading an event takes 4 µs, finding it again 0.3 µs. Events with contents, and large ones, are not kept.

    Args:
        kinds: that there are.
        size: events that are remembered, of about 500 bytes each.
    """

    _MAX_BYTES = 1024

    def __init__(self, kinds: EventKinds = STANDARD_KINDS, size: int = 16_384) -> None:
        self._read = partial(event_of, kinds=kinds)
        self._known = lru_cache(size)(lambda raw: self._read(event_pb2.Event.FromString(raw)))

    def __call__(self, message: event_pb2.Event) -> Event:
        """The event; see `event_of`."""
        if message.HasField("content"):
            return self._read(message)
        raw = message.SerializeToString()
        return self._known(raw) if len(raw) <= self._MAX_BYTES else self._read(message)

    @property
    def uses(self) -> Uses:
        """How often an event was remembered."""
        told = self._known.cache_info()
        return told.hits, told.misses

    def clear(self) -> None:
        """Remember none."""
        self._known.cache_clear()
