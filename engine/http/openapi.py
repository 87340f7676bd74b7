"""The OpenAPI document (3.1) of the door, made from the descriptors, with the comments of the proto files."""

import json
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from engine.http.bindings import Binding
from engine.http.body import JSON, LINES, MESSAGE_PART, MULTIPART
from engine.http.examples import EXAMPLES
from engine.http.problems import MEDIA_TYPE

Schema = dict[str, Any]

ABOUT = """Every call of the gRPC services of `triveni.v1`, over HTTP/JSON.

JSON is protobuf's: bytes are base64, 64-bit numbers are texts, enums are names. Calls that stream take and answer
lines (NDJSON). The header `X-Request-Timeout` gives a call so many seconds; `X-Request-Id` names it in the logs.
Errors are `application/problem+json` with a reason and a remedy; a stream that has begun ends with such a line,
`{"error": …}`."""

_WELL_KNOWN: Mapping[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"},
    "google.protobuf.Struct": {"type": "object"},
}
_PLAIN: Mapping[int, Schema] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "minimum": -(1 << 31), "maximum": (1 << 31) - 1},
    FieldDescriptor.TYPE_INT64: {"type": ["string", "integer"], "format": "int64", "pattern": "^-?[0-9]{1,18}$"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
}
_CREDENTIALS: Mapping[str, Schema] = {
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}
"""Where a server asks for one."""
_PROBLEM_NAME = "HttpProblem"  # triveni.v1 has a Problem of its own
_PROBLEM: Schema = {
    "type": "object",
    "description": "Why a request failed (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code", "reason", "remedy"],
    "properties": {
        "type": {"type": "string", "description": "A name of this kind of problem."},
        "title": {"type": "string"},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What is wrong, the value, and what to do."},
        "code": {"type": "string", "description": "The gRPC status, such as INVALID_ARGUMENT."},
        "reason": {"type": "string", "description": "The kind of problem, one word in capitals, such as LIMIT."},
        "remedy": {"type": "string", "description": "What to do about it; empty where there is nothing to do."},
        "errors": {
            "type": "array",
            "description": "The fields at fault.",
            "items": {
                "type": "object",
                "required": ["field", "description"],
                "properties": {"field": {"type": "string"}, "description": {"type": "string"}},
            },
        },
        "retry_after": {"type": "number", "description": "Seconds after which it may be tried again."},
        "request_id": {"type": "string"},
    },
}


def document(all_bindings: Iterable[Binding]) -> Schema:
    """The document of some bindings."""
    return _Document().of(all_bindings)


def comments() -> dict[str, str]:
    """The comments of the proto files, by the full names of what they stand before."""
    raw = files("triveni.v1").joinpath("described.binpb").read_bytes()
    found: dict[str, str] = {}
    for file in FileDescriptorSet.FromString(raw).file:
        for location in file.source_code_info.location:
            text = " ".join(location.leading_comments.split())
            if text:
                at: Any = file
                names = [file.package]
                for step in location.path:  # numbers of fields, and positions in them
                    at = at[step] if not hasattr(at, "DESCRIPTOR") else _field(at, step)
                    if hasattr(at, "name"):
                        names.append(at.name)
                found[".".join(names)] = text
    return found


def _field(message: Any, number: int) -> Any:
    return getattr(message, message.DESCRIPTOR.fields_by_number[number].name)


