"""Tenants never meet: what one is answered is what a server answers that has no other, whatever ids it names.

Both tenants call one server that they share; each call is made again of a server with that tenant alone, which has
seen the same calls. Ids, users, versions, trainings, page tokens and request ids are those of both, and of neither.
"""

import base64
import io
import itertools
import json
import math
import re
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.backup.manifest import Taken
from engine.backup.take import State, take
from engine.core.errors import StoreError
from engine.core.filters import FieldKind
from engine.encode.batching import MicroBatcher
from engine.encode.text_cache import TextEmbeddingCache
from engine.events.database import Database
from engine.learn.jobs.trainings import Trainings
from engine.models.registry import Registry
from engine.models.serving import Serving
from engine.query.pipeline import Engine
from engine.service.access.access import Access
from engine.service.access.caller import EVERY_SCOPE, Caller
from engine.service.server import Server, ServerOptions
from engine.service.services import ADD_TO_SERVER, Tenant
from tests.learn.training_jobs import hungry
from tests.models.versions import LOADERS, make
from tests.service.running import item, open_edge, open_events, started
from tests.tiny import concept_space, concept_text
from triveni.v1 import (
    admin_pb2,
    catalog_pb2,
    content_pb2,
    encoder_pb2,
    event_pb2,
    item_pb2,
    model_pb2,
    recommendation_pb2,
)

A, B = "a", "b"
BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
METHODS = {
    f"/{service}/{method.name}": method
    for service in ADD_TO_SERVER
    for method in descriptor_pool.Default().FindServiceByName(service).methods
}

ITEMS = ("both/bird", "both/car", "a/cat", "b/dog", "none")
USERS = ("both", "of-a", "of-b", "nobody")
EVENTS = ("e1", "e2", "e-a", "e-b")
VERSIONS = ("common", "only-a", "only-b", "never", "untrained")
REQUESTS = ("r1", "r2")
CONCEPTS = ("bird", "car", "cat", "dog")


class Named(Access):
    """Knows the tenants' credentials: their names."""

    def admit(self, scope, headers) -> Caller:
        name = dict(headers).get("x-api-key", "")
        return Caller(name, name, EVERY_SCOPE)


@dataclass
class World:
    """A server, and what it told its tenants: page tokens and training ids, in the order of the calls."""

    server: Server
    channel: grpc.Channel
    tenants: Mapping[str, Tenant]
    told: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def call(self, tenant: str, method: str, requests: list[Message], request_id: str) -> Any:
        """What a call answers, as JSON: messages, or why not."""
        described = METHODS[method]
        response = message_factory.GetMessageClass(described.output_type)
        kinds = {
            (False, False): "unary_unary",
            (False, True): "unary_stream",
            (True, False): "stream_unary",
            (True, True): "stream_stream",
        }
        kind = kinds[described.client_streaming, described.server_streaming]
        make_call = getattr(self.channel, kind)(
            method, lambda message: message.SerializeToString(), response.FromString
        )
        sent = iter(requests) if described.client_streaming else requests[0]
        metadata = (("x-api-key", tenant), ("x-request-id", request_id))
        try:
            answer = make_call(sent, timeout=30, metadata=metadata)
            answers = list(answer) if described.server_streaming else [answer]
        except grpc.RpcError as error:
            return [error.code().name, error.details()]
        if method.endswith("/Backup"):
            return _archived(b"".join(one.data for one in answers))
        for one in answers:
            self._note(tenant, method, one)
        return [_plain(one) for one in answers]

    def _note(self, tenant: str, method: str, answer: Message) -> None:
        if token := getattr(answer, "next_page_token", ""):
            self.told.setdefault((tenant, method), []).append(token)
        if method.endswith("/TrainModel"):
            self.told.setdefault((tenant, "training"), []).append(answer.training.id)


def _plain(answer: Message) -> Any:
    """What it says, without what the clock or chance decides."""
    text = json.dumps(MessageToDict(answer), sort_keys=True)
    text = re.sub(r'"(indexTime|startTime|endTime|deleteTime|receiptId)": "[^"]*"', r'"\1": ""', text)
    text = re.sub(r"(\d{8}-\d{6}-\d{6})-[0-9a-f]{6}", r"\1", text)  # trainings: what is behind the time is drawn
    text = re.sub(r'"(values|vectors)": "([^"]*)"', lambda found: f'"{found[1]}": {_floats(found[2])}', text)
    said = json.loads(text)
    said.pop("scrubbed", None)  # says whether there was time
    if "trainings" in said:
        said["nextPageToken"] = bool(said.get("nextPageToken"))  # holds what is drawn
    return said


