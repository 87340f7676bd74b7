"""Which HTTP request is which RPC: read from the `google.api.http` annotations of the proto files.

Templates are those of google/api/http.proto, without field paths: `{name}` is one segment of the path, `{name=**}`
all that follow. Each may hold anything, percent-encoded.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from google.api import annotations_pb2, http_pb2  # type: ignore[attr-defined]
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor

from engine.core.errors import InvalidQueryError

_VARIABLE = re.compile(r"\{(\w+)(=\*{1,2})?\}")


@dataclass(frozen=True, slots=True)
class Binding:
    """One HTTP form of an RPC."""

    rpc: MethodDescriptor
    verb: str
    """GET, POST, DELETE …"""
    template: str
    """Of the path, such as /v1/items/{item_id=**}."""
    body: str
    """What the body is: "*" the whole message, a field's name that field, "" nothing."""
    pattern: re.Pattern[str]
    """Matches the path, still percent-encoded."""
    request: Any
    """The class of its request."""
    response: Any
    """The class of its response."""
    first: bool
    """Whether it is the RPC's own form, and no other beside it."""

    @property
    def method(self) -> str:
        """The name under which gRPC calls it."""
        return f"/{self.rpc.containing_service.full_name}/{self.rpc.name}"

    @property
    def variables(self) -> tuple[str, ...]:
        """The fields that the path holds."""
        return tuple(self.pattern.groupindex)

    def read_path(self, raw_path: str) -> dict[str, str] | None:
        """The fields that a path holds; None if it is not of this template.

        Args:
            raw_path: percent-encoded.

        Raises:
            InvalidQueryError: if a field is no UTF-8.
        """
        found = self.pattern.fullmatch(raw_path)
        return found and {name: _decoded(name, raw) for name, raw in found.groupdict().items()}


def bindings(services: Iterable[str]) -> list[Binding]:
    """The HTTP forms of all RPCs of some services, by their full names, in the order of the proto files."""
    pool = descriptor_pool.Default()
    return [
        binding
        for service in services
        for rpc in pool.FindServiceByName(service).methods
        for binding in bindings_of(rpc, rpc.GetOptions().Extensions[annotations_pb2.http])
    ]


def bindings_of(rpc: MethodDescriptor, rule: http_pb2.HttpRule) -> Iterator[Binding]:
    """The HTTP forms that a rule gives an RPC; none if the rule is empty."""
    request, response = (message_factory.GetMessageClass(one) for one in (rpc.input_type, rpc.output_type))
    for one in (rule, *rule.additional_bindings):
        verb = one.WhichOneof("pattern")
        if verb:
            template = getattr(one, verb)
            yield Binding(rpc, verb.upper(), template, one.body, _pattern(template), request, response, one is rule)


def by_template(all_bindings: Iterable[Binding]) -> Mapping[str, list[Binding]]:
    """The bindings of each template; those that end in a word come before those that end in anything."""
    found: dict[str, list[Binding]] = {}
    for binding in sorted(all_bindings, key=lambda one: one.template.endswith("}")):
        found.setdefault(binding.template, []).append(binding)
    return found


def _pattern(template: str) -> re.Pattern[str]:
    parts = []
    end = 0
    for found in _VARIABLE.finditer(template):
        parts.append(re.escape(template[end : found.start()]))
        parts.append(f"(?P<{found[1]}>{'.*' if found[2] == '=**' else '[^/]+'})")
        end = found.end()
    return re.compile("".join([*parts, re.escape(template[end:])]), re.DOTALL)


def _decoded(name: str, raw: str) -> str:
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise InvalidQueryError(f"{raw[:80]!r} is no UTF-8", "percent-encode UTF-8 in the path", field=name) from None
