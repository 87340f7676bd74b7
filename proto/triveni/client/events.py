"""What people did, as it is handed in, becomes messages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from triveni.client.answers import Answer
from triveni.client.contents import content, identity, label, media, text
from triveni.client.errors import InvalidError
from triveni.client.results import Event
from triveni.client.times import timestamp
from triveni.v1 import content_pb2, event_pb2

KINDS = {name.removeprefix("EVENT_KIND_").lower(): number for name, number in event_pb2.EventKind.items() if number}
"""The standard kinds of events."""

Row: TypeAlias = Event | Mapping[str, Any]
"""An event: as it came back, or a dict of `kind`; `item`, or `content`, `text`, `image` or `audio`; and `time`,
`value`, `id`, `request`, `context`, `user`."""

_NAMES = {"user_id": "user", "item_id": "item", "request_id": "request"}
_TARGETS = ("item", "content", "text", "image", "audio")
_KEYS = frozenset(("kind", "time", "value", "id", "request", "context", "user", *_TARGETS))


def event(row: Row, field: str) -> event_pb2.Event:
    """An event.

    Args:
        row: the event.
        field: what it is called in errors, such as history[2].

    Raises:
        InvalidError: if it is none.
    """
    said = _fields(row, field)
    try:
        message = event_pb2.Event(id=identity(said["id"], "id") if said.get("id") else "")
        _set_kind(message, said.get("kind"))
        _set_target(message, said)
        if said.get("time") is not None:
            message.time.CopyFrom(timestamp(said["time"]))
        if said.get("value") is not None:
            message.value = said["value"]
        message.request_id = request_id(said.get("request") or "")
        for name, value in (said.get("context") or {}).items():
            message.context[text(name, "context")] = text(value, "context")
    except InvalidError as error:
        raise InvalidError(f"{field}: {error.problem}", error.remedy, reason=error.reason or "EVENT") from None
    except (TypeError, ValueError) as error:
        raise InvalidError(f"{field} is no event: {error}", "see triveni.client.events.Row", reason="EVENT") from None
    return message


def user_event(row: Row, field: str, user: str = "") -> event_pb2.UserEvent:
    """An event to record, and who did it.

    One without an id of its own and without a time gets an id, so that a call that is tried again records it once.

    Raises:
        InvalidError: if it is none, or nobody did it.
    """
    said = _fields(row, field)
    message = event_pb2.UserEvent(
        user_id=identity(said.get("user") or user, f"{field}.user"), event=event(row, field)
    )
    if not message.user_id:
        raise InvalidError(f"{field} names no user", 'give user=, or a key "user"', reason="EVENT")
    if not message.event.id and not message.event.HasField("time"):
        message.event.id = os.urandom(16).hex()
    return message


def request_id(request: str | Answer) -> str:
    """The id of a request, from itself or its answer."""
    return request.request_id if isinstance(request, Answer) else text(request, "request")


def event_label(message: event_pb2.Event, row: Row | None = None) -> str:
    """A short name of an event, such as "like 42"."""
    if message.item_id or message.content.text:
        named = label(message.item_id or message.content.text, is_id=bool(message.item_id))
    else:
        said = _fields(row, "event") if row is not None else {}
        files = [said[key].name for key in _TARGETS if isinstance(said.get(key), Path)]
        named = files[0] if files else f"({message.content.WhichOneof('content')})"
    return f"{kind_of(message)} {named}"


def kind_of(message: event_pb2.Event) -> str:
    """The kind of an event, standard or not."""
    return message.kind_name or event_pb2.EventKind.Name(message.kind).removeprefix("EVENT_KIND_").lower()


def _fields(row: Row, field: str) -> dict[str, Any]:
    if isinstance(row, Event):
        names = ("kind", "item", "text", "time", "value", "id", "request", "context")
        return {name: getattr(row, name) for name in names if getattr(row, name) not in ("", None)}
    if not isinstance(row, Mapping):
        raise InvalidError(
            f"{field} is {row!r:.60}, no event", 'write {"kind": "like", "item": "42"}', reason="EVENT"
        )
    said = {_NAMES.get(name, name): value for name, value in row.items()}
    unknown = sorted(map(str, said.keys() - _KEYS))
    if unknown:
        problem = f"{field} has an unknown key {unknown[0]!r}"
        raise InvalidError(problem, f"use {', '.join(sorted(_KEYS))}", reason="EVENT")
    return said


def _set_kind(message: event_pb2.Event, kind: object) -> None:
    if not isinstance(kind, str) or not kind:
        raise InvalidError(f"there is no event kind {kind!r}", f"use one of {', '.join(KINDS)}", reason="EVENT")
    if kind in KINDS:
        message.kind = KINDS[kind]  # type: ignore[assignment]
    else:
        message.kind_name = text(kind, "kind")


def _set_target(message: event_pb2.Event, said: Mapping[str, Any]) -> None:
    given = [name for name in _TARGETS if said.get(name) is not None]
    if len(given) != 1:
        problem = f"it names {' and '.join(given) or 'nothing'} that it was done with"
        raise InvalidError(problem, f"name one of {', '.join(_TARGETS)}", reason="EVENT")
    (name,) = given
    value = said[name]
    if name == "item":
        message.item_id = identity(value, "item")
    elif name == "content":
        message.content.CopyFrom(content(value))
    elif name == "text":
        message.content.text = text(value)
    else:
        found = media(Path(value) if isinstance(value, str) else value, name)
        data = found.image or found.audio
        message.content.CopyFrom(
            content_pb2.Content(image=data) if name == "image" else content_pb2.Content(audio=data)
        )
