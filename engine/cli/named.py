"""What the ids in an answer stand for: titles of items, and events that were recorded before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import grpc

from triveni.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    event_pb2,
    event_pb2_grpc,
    item_pb2,
    recommendation_pb2,
)

if TYPE_CHECKING:
    from google.protobuf.struct_pb2 import Struct

    from engine.events.history import Joined
    from engine.store.base import VectorStore

TITLE = 60
"""Characters of a text that stand for a title."""
SHOWN_REASONS = 2
"""The first so many reasons of a result are told."""
_PAGES, _PAGE = 5, 1000
"""Of a person's history that are looked through for the events of reasons."""


@dataclass(frozen=True, slots=True)
class Names:
    """What ids stand for, as far as it is known."""

    titles: Mapping[str, str] = field(default_factory=dict)
    """Of items, by id."""
    events: Mapping[str, event_pb2.Event] = field(default_factory=dict)
    """That were recorded before, by id."""


NO_NAMES = Names()


def title(payload: Struct, text: str, item_id: str) -> str:
    """What an item is called: its payload's title or name, else its text, else its id."""
    for key in ("title", "name"):
        if key in payload.fields:
            return str(payload.fields[key].string_value)
    line = " ".join(text.split())
    return (line if len(line) <= TITLE else line[: TITLE - 1].rstrip() + "…") or item_id


def from_store(
    store: VectorStore,
    joined: Joined,
    asked: recommendation_pb2.RecommendRequest,
    answer: recommendation_pb2.RecommendResponse,
) -> Names:
    """The names, from an open store and the history that went into the answer."""
    from engine.core.types import ItemId
    from engine.service.convert.events import event_message
    from engine.service.convert.items import stored_item

    wanted = _event_ids(answer)
    history = joined.query.history[joined.own :]
    events = {event.id: event_message(event) for event in history if event.id in wanted}
    points = store.retrieve([ItemId(name) for name in _item_ids(asked, events.values())])
    found = [stored_item(point, store.fingerprint, include_vectors=False) for point in points if point is not None]
    return Names(_titles(found), events)


def from_server(
    channel: grpc.Channel,
    asked: recommendation_pb2.RecommendRequest,
    answer: recommendation_pb2.RecommendResponse,
) -> Names:
    """The names, from the server that answered; what it does not tell stays without one."""
    wanted = _event_ids(answer)
    events: dict[str, event_pb2.Event] = {}
    catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
    with suppress(grpc.RpcError):
        for page in islice(_history(channel, asked.user_id), _PAGES if wanted else 0):
            events.update({event.id: event for event in page if event.id in wanted})
            if events.keys() == wanted:
                break
    found = []
    for name in _item_ids(asked, events.values()):
        with suppress(grpc.RpcError):  # it may be gone
            found.append(catalog.GetItem(catalog_pb2.GetItemRequest(item_id=name), timeout=30).item)
    return Names(_titles(found), events)


def _history(channel: grpc.Channel, user: str) -> Iterator[Sequence[event_pb2.Event]]:
    """A person's history, page by page, newest first."""
    stub, token = event_pb2_grpc.EventServiceStub(channel), ""
    while True:
        request = event_pb2.GetHistoryRequest(user_id=user, page_size=_PAGE, page_token=token)
        page = stub.GetHistory(request, timeout=30)
        yield page.events
        token = page.next_page_token
        if not token:
            return


def _event_ids(answer: recommendation_pb2.RecommendResponse) -> set[str]:
    """The recorded events that are told of."""
    found = [reason.event_id for result in answer.results for reason in result.reasons[:SHOWN_REASONS]]
    return {event_id for event_id in (*found, *(one.event_id for one in answer.skipped)) if event_id}


def _item_ids(asked: recommendation_pb2.RecommendRequest, events: Iterable[event_pb2.Event]) -> list[str]:
    """The items that were asked with, and those of events; each once."""
    found = [part.item_id for part in asked.parts] + [event.item_id for event in (*asked.history, *events)]
    return [item_id for item_id in dict.fromkeys(found) if item_id]


def _titles(items: Iterable[item_pb2.StoredItem]) -> dict[str, str]:
    return {item.id: title(item.payload, item.text, item.id) for item in items}
