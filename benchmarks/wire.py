"""Recommend over gRPC against Recommend in process and a bare echo; run by `benchmarks.service`.

Every request is asked over gRPC, as a bare echo of bytes of the same sizes, as an echo that also parses and writes
the messages, and in process, by turns; the client is a process of its own. From round to round a person's history
moves on by five events.
"""

import asyncio
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.recommend import NOW, NoEncoder, build, user
from benchmarks.synthetic import catalogue
from encoders.spaces.space import Space, SpaceManifest
from engine.core.deadline import Deadline
from engine.core.types import Event
from engine.encode.encoding import ContentEncoder
from engine.events.base import EventStore
from engine.events.history import StoredHistory
from engine.events.sql import SqlEventStore
from engine.query.pipeline import Engine
from engine.service.access.access import Access
from engine.service.access.tls import TlsFiles
from engine.service.convert import recommend_query
from engine.service.convert.fields import timestamp
from engine.service.metrics import Metrics
from engine.service.server import Server, ServerOptions
from engine.service.services import Tenant
from engine.service.tracing import Tracing
from engine.store.base import VectorStore
from triveni.v1 import event_pb2, recommendation_pb2, recommendation_pb2_grpc

ANY_PORT = ServerOptions(address="127.0.0.1:0", drain_seconds=1, queue_burst=60)
Row = dict[str, Any]


@contextmanager
def serving(start: Callable[[], Any]) -> Iterator[Any]:
    """Run an event loop in a thread; `start` is a coroutine that starts what runs in it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(300)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


class NoSpace:
    """Stands for the space where there is nothing to encode."""

    modalities = ()

    def __init__(self, manifest: SpaceManifest) -> None:
        self.manifest = manifest
        self.dimension, self.fingerprint = manifest.dimension, manifest.fingerprint


class EmptyEncoder(NoEncoder):
    """There is nothing to encode, at the start of the server neither."""

    def encode(self, contents: Sequence[Any], deadline: Any) -> list[Any]:
        """Nothing for nothing."""
        return super().encode(contents, deadline) if contents else []


async def start_server(
    engine: Engine,
    encoder: ContentEncoder,
    store: VectorStore,
    events: EventStore,
    space: Space | NoSpace,
    metrics: Metrics | None = None,
    access: Access | None = None,
    tls: TlsFiles | None = None,
    tracing: Tracing | None = None,
) -> Server:
    """The service itself."""
    tenant = Tenant(engine, encoder, store, events)
    parts = {"metrics": metrics, "access": access, "tls": tls, "tracing": tracing}
    server = Server({"": tenant}, space, ANY_PORT, **parts)  # type: ignore[arg-type]
    await server.start()
    return server


async def start_echo(responses: Sequence[bytes]) -> tuple[int, Any]:
    """Bare gRPC: `raw` moves bytes, `typed` also parses the request and writes a response that is there already.

    The first request asks for the first response, and so on, round and round.
    """
    parsed = [recommendation_pb2.RecommendResponse.FromString(raw) for raw in responses]
    turn = {"raw": 0, "typed": 0}

    async def raw(request: bytes, context: Any) -> bytes:
        turn["raw"] += 1
        return responses[(turn["raw"] - 1) % len(responses)]

    async def typed(request: Any, context: Any) -> Any:
        turn["typed"] += 1
        return parsed[(turn["typed"] - 1) % len(parsed)]

    handlers = {
        "raw": grpc.unary_unary_rpc_method_handler(raw),
        "typed": grpc.unary_unary_rpc_method_handler(
            typed,
            recommendation_pb2.RecommendRequest.FromString,
            recommendation_pb2.RecommendResponse.SerializeToString,
        ),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Echo", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return port, server  # which would stop if nobody held it


def request_of(history: Sequence[Event]) -> bytes:
    """A RecommendRequest with these events."""
    events = [
        event_pb2.Event(
            kind=f"EVENT_KIND_{event.kind.name}",
            item_id=event.item,
            time=timestamp(event.time),
        )
        for event in history
        if event.item and event.time
    ]
    return recommendation_pb2.RecommendRequest(user_id="someone", history=events, limit=20).SerializeToString()


def sliding(history: Sequence[Event], turn: int) -> list[Event]:
    """The history some requests later: five events more, the oldest five forgotten; 50 of them."""
    return list(history[5 * turn : 5 * turn + 50])


def wire_client(pipe: Connection, port: int, echo_port: int, turns: list[list[bytes]]) -> None:
    """In a process of its own: time each request over gRPC and as an echo, and have the server time it in process."""
    with (
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
        grpc.insecure_channel(f"127.0.0.1:{echo_port}") as bare,
    ):
        recommend = recommendation_pb2_grpc.RecommendationServiceStub(channel).Recommend
        raw_echo = bare.unary_unary("/Echo/raw", bytes, bytes)
        typed_echo = bare.unary_unary(
            "/Echo/typed",
            recommendation_pb2.RecommendRequest.SerializeToString,
            recommendation_pb2.RecommendResponse.FromString,
        )
        times: dict[str, list[float]] = {"grpc": [], "echo": [], "typed_echo": [], "in_process": []}
        for turn, requests in enumerate(turns):
            for row, raw in enumerate(requests):
                request = recommendation_pb2.RecommendRequest.FromString(raw)
                calls = {
                    "grpc": partial(timed, partial(recommend, request)),
                    "echo": partial(timed, partial(raw_echo, raw)),
                    "typed_echo": partial(timed, partial(typed_echo, request)),
                    "in_process": partial(ask_parent, pipe, turn, row),
                }
                names = list(calls)
                first = (turn + row) % len(names)  # by turns, so that none always finds the caches warm
                took = {name: calls[name]() for name in names[first:] + names[:first]}
                if turn:  # the first round warms up
                    for name, value in took.items():
                        times[name].append(value)
        pipe.send(times)


def ask_parent(pipe: Connection, turn: int, row: int) -> float:
    """Milliseconds that the server's process takes for a query by itself."""
    pipe.send((turn, row))
    return float(pipe.recv())


