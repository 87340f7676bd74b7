"""What users did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from triveni.client import contents, reading
from triveni.client.answers import Answer
from triveni.client.connection import Connection
from triveni.client.contents import Content
from triveni.client.errors import InvalidError, refusal
from triveni.client.events import Row as EventRow
from triveni.client.events import user_event
from triveni.client.items import problem
from triveni.client.packing import PAGE, packed
from triveni.client.plans.base import Call, Plan
from triveni.client.problem import Problem
from triveni.client.results import Event, Forgotten, History, Recorded, RejectedEvent, ServedList, UserData
from triveni.client.times import time_of
from triveni.v1 import event_pb2


def record(
    self: Connection,
    events: Iterable[EventRow] | None = None,
    *,
    user: str = "",
    kind: str = "",
    item: str | None = None,
    content: Content | None = None,
    value: float | None = None,
    time: datetime | str | None = None,
    id: str = "",
    request: str | Answer = "",
    context: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> Plan[Recorded]:
    """Record what users did: one event by its parts, or many from an iterable.

    Recording is idempotent by `id`. An event without one is the same event if all that it says, with its time, is the
    same.

    Args:
        events: many: dicts such as {"user": "ann", "kind": "click", "item": "42"}, with keys as the arguments below.
        user: who did it; of many, those that name nobody.
        kind: impression, view, click, like, purchase, rate, skip, dislike, search, upload, or a deployment's own.
        item: with which item, by its id.
        content: or with which text, picture or sound.
        value: a rating's stars, a view's seconds, a purchase's price.
        time: when; None means now.
        id: the event's own.
        request: the answer that they acted on, or its `request_id`.
        context: anything else, such as the page or the device.
        timeout: seconds for each 1,000; None takes the client's.

    Returns:
        How many were new, how many known; and those that were refused.

    Raises:
        InvalidError: if the one event is refused.
        TriveniError: if a call fails; what was recorded before it stays.
    """
    one: dict[str, Any] = {"kind": kind, "item": item, "content": content, "value": value, "time": time}
    one |= {"id": id, "request": request, "context": context}
    if events is None:
        answer = yield _recording([user_event(one, "event", user)], timeout)
        if answer.rejected:
            raise refusal(problem(answer.rejected[0].problem))
        return Recorded(answer.recorded_count, answer.duplicate_count)
    if any(each not in (None, "") for each in one.values()):
        raise InvalidError("many events and parts of one are given", "give either, beside user= and timeout=")
    recorded = duplicates = 0
    bad: dict[int, Problem] = {}
    for chunk in packed(events, lambda row: user_event(row, "event", user), bad, self.max_message_bytes):
        answer = yield _recording([message for _, message in chunk], timeout)
        recorded, duplicates = recorded + answer.recorded_count, duplicates + answer.duplicate_count
        bad |= {chunk[each.index][0]: problem(each.problem) for each in answer.rejected}
    return Recorded(recorded, duplicates, tuple(RejectedEvent(index, said) for index, said in sorted(bad.items())))


def _recording(messages: Sequence[event_pb2.UserEvent], timeout: float | None) -> Call:
    request = event_pb2.RecordEventsRequest(events=messages)
    return Call("EventService/RecordEvents", request, event_pb2.RecordEventsResponse, timeout)


def history(self: Connection, user: str, *, limit: int = 100, timeout: float | None = None) -> Plan[History]:
    """What a user did.

    Args:
        user: who.
        limit: at most so many events, the newest.
        timeout: seconds for each 1,000; None takes the client's.

    Returns:
        The events, newest first, each with its id.

    Raises:
        TriveniError: if the call fails.
    """
    found: list[Event] = []
    token = ""
    while len(found) < limit:
        size = min(PAGE, limit - len(found))
        request = event_pb2.GetHistoryRequest(
            user_id=contents.identity(user, "user"), page_size=size, page_token=token
        )
        page = yield Call("EventService/GetHistory", request, event_pb2.GetHistoryResponse, timeout)
        found += map(reading.event, page.events)
        token = page.next_page_token
        if not token:
            break
    return History(tuple(found))


def data_of(self: Connection, user: str, *, timeout: float | None = None) -> Plan[UserData]:
    """All that is kept of a user: to be handed over, say.

    Args:
        user: who.
        timeout: seconds for each 1,000; None takes the client's.

    Returns:
        The events and the lists that the user was served, newest first.

    Raises:
        TriveniError: if a call fails.
    """
    name = contents.identity(user, "user")
    events: list[Event] = []
    lists: list[ServedList] = []
    token = ""
    while True:
        request = event_pb2.GetHistoryRequest(user_id=name, page_size=PAGE, page_token=token, complete=True)
        page = yield Call("EventService/GetHistory", request, event_pb2.GetHistoryResponse, timeout)
        events += map(reading.event, page.events)
        lists += map(reading.served_list, page.served_lists)
        token = page.next_page_token
        if not token:
            return UserData(name, tuple(events), tuple(lists))


def forget(self: Connection, user: str, *, timeout: float | None = None) -> Plan[Forgotten]:
    """Delete all that a user did, and all lists that they were served.

    Args:
        user: who.
        timeout: seconds; None takes the client's.

    Returns:
        The receipt.

    Raises:
        TriveniError: if the call fails.
    """
    request = event_pb2.DeleteUserRequest(user_id=contents.identity(user, "user"))
    answer = yield Call("EventService/DeleteUser", request, event_pb2.DeleteUserResponse, timeout)
    return Forgotten(
        answer.receipt_id,
        time_of(answer.delete_time),
        answer.deleted_count,
        answer.deleted_list_count,
        tuple(answer.model_versions),
        answer.scrubbed,
    )
