"""Requests to a real server over loopback: bytes as they are, messages made from the descriptors, and HTTP.

An input of the wire begins with the method's name on a line; then come the messages, each behind its length in four
bytes. So a message that `requests` made and that did harm is kept as an input of `wire`.
"""

import atexit
import http.client
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import quote

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from hypothesis import HealthCheck, given, settings

from engine.http.app import SERVICES
from engine.http.server import HttpServer
from engine.http.settings import HttpSettings
from engine.learn.jobs.trainings import Trainings
from engine.models.registry import Registry
from engine.models.serving import Serving
from engine.service.server import ServerOptions
from tests.fuzz.messages import encoded, hostile_json
from tests.fuzz.target import DEFECTS, OK, REGRESSIONS, Finding, Target
from tests.fuzz.targets.decoders import LIMITS
from tests.fuzz.targets.texts import bodies, chosen
from tests.learn.training_jobs import patient
from tests.models.versions import LOADERS, make
from tests.service.running import Running, item, open_edge, open_events, running
from tests.tiny import concept_png, concept_space, concept_text, concept_wav

MAX_MESSAGE = 1 << 18
SECONDS = 60
_ENDLESS = ("grpc.health.v1.Health.Watch",)
"""Calls that never end by themselves."""


def methods() -> Mapping[str, MethodDescriptor]:
    """All calls of the server, by the name that gRPC has for them."""
    pool = descriptor_pool.Default()
    names = (*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
             reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name)  # fmt: skip
    found = [one for name in names for one in pool.FindServiceByName(name).methods if one.full_name not in _ENDLESS]
    return {f"/{one.containing_service.full_name}/{one.name}": one for one in found}


METHODS = methods()


_RUNNING = ExitStack()


@atexit.register
def stop() -> None:
    """Stop the server; the next input starts another."""
    _RUNNING.close()
    server.cache_clear()


@cache
def server() -> tuple[Running, HttpServer]:
    """A server with items, events, a model, trainings and an HTTP door, for as long as this process lives."""
    stack = _RUNNING
    folder = Path(mkdtemp(prefix="triveni-fuzz-"))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    space = concept_space(limits=LIMITS)
    store = stack.enter_context(_closing(open_edge(folder / "items", space)))
    events = stack.enter_context(_closing(open_events(folder, store)))
    registry = Registry(folder / "models")
    version = make(registry, "bird").version
    serving = Serving(registry, LOADERS, space.fingerprint)
    serving.start()
    serving.promote(version)
    stack.callback(serving.close)
    trainings = Trainings(folder / "trainings", partial(patient, folder), serving, keep=5)
    stack.callback(trainings.close)
    door = HttpServer(HttpSettings(address="127.0.0.1:0"), max_message_bytes=MAX_MESSAGE)
    options = ServerOptions(address="127.0.0.1:0", max_message_bytes=MAX_MESSAGE, drain_seconds=2)
    run = stack.enter_context(
        running(space, store, events, options, serving=serving, trainings=trainings, doors=[door])
    )
    for price, concept in enumerate(("bird", "piano", "car")):
        fields = {"category": concept, "year": 1999 + price, "price": price}
        run.upsert(
            [
                item(f"{concept}/text", text=concept_text(concept).text, **fields),
                item(f"{concept}/image", image=concept_png(concept), **fields),
                item(f"{concept}/audio", audio=concept_wav(concept), **fields),
            ]
        )
    return run, door


def _closing(one: object) -> object:
    return closing(one)  # type: ignore[type-var]


def packed(method: str, messages: list[bytes]) -> bytes:
    """An input of the wire."""
    return method.encode() + b"\n" + b"".join(struct.pack(">I", len(one)) + one for one in messages)


def unpacked(data: bytes) -> tuple[str, list[bytes]]:
    """The method and the messages of an input; one whose name is damaged goes to any method."""
    line, _, rest = data.partition(b"\n")
    names = list(METHODS)
    name = line.decode(errors="replace")
    messages = []
    while rest:
        size = int.from_bytes(rest[:4], "big")
        messages.append(rest[4 : 4 + size])
        rest = rest[4 + size :]
    return name if name in METHODS else names[zlib.crc32(line) % len(names)], messages or [b""]


def call(method: str, messages: list[bytes]) -> str:
    """Make a call; gives its status.

    Raises:
        Finding: if it is one that no request may bring about, or there is none in time.
    """
    channel, one = server()[0].channel, METHODS[method]
    request: bytes | Iterator[bytes] = iter(messages) if one.client_streaming else messages[0]
    kinds = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }
    try:
        answer = kinds[one.client_streaming, one.server_streaming](method)(request, timeout=SECONDS)  # type: ignore[operator]
        if one.server_streaming:
            for raw in answer:
                _check_answers(method, raw)
        else:
            _check_answers(method, answer)
    except grpc.RpcError as error:
        code = error.code().name
        if code in (*DEFECTS, "DEADLINE_EXCEEDED", "UNAVAILABLE", "DATA_LOSS", "CANCELLED"):
            raise Finding(f"{method} answers {code}: {error.details()}") from None
        return code
    return OK


def _check_answers(method: str, raw: bytes) -> None:
    """Problems of single items have statuses too."""
    for status in DEFECTS:
        if raw.find(b"\n" + bytes([len(status)]) + status.encode()) >= 0:
            raise Finding(f"{method} answers {status} for an item: {raw[:300]!r}")


def _wire() -> Callable[[bytes], str]:
    return lambda data: call(*unpacked(data))