def timed(call: Callable[[], Any]) -> float:
    """Milliseconds that a call takes."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1e3


def wire(items: int, folder: Path, users: int, rounds: int) -> Row:
    """p50 of Recommend over gRPC against the same in process plus a bare echo, in milliseconds."""
    drawn = catalogue(items)
    store = build(drawn, folder)
    events = SqlEventStore(f"sqlite:///{folder}-events.db")
    encoder = EmptyEncoder()
    engine = Engine(encoder, drawn.manifest, store, clock=lambda: NOW)
    random = np.random.default_rng(1)
    histories = [user(drawn, random, 50 + 5 * rounds, 4) for _ in range(users)]
    turns = [[request_of(sliding(history, turn)) for history in histories] for turn in range(rounds + 1)]
    with serving(lambda: start_server(engine, encoder, store, events, NoSpace(drawn.manifest))) as server:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            ask = channel.unary_unary("/triveni.v1.RecommendationService/Recommend", bytes, bytes)
            responses = [ask(raw) for raw in turns[0]]
        with serving(lambda: start_echo(responses)) as (echo_port, _):
            times = wire_rounds(
                engine,
                StoredHistory(events, engine.fuse_settings.weights, engine.fuse_settings.max_events),
                server.port,
                echo_port,
                turns,
            )
    events.close()
    store.close()
    p50 = {name: float(np.median(values)) for name, values in times.items()}
    bound = p50["in_process"] + 1.2 * p50["echo"]
    return {
        **{f"{name}_p50_ms": value for name, value in p50.items()},
        "grpc_p95_ms": float(np.percentile(times["grpc"], 95)),
        "over_in_process_in_echoes": (p50["grpc"] - p50["in_process"]) / p50["echo"],
        "request_bytes": float(np.median([len(raw) for raw in turns[0]])),
        "response_bytes": float(np.median([len(raw) for raw in responses])),
        "bound_ms": bound,
        "within": p50["grpc"] <= bound,
    }


def wire_rounds(
    engine: Engine, history: StoredHistory, port: int, echo_port: int, turns: list[list[bytes]]
) -> dict[str, list[float]]:
    """Run the client, and answer in process what it names."""
    queries = [[recommend_query(recommendation_pb2.RecommendRequest.FromString(raw)) for raw in row] for row in turns]
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    client = context.Process(target=wire_client, args=(theirs, port, echo_port, turns))
    client.start()
    theirs.close()
    while isinstance(asked := ours.recv(), tuple):
        turn, row = asked
        query = queries[turn][row]
        ours.send(timed(lambda query=query: engine.recommend(history.join(query, Deadline()).query)))
    client.join()
    return dict(asked)
