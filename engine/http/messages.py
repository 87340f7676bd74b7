"""A message from the JSON, the query and the path of a request, and the JSON of a message.

JSON is protobuf's own (https://protobuf.dev/programming-guides/json/): bytes are base64, 64-bit numbers are texts,
enums are names. Fields are called as in the proto files, on the way in also in camel case.
"""

import json
import re
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from engine.core.errors import InvalidQueryError
from engine.http.bindings import Binding
from engine.http.errors import MalformedBodyError
from engine.http.writing import writer_of

Json = Any
"""What `json.loads` gives."""

_LONG = 2000
_WITHIN = re.compile(r"Failed to parse (\w+) field: ")
_UNKNOWN = re.compile(r'has no field named "(.*)" at "(.*)"\.\n.*: "\[(.*)\]"', re.DOTALL)
_NOT_ITERABLE = re.compile(r"'(\w+)' object is not iterable")
_AT = re.compile(r' at "?\w+\.?([\w.\[\]]*)"?$')


def json_of(message: Message) -> bytes:
    """A message as JSON, without line breaks; a field that is not set is there with its default."""
    return json.dumps(writer_of(message.DESCRIPTOR)(message), ensure_ascii=False, separators=(",", ":")).encode()


def read_json(raw: bytes) -> Json:
    """The value of a JSON text.

    Raises:
        MalformedBodyError: if it is none, or names a key twice.
    """
    try:
        return json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} is no UTF-8"
    except RecursionError:
        problem = "it is nested too deeply"
    except ValueError as error:
        problem = str(error)
    raise MalformedBodyError(f"body is not JSON: {problem[:200]}", "send one JSON object, in UTF-8")


def message_of(
    binding: Binding, path: Mapping[str, str], query: Iterable[tuple[str, str]] = (), body: Json = None
) -> Message:
    """The message of a request.

    Args:
        binding: says what is in the path and the body; the rest is in the query.
        path: fields from the path.
        query: names and values: paths of fields (`filter.match.field`), messages as JSON (`filter={"match": …}`).
        body: the body's JSON; None if there is none.

    Raises:
        MalformedBodyError: if the body is not such a message, or says otherwise than the path.
        InvalidQueryError: if the query names a field that is not there, or has no such value.
    """
    message: Message = binding.request()
    if body is not None:
        _merge(message, body if binding.body == "*" else {binding.body: body}, MalformedBodyError)
    asked: dict[str, Json] = {}
    for name, value in query:
        if binding.body == "*":
            raise InvalidQueryError(f"query parameter {name[:80]!r} says nothing", "put it into the body", field=name)
        _put(asked, binding, name, value)
    _merge(message, asked, InvalidQueryError)
    for name, value in path.items():
        said = getattr(message, name)
        if said and said != value:
            raise MalformedBodyError(
                f"the body says {said!r} and the path {value!r}", "leave it out of the body", field=name
            )
        _merge(message, {name: value}, InvalidQueryError)
    return message


def _merge(message: Message, value: Json, failure: type[InvalidQueryError | MalformedBodyError]) -> None:
    what = "message" if failure is MalformedBodyError else "query"
    if not isinstance(value, dict):
        raise failure(f"{what} is {type(value).__name__}, not an object", "send one JSON object")
    try:
        json_format.ParseDict(value, message)
    except json_format.ParseError as error:
        problem, remedy, field = _explained(str(error), message.DESCRIPTOR)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        problem, remedy, field = str(error), "", ""
    else:
        return
    raise failure(problem[:300], remedy or "see /openapi.json for the fields and their types", field=field[:100])


def _explained(said: str, kind: Any) -> tuple[str, str, str]:
    """Problem, remedy and field of what `json_format` says of a message, whose descriptor is `kind`."""
    if len(said) > _LONG:  # a name or a value of that length
        return said[:_LONG], "", ""
    within = _WITHIN.findall(said)
    said = _WITHIN.sub("", said).strip(". ")
    if unknown := _UNKNOWN.search(said):
        name, where, known = unknown.groups()
        field = ".".join(part for part in (where.partition(".")[2], name) if part)
        known = re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", known.replace("'", ""))
        place = _place_of(kind, name)
        return f"there is no field {name[:80]!r}", f"{f'it is {place}; ' if place else ''}there are {known}", field
    said = _NOT_ITERABLE.sub(r"an object is wanted, not \1", said)
    at = _AT.search(said)
    problem = said[: at.start()] if at else said
    return problem[:1].lower() + problem[1:].rstrip("."), "", at[1] if at else "".join(within[-1:])


def _place_of(kind: Any, name: str) -> str:
    """The shortest path to a field of this name, from a descriptor; "" if there is none."""
    paths, seen = deque([(kind, "")]), {kind.full_name}
    while paths:
        at, path = paths.popleft()
        if name in at.fields_by_name:
            return path + name
        for field in at.fields:
            if (below := field.message_type) and below.full_name not in seen and not below.GetOptions().map_entry:
                seen.add(below.full_name)
                paths.append((below, f"{path}{field.name}{'[]' if field.is_repeated else ''}."))
    return ""


def _put(asked: dict[str, Json], binding: Binding, name: str, text: str) -> None:
    """Put one parameter of the query into the object that is made of all."""
    at, kind = asked, binding.request.DESCRIPTOR
    steps = name.split(".")
    for row, step in enumerate(steps):
        field = kind.fields_by_name.get(step) or kind.fields_by_camelcase_name.get(step) if kind else None
        if field is None:
            known = ", ".join(kind.fields_by_name) if kind else "none below this one"
            raise InvalidQueryError(f"there is no field {name[:80]!r}", f"there are {known}", field=name[:80])
        if row == len(steps) - 1:
            value = _value(field, name, text)
            if field.is_repeated:
                at.setdefault(field.name, []).append(value)
                return
            if field.name in at:
                raise InvalidQueryError(f"query parameter {name[:80]!r} is given twice", "give it once", field=name)
            at[field.name] = value
            return
        kind = None if field.is_repeated or field.message_type is None else field.message_type
        at = at.setdefault(field.name, {})
        if not isinstance(at, dict):
            raise InvalidQueryError(f"query parameter {name[:80]!r} is given twice", "give it once", field=name)


def _value(field: FieldDescriptor, name: str, text: str) -> Json:
    """The JSON of a parameter's text: messages are JSON already, but times and durations are texts."""
    if field.type == FieldDescriptor.TYPE_BOOL:
        if text in ("true", "false"):
            return text == "true"
        raise InvalidQueryError(f"{text[:80]!r} is neither true nor false", "give one of them", field=name)
    kind = field.message_type
    if kind is None or kind.full_name in ("google.protobuf.Timestamp", "google.protobuf.Duration"):
        return text
    try:
        return read_json(text.encode())
    except (MalformedBodyError, UnicodeEncodeError) as error:
        raise InvalidQueryError(
            f"{text[:80]!r} is not JSON ({str(error)[:80]})", "give the message as JSON", field=name
        ) from None


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_number(name: str) -> Json:
    raise ValueError(f"{name} is no number of JSON")