def _archived(raw: bytes) -> Any:
    """What a backup holds; served lists are written in their own time."""
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        described = archive.extractfile("manifest.json")
        assert described
        counts = json.load(described)["counts"]
        return [
            sorted(archive.getnames()),
            {name: count for name, count in counts.items() if "impression" not in name},
        ]


def _floats(encoded: str) -> list[float]:
    return np.frombuffer(base64.b64decode(encoded), np.float32).tolist()


def alike(one: Any, other: Any) -> bool:
    """Whether two answers say the same; numbers differ a little with the moment and with what is encoded together."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-5)
    return bool(one == other)


class Worlds:
    """The server that both share, and for each tenant one where it is alone."""

    def __init__(self, shared: World, alone: Mapping[str, World]) -> None:
        self.shared, self.alone = shared, alone

    def same(self, tenant: str, method: str, requests: list[Message], request_id: str = "r1") -> Any:
        """What both worlds answer a tenant."""
        here = self.shared.call(tenant, method, [self._named(one, self.shared) for one in requests], request_id)
        there = self.alone[tenant].call(
            tenant, method, [self._named(one, self.alone[tenant]) for one in requests], request_id
        )
        assert alike(here, there), (tenant, method, requests, here, there)
        return here

    def _named(self, request: Message, world: World) -> Message:
        """The request with the page token or training that it stands for: `@OWNER KIND NUMBER`.

        What a world told its own tenant differs, as a part of it is drawn; of the other's, what the shared one told.
        """
        named = type(request)()
        named.CopyFrom(request)
        for name in ("page_token", "training_id"):
            said = getattr(request, name, "")
            if said.startswith("@"):
                owner, kind, number = said[1:].split()
                told = (world if owner in world.tenants else self.shared).told.get((owner, kind), [])
                setattr(named, name, told[int(number) % len(told)] if told else "none")
        return named


@contextmanager
def tenant(name: str, folder: Path) -> Iterator[Tenant]:
    """Items, versions and a training that runs, until the end: of both names, and of the tenant's own."""
    space = concept_space()
    odd = timedelta(microseconds=[A, B].index(name))  # so that no two trainings have one time
    times = (BEGIN + odd + timedelta(minutes=row) for row in itertools.count())
    over = threading.Event()

    def wait() -> None:
        over.wait()
        raise StoreError("over", "-")  # so that no process is started at the end

    with ExitStack() as opened:
        store = open_edge(folder / "items", space)
        store.index_fields({"popularity": FieldKind.FLOAT})
        opened.callback(store.close)
        events = open_events(folder, store)
        opened.callback(events.close)
        registry = Registry(folder / "models", clock=lambda: next(times))
        serving = Serving(registry, LOADERS, space.fingerprint)
        for version in ("common", f"only-{name}"):
            make(registry, "bird" if name == A else "car", version)
        serving.start()
        opened.callback(serving.close)
        trainings = Trainings(
            registry.path / ".trainings", hungry, serving, keep=5, prepare=wait, clock=lambda: next(times)
        )
        opened.callback(trainings.close)
        opened.callback(over.set)
        encoder = MicroBatcher(space)
        opened.callback(encoder.close)
        engine = Engine(TextEmbeddingCache(encoder), space.manifest, store, models=serving)

        def backup() -> Iterator[bytes]:
            taken = Taken(triveni="0", created=BEGIN, space="tiny", media_root=None, settings="")
            with closing(Database(f"sqlite:///{folder / 'events.db'}")) as database:
                yield from take(State(store, database, registry), taken, folder / "models" / ".backup")

        yield Tenant(engine, encoder, store, events, serving, trainings, backup=backup)


@contextmanager
def world(folder: Path, *names: str) -> Iterator[World]:
    with ExitStack() as opened:
        tenants = {}
        for name in names:
            own = folder / name
            own.mkdir(parents=True)
            tenants[name] = opened.enter_context(tenant(name, own))
        options = ServerOptions(address="127.0.0.1:0", drain_seconds=5)
        server = Server(tenants, concept_space(), options, access=Named())
        opened.enter_context(started(server))
        yield World(server, opened.enter_context(grpc.insecure_channel(f"127.0.0.1:{server.port}")), tenants)


