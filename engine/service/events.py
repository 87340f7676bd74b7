"""EventService."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from encoders.errors import TriveniError
from engine.core.deadline import Deadline
from engine.core.errors import InvalidQueryError
from engine.encode.encoding import ContentEncoder
from engine.events.base import EventStore
from engine.events.check import EventLimits
from engine.events.encode import with_vectors
from engine.events.errors import EventError
from engine.events.types import OutcomeKind, UserEvent
from engine.service.calls import Context, Malformed, checked, current_call
from engine.service.convert.content import problem
from engine.service.convert.events import event_message, served_list_message, user_event_of
from engine.service.convert.fields import timestamp
from engine.service.deletion import Deletions
from engine.service.metrics import TenantMetrics
from engine.service.paging import cursor_of, page_size, page_token
from engine.service.status import shorten
from engine.service.stream_buffer import StreamBuffer
from engine.service.work import Workers, deadline_of
from triveni.v1 import event_pb2, event_pb2_grpc

MAX_EVENTS = 5000
"""Of one RecordEvents, and of one transaction of a stream."""
MAX_REJECTED = 1000
"""Refused events that the answer to a stream lists; all are counted."""

_LISTS = "lists "
"""Begins the cursors of the pages that have served lists, behind those of events."""

Sent = event_pb2.StreamEventsRequest | Malformed
"""A message of the stream: one that cannot be parsed is a bad event like others, and does not end it."""


@dataclass(slots=True)
class _Tally:
    """What became of events."""

    recorded: int = 0
    duplicates: int = 0
    rejected: list[tuple[int, TriveniError]] = field(default_factory=list)
    """(position, why): the error's field is relative to the UserEvent."""