class _Document:
    """Collects the schemas that the paths name."""

    def __init__(self) -> None:
        self._comments = comments()
        self._schemas: dict[str, Schema] = {_PROBLEM_NAME: _PROBLEM}

    def of(self, all_bindings: Iterable[Binding]) -> Schema:
        paths: dict[str, Schema] = {}
        tags: dict[str, Schema] = {}
        for binding in all_bindings:
            service = binding.rpc.containing_service
            tags[service.name] = {"name": service.name, "description": self._comments.get(service.full_name, "")}
            path = re.sub(r"\{(\w+)=\*+\}", r"{\1}", binding.template)
            paths.setdefault(path, {})[binding.verb.lower()] = self._operation(binding)
        return {
            "openapi": "3.1.0",
            "info": {"title": "Triveni", "version": "v1", "description": ABOUT, "license": {"name": "Apache-2.0"}},
            "tags": list(tags.values()),
            "paths": paths,
            "components": {"schemas": dict(sorted(self._schemas.items())), "securitySchemes": _CREDENTIALS},
            "security": [{}, *({name: []} for name in _CREDENTIALS)],
        }

    def _operation(self, binding: Binding) -> Schema:
        rpc = binding.rpc
        comment = self._comments.get(rpc.full_name, "")
        first = re.match(r".*?[.](?= |$)", comment)
        again = "" if binding.first else "_" + re.sub(r"\W+", "_", binding.template).strip("_")
        operation: Schema = {
            "operationId": rpc.name + again,
            "tags": [rpc.containing_service.name],
            "summary": first[0].rstrip(".") if first else rpc.name,
            "description": comment,
            "parameters": [self._path_parameter(binding, name) for name in binding.variables],
            "responses": {
                "200": {
                    "description": "The answer." if not rpc.server_streaming else "Answers, one on each line.",
                    "content": self._lines(rpc.output_type)
                    if rpc.server_streaming
                    else {JSON: {"schema": self._ref(rpc.output_type)}},
                },
                "default": {
                    "description": "Why there is none.",
                    "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{_PROBLEM_NAME}"}}},
                },
            },
        }
        if binding.body:
            operation["requestBody"] = self._body(binding)
        else:
            rest = (one for one in rpc.input_type.fields if one.name not in binding.variables)
            operation["parameters"] += [self._query_parameter(one) for one in rest]
        return operation

    def _path_parameter(self, binding: Binding, name: str) -> Schema:
        field = binding.rpc.input_type.fields_by_name[name]
        schema = {**self._value(field), "minLength": 1}
        return {"name": name, "in": "path", "required": True, "schema": schema, **self._described(field)}

    def _query_parameter(self, field: FieldDescriptor) -> Schema:
        parameter: Schema = {"name": field.name, "in": "query", **self._described(field)}
        schema = self._schema(field)
        if field.message_type is None or field.message_type.full_name in _WELL_KNOWN:
            return {**parameter, "schema": schema}
        return {**parameter, "content": {JSON: {"schema": schema}}}

    def _body(self, binding: Binding) -> Schema:
        kind = binding.rpc.input_type
        if binding.rpc.client_streaming:
            example = "\n".join(json.dumps(one) for one in EXAMPLES.get(binding.rpc.name, ()))
            return {"required": True, "content": self._lines(kind, example=example)}
        schema = self._ref(kind)
        if binding.variables:
            schema = self._message(kind, leave_out=binding.variables)
        content: Schema = {JSON: {"schema": schema, "example": EXAMPLES.get(binding.rpc.name, {})}}
        if _has_bytes(kind, set()):
            content[MULTIPART] = {
                "schema": {
                    "type": "object",
                    "description": f"The message without its pictures and sounds as JSON in the part "
                    f"`{MESSAGE_PART}`, and these as files in parts that are named for where they go, "
                    f"such as `{_example(kind)}`.",
                    "properties": {MESSAGE_PART: {"type": "string", "contentMediaType": JSON}},
                    "additionalProperties": {"type": "string", "contentMediaType": "application/octet-stream"},
                }
            }
        return {"required": any(name not in binding.variables for name in kind.fields_by_name), "content": content}

    def _lines(self, kind: Descriptor, **more: str) -> Schema:
        """A body of lines. Only OpenAPI 3.2 has a word for what each of them is, `itemSchema`."""
        schema = {"type": "string", "description": f"Lines of JSON, each a `{kind.name}`."}
        return {LINES[0]: {"schema": schema, "x-itemSchema": self._ref(kind), **more}}

    def _ref(self, kind: Descriptor | EnumDescriptor) -> Schema:
        """A reference to the schema of a message or enum, which is made if there is none yet."""
        if kind.name not in self._schemas:
            self._schemas[kind.name] = {}  # messages may hold themselves
            self._schemas[kind.name] = self._message(kind) if isinstance(kind, Descriptor) else self._enum(kind)
        return {"$ref": f"#/components/schemas/{kind.name}"}

    def _message(self, kind: Descriptor, leave_out: Iterable[str] = ()) -> Schema:
        fields = [field for field in kind.fields if field.name not in leave_out]
        schema: Schema = {
            "type": "object",
            **self._described(kind),
            "properties": {field.name: {**self._schema(field), **self._described(field)} for field in fields},
            "additionalProperties": False,
        }
        choices = [one for one in kind.oneofs if len(one.fields) > 1]
        if choices and len(choices[0].fields) == len(kind.fields):
            schema["maxProperties"] = 1
        for one in choices:
            names = ", ".join(field.name for field in one.fields)
            schema["description"] = f"{schema.get('description', '')} Only one of {names}.".strip()
        return schema

    def _enum(self, kind: EnumDescriptor) -> Schema:
        values = [f"- `{one.name}`: {self._comments.get(_value_name(one), '')}" for one in kind.values]
        text = "\n".join([self._comments.get(kind.full_name, ""), "", *values])
        return {"type": "string", "enum": [one.name for one in kind.values], "description": text}

    def _schema(self, field: FieldDescriptor) -> Schema:
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            return {"type": "object", "additionalProperties": self._value(kind.fields_by_name["value"])}
        value = self._value(field)
        return {"type": "array", "items": value} if field.is_repeated else value

    def _value(self, field: FieldDescriptor) -> Schema:
        if field.enum_type is not None:
            return self._ref(field.enum_type)
        if field.message_type is None:
            return dict(_PLAIN[field.type])
        return dict(_WELL_KNOWN.get(field.message_type.full_name) or self._ref(field.message_type))

    def _described(self, what: Any) -> Schema:
        text = self._comments.get(what.full_name)
        return {"description": text} if text else {}


def _value_name(value: Any) -> str:
    """The name of an enum's value, as `comments` has it: below its enum."""
    return f"{value.type.full_name}.{value.name}"


def _has_bytes(kind: Descriptor, seen: set[str]) -> bool:
    """Whether a message holds bytes, itself or further down."""
    if kind.full_name in seen:
        return False
    seen.add(kind.full_name)
    return any(
        field.type == FieldDescriptor.TYPE_BYTES or (field.message_type and _has_bytes(field.message_type, seen))
        for field in kind.fields
    )


def _example(kind: Descriptor) -> str:
    """Where a picture may go in a message."""
    for field in kind.fields:
        if field.message_type and _has_bytes(field.message_type, set()):
            return f"{field.name}{'[0]' if field.is_repeated else ''}.{_example(field.message_type)}"
    return next(field.name for field in kind.fields if field.type == FieldDescriptor.TYPE_BYTES)
