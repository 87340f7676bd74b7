"""Text searches over gRPC: many at once against one at a time, and with metrics and spans against without."""

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from benchmarks.recommend import build
from benchmarks.synthetic import catalogue
from benchmarks.wire import Row, serving, start_server, timed
from encoders.spaces.space import Space
from engine.core.deadline import Deadline
from engine.core.types import Query, Recommendations, Stage
from engine.encode.batching import MicroBatcher
from engine.events.sql import SqlEventStore
from engine.query.pipeline import Engine
from engine.query.search import BatchedSearch
from engine.query.trace import UNTRACED, Trace
from engine.service.metrics import Metrics, TenantMetrics
from engine.service.tracing import OtlpTracing
from triveni.v1 import content_pb2, recommendation_pb2, recommendation_pb2_grpc

# concurrent -------------------------------------------------------------------------------------------------

WORDS = ("red", "blue", "small", "old", "wooden", "bird", "piano", "car", "drum", "tree", "cat", "train", "sea")
AT_ONCE = 16


def text_search(random: np.random.Generator) -> recommendation_pb2.SearchRequest:
    """A search by a text that was not searched before."""
    text = " ".join([*random.choice(WORDS, 5), str(random.integers(1_000_000))])
    part = recommendation_pb2.QueryPart(content=content_pb2.Content(text=text))
    return recommendation_pb2.SearchRequest(parts=[part], limit=20)


def search_client(pipe: Connection, port: int, rounds: int, calls: int) -> None:
    """In a process of its own: searches per second, one at a time and many at once, by turns."""
    random = np.random.default_rng(0)
    rates: dict[str, list[float]] = {"alone": [], "at_once": []}
    latencies: dict[str, list[float]] = {"alone": [], "at_once": []}
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, ThreadPoolExecutor(AT_ONCE) as pool:
        stub = recommendation_pb2_grpc.RecommendationServiceStub(channel)
        for turn in range(rounds + 1):
            for name, threads in (("alone", 1), ("at_once", AT_ONCE)):
                requests = [text_search(random) for _ in range(calls * (1 if threads == 1 else 4))]
                started = time.perf_counter()
                ask = map if threads == 1 else pool.map
                took = list(ask(lambda request: timed(partial(stub.Search, request)), requests))
                if turn:  # the first round warms up
                    rates[name].append(len(requests) / (time.perf_counter() - started))
                    latencies[name] += took
    pipe.send((rates, latencies))


def concurrent(space: Space, items: int, folder: Path, rounds: int, calls: int) -> Row:
    """Throughput of text searches, 16 at once against one at a time."""
    drawn = catalogue(items, space.dimension)
    store = build(replace(drawn, manifest=space.manifest), folder)
    encoder = MicroBatcher(space)
    search = BatchedSearch(store, workers=1)  # as `triveni serve` does over the embedded store
    engine = Engine(encoder, space.manifest, store, search=search)
    events = SqlEventStore(f"sqlite:///{folder}-events.db")
    with serving(lambda: start_server(engine, encoder, store, events, space)) as server:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        client = context.Process(target=search_client, args=(theirs, server.port, rounds, calls))
        client.start()
        theirs.close()
        rates, latencies = ours.recv()
        client.join()
    search.close()
    encoder.close()
    events.close()
    store.close()
    ratio = float(np.median(np.asarray(rates["at_once"]) / np.asarray(rates["alone"])))
    return {
        **{f"{name}_per_second": float(np.median(values)) for name, values in rates.items()},
        **{f"{name}_p50_ms": float(np.median(values)) for name, values in latencies.items()},
        "ratio": ratio,
        "within": ratio >= 2.5,
    }


# metrics ----------------------------------------------------------------------------------------------------


class Unmeasured(Metrics):
    """Counts nothing."""

    def called(self, *_: object) -> None:
        """Nothing."""

    def waited(self, *_: object) -> None:
        """Nothing."""

    def batched(self, *_: object) -> None:
        """Nothing."""

    def of(self, tenant: str) -> TenantMetrics:
        """Counts nothing either."""
        return UnmeasuredTenant(self, tenant)


class UnmeasuredTenant(TenantMetrics):
    """Counts nothing of what searches count."""

    def answered(self, tier: str) -> None:
        """Nothing."""

    def passed(self, stages: Iterable[Stage]) -> None:
        """Nothing."""


class Untracing(Engine):
    """Traces nothing, whatever it is asked."""

    def recommend(self, query: Query, deadline: Deadline | None = None, trace: Trace = UNTRACED) -> Recommendations:
        """Answer without a trace."""
        return super().recommend(query, deadline)


