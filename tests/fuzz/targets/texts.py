"""The settings file, and requests over HTTP as far as they are read in plain Python: JSON, queries, paths, forms."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl

from engine.config.settings import load_settings
from engine.http.app import all_bindings
from engine.http.bindings import Binding
from engine.http.messages import json_of, message_of, read_json
from tests.fuzz.target import Target, in_file, outcome

EXAMPLE = Path(__file__).parents[3] / "triveni.example.toml"
BINDINGS = {f"{one.verb} {one.template}": one for one in all_bindings()}


def _settings() -> Mapping[str, bytes]:
    parts = EXAMPLE.read_text(encoding="utf-8").split("\n[")
    sections = {str(number): ("[" if number else "") + part for number, part in enumerate(parts)}
    plain = '[store]\npath = "x"\n[service]\ndrain_seconds = 1.5\n[index]\nfields = {a = "keyword"}\nignore = ["b"]\n'
    return {"plain": plain.encode(), **{number: text.encode() for number, text in sections.items()}}


def chosen(line: bytes) -> Binding:
    """The binding that a first line names, or any other."""
    names = list(BINDINGS)
    said = line.decode(errors="replace")
    return BINDINGS.get(said) or BINDINGS[names[sum(line) % len(names)]]


def _json() -> Callable[[bytes], str]:
    """The first line says which call, the second is its query, the rest its body."""

    def read(data: bytes) -> None:
        line, _, rest = data.partition(b"\n")
        query, _, body = rest.partition(b"\n")
        binding = chosen(line)
        path = dict.fromkeys(binding.variables, "x")
        try:
            asked = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
        except ValueError:
            asked = []
        message = message_of(
            binding, path, () if binding.body == "*" else asked, read_json(body) if binding.body else None
        )
        same = message_of(binding, path, body=json.loads(json_of(message))) if binding.body == "*" else message
        assert same.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True)

    return lambda data: outcome(lambda: read(data))


def bodies() -> Mapping[str, bytes]:
    """A request of each HTTP form of each call."""
    event = {
        "kind": "EVENT_KIND_RATE",
        "item_id": "a",
        "value": 4,
        "time": "2024-05-01T00:00:00Z",
        "context": {"a": "b"},
    }
    content = {"content": {"image": "iVBORw0KGgo="}, "weight": -1.5}
    match = {"match": {"field": "category", "value": {"string_value": "bird"}}}
    between = {"datetime_range": {"field": "at", "gte": "2024-05-01T00:00:00Z"}}
    filters = {
        "all_of": {"filters": [match, {"negated": between}, {"geo_radius": {"field": "p", "lat": 1, "radius_m": 9}}]}
    }
    parts = [{"content": {"text": "x"}}, content, {"item_id": "a"}]
    item = {"id": "a", "contents": [{"text": "x"}], "payload": {"a": [1, {"b": None}]}}
    known = {
        "POST /v1/search": {"parts": parts, "limit": 3, "filter": filters},
        "POST /v1/recommend": {
            "user_id": "u", "history": [event], "limit": 3, "modalities": ["MODALITY_TEXT", 2], "trace": True,
            "policy": {"diversity": 0.5, "max_per_value": {"category": 2}, "exclude_item_ids": ["a"]},
        },
        "POST /v1/items:upsert": {"item": item},
        "POST /v1/events:record": {"events": [{"user_id": "u", "event": event}]},
        "POST /v1/encode": {"contents": [{"text": "x"}, {"audio": "UklGRg=="}]},
        "POST /v1/items:delete": {"item_ids": ["a", "gone"]},
        "POST /v1/trainings": {"data_start_time": "2024-05-01T00:00:00Z", "promote": True, "seed": "7"},
    }  # fmt: skip
    found = {}
    for name, binding in BINDINGS.items():
        body = next((body for said, body in known.items() if name.startswith(said)), {})
        has = binding.request.DESCRIPTOR.fields_by_name
        asked = {
            "page_size": "page_size=3",
            "filter": "filter.match.field=year&filter.match.value=%7B%22int_value%22:1%7D",
        }
        query = "&".join(text for field, text in asked.items() if field in has and not binding.body)
        found[name.replace("/", "_")] = f"{name}\n{query}\n{json.dumps(body)}".encode()
    return found


TARGETS = {
    "settings": Target(in_file("x.toml", load_settings), _settings, 30, 2048),
    "json": Target(_json, bodies, 60),
}