class EventServicer(event_pb2_grpc.EventServiceServicer):
    """What people did.

    Args:
        encoder: encodes uploaded pictures and sounds.
        fingerprint: of its space.
        store: where events are kept.
        limits: the largest event, as the store has them.
        deletions: deletes people.
        workers: where the work is done.
        metrics: count what became of events.
        max_bytes: of the events of one stream that wait.
    """

    def __init__(
        self,
        encoder: ContentEncoder,
        fingerprint: str,
        store: EventStore,
        limits: EventLimits,
        deletions: Deletions,
        workers: Workers,
        metrics: TenantMetrics,
        *,
        max_bytes: int,
    ) -> None:
        self._encoder, self._fingerprint = encoder, fingerprint
        self._store, self._limits, self._deletions = store, limits, deletions
        self._workers, self._metrics, self._max_bytes = workers, metrics, max_bytes

    async def RecordEvents(  # noqa: N802
        self, request: event_pb2.RecordEventsRequest, context: Context
    ) -> event_pb2.RecordEventsResponse:
        """Record events, each for itself."""
        deadline = deadline_of(context)
        count = len(request.events)
        if count > MAX_EVENTS:
            raise InvalidQueryError(
                f"{count} events", f"send at most {MAX_EVENTS} in one call, or StreamEvents", field="events"
            )
        tally = await self._workers.run(partial(self._record, request.events, deadline), deadline)
        response = event_pb2.RecordEventsResponse(recorded_count=tally.recorded, duplicate_count=tally.duplicates)
        for index, error in tally.rejected:
            response.rejected.append(_rejected(index, error, f"events[{index}]"))
        return response

    async def StreamEvents(  # noqa: N802
        self, request_iterator: AsyncIterator[Sent], context: Context
    ) -> event_pb2.StreamEventsResponse:
        """Record events as they come; while one batch is written, the next is read, and no more."""
        deadline = deadline_of(context)
        buffer: StreamBuffer[Sent] = StreamBuffer(MAX_EVENTS, self._max_bytes)
        reader = asyncio.create_task(buffer.fill(_sized(request_iterator)))
        response = event_pb2.StreamEventsResponse()
        begin = 0
        try:
            while batch := await buffer.take():
                tally = await self._workers.run(partial(self._record, batch, deadline), deadline, patient=True)
                response.recorded_count += tally.recorded
                response.duplicate_count += tally.duplicates
                response.rejected_count += len(tally.rejected)
                for index, error in tally.rejected[: MAX_REJECTED - len(response.rejected)]:
                    response.rejected.append(_rejected(begin + index, error))
                begin += len(batch)
            await reader
        finally:
            reader.cancel()
        return response

    def _record(self, messages: Sequence[event_pb2.UserEvent | Sent], deadline: Deadline) -> _Tally:
        tally = _Tally()
        events: dict[int, UserEvent] = {}
        for index, message in enumerate(messages):
            try:
                events[index] = user_event_of(_user_event(message), self._limits)
            except TriveniError as error:
                tally.rejected.append((index, error))
        now = datetime.now(UTC)
        made = with_vectors(list(events.values()), self._encoder, self._fingerprint, self._limits, now, deadline)
        ready: dict[int, UserEvent] = {}
        for index, event in zip(events, made, strict=True):
            if isinstance(event, TriveniError):
                tally.rejected.append((index, _at(event, "content")))
            else:
                ready[index] = event
        deadline.check("recording")
        for index, outcome in zip(ready, self._store.record(list(ready.values())), strict=True):
            tally.recorded += outcome.kind is OutcomeKind.RECORDED
            tally.duplicates += outcome.kind is OutcomeKind.DUPLICATE
            if outcome.kind is OutcomeKind.RECORDED and ready[index].event.request_id:
                self._metrics.followed(ready[index].event.kind)
            if outcome.error is not None:
                tally.rejected.append((index, _at(outcome.error, "")))
        tally.rejected.sort(key=lambda pair: pair[0])
        self._metrics.sent(tally.recorded, tally.duplicates, len(tally.rejected))
        return tally

    async def GetHistory(  # noqa: N802
        self, request: event_pb2.GetHistoryRequest, context: Context
    ) -> event_pb2.GetHistoryResponse:
        """A page of what a person did."""
        current_call().user = request.user_id
        deadline = deadline_of(context)
        return await self._workers.run(lambda: self._history(request, deadline), deadline)

    def _history(self, request: event_pb2.GetHistoryRequest, deadline: Deadline) -> event_pb2.GetHistoryResponse:
        user, size = self._limits.users(request.user_id), page_size(request.page_size)
        of_list = b"history of " + request.user_id.encode()
        cursor = cursor_of(request.page_token, of_list)
        if request.complete and cursor is None:
            self._deletions.settle(deadline)
        if request.complete and cursor is not None and cursor.startswith(_LISTS):
            lists = self._store.lists(user, limit=size, cursor=cursor.removeprefix(_LISTS) or None)
            return event_pb2.GetHistoryResponse(
                served_lists=map(served_list_message, lists.lists),
                next_page_token=page_token(lists.next_cursor and _LISTS + lists.next_cursor, of_list),
            )
        page = self._store.history(user, limit=size, cursor=cursor)
        following = page.next_cursor or (_LISTS if request.complete else None)
        return event_pb2.GetHistoryResponse(
            events=[event_message(event, complete=request.complete) for event in page.events],
            next_page_token=page_token(following, of_list),
        )

    async def DeleteUser(  # noqa: N802
        self, request: event_pb2.DeleteUserRequest, context: Context
    ) -> event_pb2.DeleteUserResponse:
        """Delete all that is known of a person."""
        current_call().user = request.user_id
        deadline = deadline_of(context)
        return await self._workers.run(lambda: self._delete(request, deadline), deadline)

    def _delete(self, request: event_pb2.DeleteUserRequest, deadline: Deadline) -> event_pb2.DeleteUserResponse:
        receipt = self._deletions.delete(self._limits.users(request.user_id), deadline)
        return event_pb2.DeleteUserResponse(
            deleted_count=receipt.gone.events,
            deleted_list_count=receipt.gone.lists,
            receipt_id=receipt.deletion.id,
            delete_time=timestamp(receipt.deletion.time),
            model_versions=receipt.deletion.versions,
            scrubbed=receipt.scrubbed,
        )


def _user_event(message: event_pb2.UserEvent | Sent) -> event_pb2.UserEvent:
    """The event of a message.

    Raises:
        MalformedError: if the message could not be parsed.
    """
    if isinstance(message, event_pb2.UserEvent):
        return message
    return checked(message).event


def _at(error: TriveniError, field: str) -> TriveniError:
    """The error, its field named as in the UserEvent."""
    name = error.field or field
    if isinstance(error, EventError) and name == "user_id":
        return error
    error.field = f"event.{name}" if name else "event"
    return error


def _rejected(index: int, error: TriveniError, path: str = "") -> event_pb2.RejectedEvent:
    said = problem(error)
    said.field = shorten(".".join(part for part in (path, error.field) if part))
    return event_pb2.RejectedEvent(index=index, problem=said)


async def _sized(requests: AsyncIterator[Sent]) -> AsyncIterator[tuple[Sent, int]]:
    async for request in requests:
        yield request, request.ByteSize()
