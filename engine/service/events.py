"""EventService."""

from collections.abc import AsyncIterator
from typing import NoReturn

from engine.service.calls import Context
from engine.service.status import NotImplementedYetError
from triveni.v1 import event_pb2, event_pb2_grpc


def _refuse(method: str) -> NoReturn:
    raise NotImplementedYetError(
        f"{method} is not implemented in this release", "send the person's events as `history` of each Recommend"
    )


class EventServicer(event_pb2_grpc.EventServiceServicer):
    """The contract is fixed, the event store comes with training: every method says so."""

    async def RecordEvents(  # noqa: N802
        self, request: event_pb2.RecordEventsRequest, context: Context
    ) -> event_pb2.RecordEventsResponse:
        """Record events."""
        _refuse("RecordEvents")

    async def StreamEvents(  # noqa: N802
        self, request_iterator: AsyncIterator[event_pb2.StreamEventsRequest], context: Context
    ) -> event_pb2.StreamEventsResponse:
        """Record events as they come."""
        _refuse("StreamEvents")

    async def GetHistory(  # noqa: N802
        self, request: event_pb2.GetHistoryRequest, context: Context
    ) -> event_pb2.GetHistoryResponse:
        """The events of a person."""
        _refuse("GetHistory")

    async def DeleteUser(  # noqa: N802
        self, request: event_pb2.DeleteUserRequest, context: Context
    ) -> event_pb2.DeleteUserResponse:
        """Delete all events of a person."""
        _refuse("DeleteUser")