def stored(key: str, text: str, note: str) -> item_pb2.Item:
    """An item whose text and popularity no other has, so that no order of two is a matter of chance."""
    return item(key, text=f"{text} {key}", popularity=ITEMS.index(key), note=note)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    folder = Path(tmp_path_factory.mktemp("tenants"))
    with (
        world(folder / "shared", A, B) as shared,
        world(folder / "alone-a", A) as alone_a,
        world(folder / "alone-b", B) as alone_b,
    ):
        made = Worlds(shared, {A: alone_a, B: alone_b})
        for name, own in ((A, {"both/bird": "bird", "a/cat": "cat"}), (B, {"both/bird": "dog", "b/dog": "dog"})):
            upserts = [
                catalog_pb2.UpsertItemsRequest(item=stored(key, concept_text(concept).text, name))
                for key, concept in {**own, "both/car": "car"}.items()
            ]
            made.same(name, "/triveni.v1.CatalogService/UpsertItems", upserts)
            made.same(name, "/triveni.v1.ModelService/TrainModel", [model_pb2.TrainModelRequest(seed=1)])
            for one in (shared, made.alone[name]):
                until_running(one.tenants[name].trainings)
        yield made


# Calls ------------------------------------------------------------------------------------------------------


def until_running(trainings: Trainings | None) -> None:
    assert trainings
    end = time.monotonic() + 60
    while trainings.all()[0].stage != "reading the catalogue":
        assert time.monotonic() < end
        time.sleep(0.01)


contents = st.sampled_from(CONCEPTS).flatmap(
    lambda concept: st.integers(0, 2).map(lambda seed: content_pb2.Content(text=concept_text(concept, seed).text))
)
numbers = st.integers(0, 5)
whose = st.sampled_from((A, B))


