"""A real server on loopback, in a thread of its own, over a real store and a tiny but real space."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from encoders.spaces.space import Space
from engine.core.filters import FieldKind
from engine.encode.batching import MicroBatcher
from engine.encode.encoding import ContentEncoder
from engine.events.base import EventStore
from engine.events.known import CatalogItems
from engine.events.sql import SqlEventStore
from engine.learn.jobs.trainings import Trainings
from engine.models.serving import Serving
from engine.query.pipeline import Engine
from engine.query.settings import RetrieveSettings
from engine.service.access.access import Access
from engine.service.access.tls import TlsFiles
from engine.service.admin import Backup
from engine.service.logs import UserNames
from engine.service.metrics import Metrics
from engine.service.quotas.quotas import Quotas
from engine.service.server import Door, Server, ServerOptions
from engine.service.services import Tenant
from engine.service.tracing import Tracing
from engine.store.base import VectorStore
from engine.store.edge import EdgeStore
from triveni.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    content_pb2,
    encoder_pb2_grpc,
    event_pb2_grpc,
    item_pb2,
    model_pb2_grpc,
    recommendation_pb2_grpc,
)

SCHEMA = {"category": FieldKind.KEYWORD, "price": FieldKind.FLOAT, "year": FieldKind.INTEGER}


def open_edge(folder: Path, space: Space) -> EdgeStore:
    """The embedded store with the fields that the tests filter on."""
    store = EdgeStore(
        folder,
        fingerprint=space.fingerprint,
        dimension=space.dimension,
        modalities=space.modalities,
        optimize_after=0,
    )
    store.index_fields(SCHEMA)
    return store


def open_events(folder: Path, store: VectorStore | None = None) -> SqlEventStore:
    """An event store beside it; with a catalogue, events on other items are refused."""
    return SqlEventStore(f"sqlite:///{folder / 'events.db'}", known_items=CatalogItems(store) if store else None)


@dataclass
class Running:
    """A server that runs, and a client's stubs for it."""

    server: Server
    loop: asyncio.AbstractEventLoop
    tenant: Tenant
    space: Space
    ca: bytes | None = None
    """Whom the server's certificate is signed by, if it has one."""
    channel: grpc.Channel = field(init=False)

    def __post_init__(self) -> None:
        options = (("grpc.max_receive_message_length", -1),)
        self.channel = (
            grpc.secure_channel(self.address, grpc.ssl_channel_credentials(self.ca), options)
            if self.ca
            else grpc.insecure_channel(self.address, options)
        )
        self.recommendations = recommendation_pb2_grpc.RecommendationServiceStub(self.channel)
        self.catalog = catalog_pb2_grpc.CatalogServiceStub(self.channel)
        self.encoder = encoder_pb2_grpc.EncoderServiceStub(self.channel)
        self.events = event_pb2_grpc.EventServiceStub(self.channel)
        self.models = model_pb2_grpc.ModelServiceStub(self.channel)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    @property
    def store(self) -> VectorStore:
        return self.tenant.store

    @property
    def event_store(self) -> EventStore:
        return self.tenant.events

    def do(self, coroutine: Callable[[], object], timeout: float = 30) -> object:
        """Run a method of the server in its event loop."""
        return asyncio.run_coroutine_threadsafe(coroutine(), self.loop).result(timeout)  # type: ignore[arg-type]

    def upsert(self, items: Sequence[item_pb2.Item]) -> list[catalog_pb2.UpsertItemsResponse]:
        requests = (catalog_pb2.UpsertItemsRequest(item=item) for item in items)
        return list(self.catalog.UpsertItems(requests, timeout=30))


@contextmanager
def running(
    space: Space,
    store: VectorStore,
    events: EventStore,
    options: ServerOptions = ServerOptions(address="127.0.0.1:0"),  # noqa: B008 (frozen)
    *,
    wrap: Callable[[ContentEncoder], ContentEncoder] = lambda encoder: encoder,
    serving: Serving | None = None,
    trainings: Trainings | None = None,
    backup: Backup | None = None,
    doors: Sequence[Door] = (),
    metrics: Metrics | None = None,
    digests: Mapping[str, str] = MappingProxyType({}),
    tracing: Tracing | None = None,
    names: UserNames | None = None,
    quotas: Quotas | None = None,
    access: Access | None = None,
    tls: TlsFiles | None = None,
    ca: bytes | None = None,
    **parts: object,
) -> Iterator[Running]:
    """Start a server, and stop it at the end. `wrap` may wrap its encoder; `parts` are the engine's own.

    Calls may wait as long as they like: on a busy machine a few at once would be more than the server can carry.
    """
    options = options.model_copy(update={"queue_target": 60.0, "queue_burst": 60.0})
    batcher = MicroBatcher(space, max_batch=options.max_batch)
    encoder = wrap(batcher)
    settings = RetrieveSettings(max_limit=1000)
    engine = Engine(encoder, space.manifest, store, retrieve_settings=settings, models=serving, **parts)  # type: ignore[arg-type]
    tenant = Tenant(engine, encoder, store, events, serving, trainings, digests, backup)
    server = Server(
        {"": tenant},
        space,
        options,
        doors=doors,
        metrics=metrics,
        tracing=tracing,
        names=names,
        quotas=quotas,
        access=access,
        tls=tls,
    )
    try:
        with started(server) as loop:
            client = Running(server, loop, tenant, space, ca)
            try:
                yield client
            finally:
                client.channel.close()
    finally:
        batcher.close()


@contextmanager
def started(server: Server) -> Iterator[asyncio.AbstractEventLoop]:
    """Start a server in a thread of its own, and stop it at the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="server", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def item(item_id: str, *, text: str = "", image: bytes = b"", audio: bytes = b"", **payload: object) -> item_pb2.Item:
    """An item message."""
    message = item_pb2.Item(id=item_id)
    if text:
        message.contents.append(content_pb2.Content(text=text))
    if image:
        message.contents.append(content_pb2.Content(image=image))
    if audio:
        message.contents.append(content_pb2.Content(audio=audio))
    message.payload.update(payload)
    return message


@dataclass(frozen=True)
class Failure:
    """How a call failed, its details unpacked."""

    code: str
    message: str
    reason: str
    fields: dict[str, str]
    retry_seconds: float
    request_id: str


def failure(call: Callable[[], object]) -> Failure:
    """Make a call that must fail."""
    try:
        call()
    except grpc.RpcError as error:
        return unpack(error)
    raise AssertionError("the call did not fail")


def unpack(error: grpc.RpcError) -> Failure:
    """A failed call's status and details."""
    status: status_pb2.Status | None = rpc_status.from_call(error)
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.RequestInfo()
    bad, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in status.details if status else ():
        for message in (info, request, bad, retry):
            detail.Unpack(message)
    return Failure(
        error.code().name,
        error.details() or "",
        info.reason,
        {violation.field: violation.description for violation in bad.field_violations},
        retry.retry_delay.ToTimedelta().total_seconds(),
        request.request_id,
    )