def _requests() -> Callable[[bytes], str]:
    """Messages by hypothesis; the input is what it chooses by."""
    said: list[str] = []

    @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck), max_examples=1)
    @given(encoded(METHODS))
    def one(made: tuple[str, list[bytes]]) -> None:
        try:
            said.append(call(*made))
        except Finding:
            raw = packed(*made)
            folder = REGRESSIONS / "wire"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"request-{zlib.crc32(raw):08x}").write_bytes(raw)
            raise

    def read(data: bytes) -> str:
        said.clear()
        one.hypothesis.fuzz_one_input(data)
        return said[-1] if said else "no message"

    return read


def _http() -> Callable[[bytes], str]:
    """The first line says which call, the second is its query, the third its path's variables, the rest its body."""
    connections: list[http.client.HTTPConnection] = []

    def read(data: bytes) -> str:
        line, _, rest = data.partition(b"\n")
        query, _, rest = rest.partition(b"\n")
        variable, _, body = rest.partition(b"\n")
        binding = chosen(line)
        path = binding.template
        for name in binding.variables:
            path = path.replace(f"{{{name}=**}}", quote(variable)).replace(
                f"{{{name}}}", quote(variable, safe="") or "x"
            )
        kind = "application/x-ndjson" if binding.rpc.client_streaming else "application/json"
        headers = {"content-type": kind, "x-request-timeout": str(SECONDS)}
        port = server()[1].port
        if not connections:
            connections.append(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS))
        try:
            asked = f"{path}?{quote(query, safe='=&%')}" if query else path
            connections[0].request(binding.verb, asked, hostile_json(body) if binding.body else None, headers)
            response = connections[0].getresponse()
            answer = response.read()
        except (http.client.HTTPException, OSError) as error:
            connections.clear()
            raise Finding(f"{binding.verb} {path[:200]} gets no answer: {error!r}") from error
        if response.headers.get("connection") == "close":
            connections.pop().close()
        if response.status >= 500 and response.status != 501:
            raise Finding(f"{binding.verb} {path[:200]} answers {response.status}: {answer[:300]!r}")
        if response.status >= 400 and response.headers["content-type"] != "application/problem+json":
            raise Finding(
                f"{binding.verb} {path[:200]} answers {response.status} as {response.headers['content-type']}"
            )
        return OK if response.status < 400 else str(response.status)

    return read


def _sent() -> Mapping[str, bytes]:
    """A message of each method with a bit of everything in it."""
    found = {}
    for method, one in METHODS.items():
        name = method.rpartition("/")[2]
        found[f"{name}-empty"] = packed(method, [b""])
        for row, sound in enumerate(_SOUND.get(name, ())):
            kind = message_factory.GetMessageClass(one.input_type)
            raw = json_format.ParseDict(sound, kind()).SerializeToString()
            found[f"{name}-{row}"] = packed(method, [raw, raw] if one.client_streaming else [raw])
    return found


_EVENT = {"kind": "EVENT_KIND_LIKE", "item_id": "bird/text", "time": "2024-05-01T00:00:00Z"}
_FILTER = {"all_of": {"filters": [{"match": {"field": "category", "value": {"string_value": "bird"}}},
                                  {"negated": {"range": {"field": "price", "gte": 1}}}]}}  # fmt: skip
_SOUND: Mapping[str, list[dict[str, object]]] = {
    "Search": [
        {
            "parts": [{"content": {"text": "bird"}}, {"item_id": "car/text", "weight": -1}],
            "limit": 3,
            "filter": _FILTER,
            "policy": {"max_false_positive_rate": 0.1},
        },
        {"parts": [{"content": {"text": "bird"}}], "page_token": "AAECAwQFBgcBAAZhczNKO2zoAAAAAAAAAAA="},
    ],
    "Recommend": [{"history": [_EVENT], "limit": 2, "user_id": "u", "trace": True, "policy": {"diversity": 0.5}}],
    "UpsertItems": [
        {"item": {"id": "a", "contents": [{"text": "x"}], "payload": {"price": 2, "deep": {"a": [None]}}}}
    ],
    "GetItem": [{"item_id": "bird/text"}],
    "ListItems": [{"filter": _FILTER, "page_size": 2}],
    "DeleteItems": [{"item_ids": ["a", "gone"]}],
    "Encode": [{"contents": [{"text": "bird"}, {"text": ""}]}],
    "RecordEvents": [{"events": [{"user_id": "u", "event": _EVENT}]}],
    "StreamEvents": [{"event": {"user_id": "u", "event": _EVENT}}],
    "GetHistory": [{"user_id": "u"}],
    "DeleteUser": [{"user_id": "v"}],
    "GetModel": [{}],
    "PromoteModel": [{"version": "gone"}],
    "TrainModel": [{"seed": "7", "data_start_time": "2024-05-01T00:00:00Z"}],
}


def _choices() -> Mapping[str, bytes]:
    return {str(size): bytes((size * 7 + row * 31) % 256 for row in range(size)) for size in (16, 64, 256, 1024)}


def _asked() -> Mapping[str, bytes]:
    found = {}
    for name, data in bodies().items():
        line, query, body = data.split(b"\n", 2)
        found[name] = b"\n".join((line, query, b"bird/text", body))
    return found


TARGETS = {
    "wire": Target(_wire, _sent, 60, max_bytes=8192),
    "requests": Target(_requests, _choices, 30),
    "http": Target(_http, _asked, 20),
}