def message(made: type[Message], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    return st.fixed_dictionaries(fields).map(lambda said: made(**said))


def told(kind: str) -> st.SearchStrategy[str]:
    """Stands for something that a server told one of the tenants."""
    return st.tuples(whose, numbers).map(lambda one: f"@{one[0]} {kind} {one[1]}")


def tokens(method: str) -> st.SearchStrategy[str]:
    return st.just("") | told(f"/triveni.v1.{method}")


def one(request: st.SearchStrategy[Message]) -> st.SearchStrategy[list[Message]]:
    return request.map(lambda message: [message])


def time_of(minutes: int) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(BEGIN + timedelta(minutes=minutes))
    return found


events = message(
    event_pb2.Event,
    kind=st.sampled_from([event_pb2.EVENT_KIND_CLICK, event_pb2.EVENT_KIND_LIKE, event_pb2.EVENT_KIND_DISLIKE]),
    item_id=st.sampled_from(ITEMS),
    time=numbers.map(time_of),
    id=st.sampled_from(EVENTS),
    request_id=st.sampled_from(("", *REQUESTS)),
)
user_events = message(event_pb2.UserEvent, user_id=st.sampled_from(USERS), event=events)
parts = st.lists(
    message(recommendation_pb2.QueryPart, content=contents)
    | message(recommendation_pb2.QueryPart, item_id=st.sampled_from(ITEMS)),
    max_size=2,
)
users, items_, versions = st.sampled_from(USERS), st.sampled_from(ITEMS), st.sampled_from(VERSIONS)
sizes = st.integers(0, 2)

CASES: dict[str, st.SearchStrategy[list[Message]]] = {
    "RecommendationService/Recommend": one(
        message(
            recommendation_pb2.RecommendRequest,
            user_id=users,
            parts=parts,
            history=st.lists(events, max_size=2),
            model=st.just("") | versions,
            policy=message(
                recommendation_pb2.PolicyOptions,
                exclude_item_ids=st.lists(items_, max_size=1),
                include_seen=st.booleans(),
            ),
        )
    ),
    "RecommendationService/Search": one(
        message(recommendation_pb2.SearchRequest, parts=parts, model=st.just("") | versions)
    ),
    "CatalogService/UpsertItems": st.lists(
        message(
            catalog_pb2.UpsertItemsRequest,
            item=st.builds(stored, items_, contents.map(lambda content: content.text), st.sampled_from("xy")),
        ),
        min_size=1,
        max_size=3,
    ),
    "CatalogService/GetItem": one(message(catalog_pb2.GetItemRequest, item_id=items_, include_vectors=st.booleans())),
    "CatalogService/ListItems": one(
        message(catalog_pb2.ListItemsRequest, page_size=sizes, page_token=tokens("CatalogService/ListItems"))
    ),
    "CatalogService/DeleteItems": one(message(catalog_pb2.DeleteItemsRequest, item_ids=st.lists(items_, max_size=2))),
    "EncoderService/Encode": one(message(encoder_pb2.EncodeRequest, contents=st.lists(contents, max_size=2))),
    "EventService/RecordEvents": one(
        message(event_pb2.RecordEventsRequest, events=st.lists(user_events, min_size=1, max_size=3))
    ),
    "EventService/StreamEvents": st.lists(
        message(event_pb2.StreamEventsRequest, event=user_events), min_size=1, max_size=3
    ),
    "EventService/GetHistory": one(
        message(
            event_pb2.GetHistoryRequest, user_id=users, page_size=sizes, page_token=tokens("EventService/GetHistory")
        )
    ),
    "EventService/DeleteUser": one(message(event_pb2.DeleteUserRequest, user_id=users)),
    "AdminService/Backup": one(st.just(admin_pb2.BackupRequest())),
    "ModelService/ListModels": one(
        message(model_pb2.ListModelsRequest, page_size=sizes, page_token=tokens("ModelService/ListModels"))
    ),
    "ModelService/GetModel": one(message(model_pb2.GetModelRequest, version=st.just("") | versions)),
    "ModelService/PromoteModel": one(message(model_pb2.PromoteModelRequest, version=versions)),
    "ModelService/RollbackModel": one(st.just(model_pb2.RollbackModelRequest())),
    "ModelService/TrainModel": one(message(model_pb2.TrainModelRequest, seed=numbers)),
    "ModelService/GetTraining": one(message(model_pb2.GetTrainingRequest, training_id=told("training"))),
    "ModelService/ListTrainings": one(
        message(model_pb2.ListTrainingsRequest, page_size=sizes, page_token=tokens("ModelService/ListTrainings"))
    ),
    "ModelService/CancelTraining": one(message(model_pb2.CancelTrainingRequest, training_id=told("training"))),
}
"""What each method is asked."""


def test_every_method_is_tried() -> None:
    assert {f"/triveni.v1.{name}" for name in CASES} == METHODS.keys()


def calls(name: str) -> st.SearchStrategy[tuple[str, str, list[Message], str]]:
    return st.tuples(whose, st.just(f"/triveni.v1.{name}"), CASES[name], st.sampled_from(REQUESTS))


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=6)
@given(data=st.data())
def test_a_tenant_is_answered_as_if_it_were_alone(worlds: Worlds, name: str, data: st.DataObject) -> None:
    """Each method, after some others of both tenants."""
    for _ in range(data.draw(st.integers(0, 3))):
        worlds.same(*data.draw(st.sampled_from(list(CASES)).flatmap(calls)))
    worlds.same(*data.draw(calls(name)))


def test_in_the_end_each_has_what_it_would_have_alone(worlds: Worlds) -> None:
    def held(world: World, name: str) -> tuple[object, ...]:
        assert world.server.services[name].impressions.flush(20)
        own = world.tenants[name]
        events = [(event.user, event.event.id, event.event.item) for event in own.events.export()]
        lists = [(served.impression.request_id, served.impression.items) for served in own.events.impressions()]
        points = [(point.id, point.payload["note"]) for point in own.store.scroll(limit=100).points]
        return events, sorted(lists), points

    for name in (A, B):
        assert held(worlds.shared, name) == held(worlds.alone[name], name)


def test_a_credential_of_no_tenant_is_refused_by_every_method(worlds: Worlds) -> None:
    for method, described in METHODS.items():
        request = message_factory.GetMessageClass(described.input_type)()
        for other in ("", "c", "A", "a/../b"):
            code, said = worlds.shared.call(other, method, [request], "r")
            assert (code, f"{other!r}" in said or "no tenant" in said) == ("PERMISSION_DENIED", True)
