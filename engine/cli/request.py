"""Requests of the wire contract from what is typed on a command line."""

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from encoders.errors import ContentError
from engine.core.errors import InvalidQueryError
from indexers.readers.folder import AUDIOS
from triveni.client import filters
from triveni.client.errors import InvalidError
from triveni.v1 import content_pb2, event_pb2, filter_pb2, recommendation_pb2

_KINDS = {name.removeprefix("EVENT_KIND_").lower(): name for name, number in event_pb2.EventKind.items() if number}


def typed(words: str) -> str:
    """What was typed, if it is text: a shell hands on whatever bytes there are.

    Raises:
        InvalidQueryError: if it is none.
    """
    try:
        words.encode()
    except UnicodeEncodeError:
        raise InvalidQueryError(f"{words!r} is not valid Unicode", "type it in UTF-8") from None
    return words


def text(words: str) -> content_pb2.Content:
    """A text.

    Raises:
        InvalidQueryError: if it is not valid Unicode.
    """
    return content_pb2.Content(text=typed(words))


def picture(path: Path) -> content_pb2.Content:
    """A picture from a file, whatever its name.

    Raises:
        ContentError: if the file cannot be read.
    """
    return content_pb2.Content(image=_bytes_of(path))


def sound(path: Path) -> content_pb2.Content:
    """A sound from a file, whatever its name.

    Raises:
        ContentError: if the file cannot be read.
    """
    return content_pb2.Content(audio=_bytes_of(path))


def media(path: Path) -> content_pb2.Content:
    """A picture or a sound from a file: a sound if its ending is one of a sound in a folder that is indexed.

    Raises:
        ContentError: if the file cannot be read.
    """
    return sound(path) if path.suffix.lower() in AUDIOS else picture(path)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ContentError(f"cannot read {path}: {_said(error)}", "name a file that is there") from None


def _said(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def part(source: content_pb2.Content | str, weight: float = 1.0) -> recommendation_pb2.QueryPart:
    """A part of a query: a content, or the id of an item.

    Raises:
        InvalidQueryError: if the id is not valid Unicode.
    """
    if isinstance(source, str):
        return recommendation_pb2.QueryPart(item_id=typed(source), weight=weight)
    return recommendation_pb2.QueryPart(content=source, weight=weight)


def event(
    kind: str, target: content_pb2.Content | str, time: datetime | None = None, value: float | None = None
) -> event_pb2.Event:
    """Something that a person did, now or at a time: with a content of their own, or an item by its id.

    Whoever answers the request knows which kinds there are besides the standard ones.

    Raises:
        InvalidQueryError: if an id is not valid Unicode.
    """
    message = event_pb2.Event(kind=_KINDS.get(kind), kind_name=None if kind in _KINDS else kind, value=value)
    if isinstance(target, str):
        message.item_id = typed(target)
    else:
        message.content.CopyFrom(target)
    if time is not None:
        message.time.FromDatetime(time)
    return message


def history(path: Path) -> list[event_pb2.Event]:
    """Events from a JSONL file, one a line: `kind`, one of `item`, `text`, `image`, `audio`; `time`, `value`.

    `image` and `audio` are paths relative to the file. `time` is RFC 3339.

    Raises:
        InvalidQueryError: if the file cannot be read, or a line is not such an event.
        ContentError: if a picture or sound cannot be read.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except OSError as error:
        raise InvalidQueryError(f"cannot read {path}: {_said(error)}", "name a file that is there") from None
    except UnicodeDecodeError as error:
        raise InvalidQueryError(f"{path} is not UTF-8 (byte {error.start})", "save it as UTF-8") from None
    events = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            events.append(_event_of(json.loads(line), path.parent))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            problem = f"line {number} of {path} is not an event: {error}"
            raise InvalidQueryError(problem, 'write lines such as {"kind": "like", "item": "42"}') from None
    return events


def _event_of(row: dict[str, Any], folder: Path) -> event_pb2.Event:
    unknown = set(row) - {"kind", "item", "text", "image", "audio", "time", "value"}
    if unknown:
        raise ValueError(f"unknown key {min(unknown)!r}")
    target: content_pb2.Content | str
    if "item" in row:
        target = str(row["item"])
    elif "text" in row:
        target = text(row["text"])
    elif "image" in row:
        target = picture(folder / row["image"])
    elif "audio" in row:
        target = sound(folder / row["audio"])
    else:
        raise ValueError("it names no item, text, image or audio")
    time = datetime.fromisoformat(row["time"]) if "time" in row else None
    return event(row["kind"], target, time, row.get("value"))


def filter_of(conditions: Iterable[str]) -> filter_pb2.Filter | None:
    """A filter from conditions that must all hold, each as `triveni.client.filters.condition` reads it.

    Raises:
        InvalidQueryError: if a condition cannot be read.
    """
    try:
        return filters.all_of([filters.condition(typed(each)) for each in conditions])
    except InvalidError as error:
        raise InvalidQueryError(error.problem, error.remedy) from None