def turns_client(pipe: Connection, ports: Mapping[str, int], rounds: int, calls: int) -> None:
    """In a process of its own: many searches at once, of several servers by turns; asks before each turn."""
    random = np.random.default_rng(0)
    with ExitStack() as opened:
        pool = opened.enter_context(ThreadPoolExecutor(AT_ONCE))
        stubs = {
            name: recommendation_pb2_grpc.RecommendationServiceStub(
                opened.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}"))
            )
            for name, port in ports.items()
        }
        for turn in range(rounds + 1):
            for name in np.roll(sorted(ports), turn).tolist():
                requests = [text_search(random) for _ in range(calls)]
                pipe.send(name)
                pipe.recv()
                list(pool.map(stubs[name].Search, requests))
                pipe.send(turn > 0)  # the first round warms up
    pipe.send("")


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes spans, and counts them."""

    def __init__(self) -> None:
        self.spans = 0

    def Export(self, request: Any, context: object) -> Any:  # noqa: N802
        """Take some."""
        self.spans += sum(len(scope.spans) for one in request.resource_spans for scope in one.scope_spans)
        return trace_service_pb2.ExportTraceServiceResponse()


def collect(pipe: Connection) -> None:
    """In a process of its own, as collectors are: takes spans until something comes, then tells how many."""
    collector, server = Collector(), grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    pipe.send(port)
    pipe.recv()
    pipe.send(collector.spans)
    server.stop(None).wait()


@contextmanager
def collecting() -> Iterator[tuple[str, Callable[[], int]]]:
    """The URL of a collector, and how many spans it got by the time of the only call."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=collect, args=(theirs,))
    process.start()
    theirs.close()

    def spans() -> int:
        ours.send("")
        return int(ours.recv())

    yield f"http://127.0.0.1:{ours.recv()}", spans
    process.join()


def measured(space: Space, items: int, folder: Path, rounds: int, calls: int) -> Row:
    """What metrics cost, and metrics with a span of every call and stage: throughput and CPU time against neither."""
    drawn = catalogue(items, space.dimension)
    store = build(replace(drawn, manifest=space.manifest), folder)
    events = SqlEventStore(f"sqlite:///{folder}-events.db")
    with ExitStack() as opened:
        opened.callback(store.close)
        opened.callback(events.close)
        endpoint, spans = opened.enter_context(collecting())
        ports = {}
        for name, metrics, kind in (
            ("metrics", Metrics(), Engine),
            ("neither", Unmeasured(), Untracing),
            ("tracing", Metrics(), Engine),
        ):
            tracing = OtlpTracing(endpoint) if name == "tracing" else None
            encoder = MicroBatcher(space, batched=metrics.batched)
            opened.callback(encoder.close)
            search = BatchedSearch(store, workers=1, batched=partial(metrics.batched, "search"))
            opened.callback(search.close)
            engine = kind(encoder, space.manifest, store, search=search)
            begin = partial(start_server, engine, encoder, store, events, space, metrics, tracing=tracing)
            ports[name] = opened.enter_context(serving(begin)).port
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        client = context.Process(target=turns_client, args=(theirs, ports, rounds, 4 * calls))
        client.start()
        theirs.close()
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in ports}
        while name := ours.recv():
            began = time.perf_counter(), time.process_time()
            ours.send(name)
            if ours.recv():
                took[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
        client.join()
        time.sleep(6)  # spans are sent every five seconds
        sent = spans()
    seconds = {name: np.asarray(values) / (4 * calls) for name, values in took.items()}  # (rounds, 2) per search
    ratios = {name: seconds[name] / seconds["neither"] for name in ("metrics", "tracing")}
    return {
        **{f"{name}_per_second": float(1 / np.median(values[:, 0])) for name, values in seconds.items()},
        **{f"{name}_cpu_ms": float(1e3 * np.median(values[:, 1])) for name, values in seconds.items()},
        **{f"{name}_throughput": float(np.median(1 / ratio[:, 0])) for name, ratio in ratios.items()},
        **{f"{name}_cpu": float(np.median(ratio[:, 1])) for name, ratio in ratios.items()},
        **{
            f"{name}_cpu_quartiles": np.quantile(ratio[:, 1], (0.25, 0.75)).tolist() for name, ratio in ratios.items()
        },
        "spans_per_call": sent / (4 * calls * (rounds + 1)),
        "within": all(float(np.median(ratio[:, 1])) <= 1.05 for ratio in ratios.values()),
    }
