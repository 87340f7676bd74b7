"""The same searches over HTTP/JSON and over gRPC, by turns.

    python -m benchmarks.http [--items 20000] [--rounds 5] [--calls 100] [--store DIR] [--json]

One server, the client a process of its own, both connections kept open; text searches over the space of the settings,
with 20 results. Each text is searched for by both, the one that is first by turns.
"""

import argparse
import http.client
import json
import multiprocessing
import tempfile
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import grpc
import numpy as np
from google.protobuf.json_format import MessageToJson

from benchmarks.recommend import build
from benchmarks.searches import text_search
from benchmarks.service import met
from benchmarks.synthetic import catalogue
from benchmarks.wire import ANY_PORT, Row, serving, timed
from encoders.spaces.space import Space
from engine import opening
from engine.config.settings import load_settings
from engine.core.threads import one_blas_thread
from engine.encode.batching import MicroBatcher
from engine.events.sql import SqlEventStore
from engine.http.server import HttpServer
from engine.http.settings import HttpSettings
from engine.query.pipeline import Engine
from engine.query.search import BatchedSearch
from engine.service.logs import configure_logs
from engine.service.server import Server
from engine.service.services import Tenant
from triveni.v1 import recommendation_pb2_grpc

BOUND_MS = 2.0
"""That HTTP may take more."""


def client(pipe: Connection, port: int, http_port: int, rounds: int, calls: int) -> None:
    """In a process of its own: milliseconds of each search, over HTTP and over gRPC."""
    random = np.random.default_rng(0)
    times: dict[str, list[float]] = {"http": [], "grpc": []}
    sizes: dict[str, list[int]] = {"http": [], "grpc": []}
    connection = http.client.HTTPConnection("127.0.0.1", http_port)

    def post(body: str) -> None:
        connection.request("POST", "/v1/search", body, {"content-type": "application/json"})
        response = connection.getresponse()
        raw = response.read()
        assert response.status == 200, raw
        assert len(json.loads(raw)["results"]) == 20
        sizes["http"].append(len(raw))

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = recommendation_pb2_grpc.RecommendationServiceStub(channel)

        def call(request: object) -> None:
            sizes["grpc"].append(stub.Search(request).ByteSize())

        for turn in range(rounds + 1):
            for row in range(calls):
                request = text_search(random)
                body = MessageToJson(request)
                asked = {"http": partial(post, body), "grpc": partial(call, request)}
                for name in sorted(asked, reverse=bool((turn + row) % 2)):
                    took = timed(asked[name])
                    if turn:  # the first round warms up
                        times[name].append(took)
    pipe.send((times, sizes))


def compare(space: Space, items: int, folder: Path, rounds: int, calls: int) -> Row:
    """p50 of both, in milliseconds, and how much more HTTP takes."""
    drawn = catalogue(items, space.dimension)
    store = build(replace(drawn, manifest=space.manifest), folder)
    encoder, search = MicroBatcher(space), BatchedSearch(store, workers=1)
    engine = Engine(encoder, space.manifest, store, search=search)
    events = SqlEventStore(f"sqlite:///{folder}-events.db")
    door = HttpServer(HttpSettings(address="127.0.0.1:0"), max_message_bytes=ANY_PORT.max_message_bytes)

    async def start() -> Server:
        server = Server({"": Tenant(engine, encoder, store, events)}, space, ANY_PORT, doors=[door])
        await server.start()
        return server

    with serving(start) as server:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        asking = context.Process(target=client, args=(theirs, server.port, door.port, rounds, calls))
        asking.start()
        theirs.close()
        times, sizes = ours.recv()
        asking.join()
    search.close()
    encoder.close()
    events.close()
    store.close()
    p50 = {name: float(np.median(values)) for name, values in times.items()}
    more = p50["http"] - p50["grpc"]
    return {
        **{f"{name}_p50_ms": value for name, value in p50.items()},
        **{f"{name}_p95_ms": float(np.percentile(values, 95)) for name, values in times.items()},
        **{f"{name}_response_bytes": float(np.median(values)) for name, values in sizes.items()},
        "more_ms": more,
        "within": more <= BOUND_MS,
    }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=100, help="searches per round, over each")
    parser.add_argument("--store", type=Path, help="keep the synthetic store below this folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    configure_logs("warning", json_lines=True)
    one_blas_thread()
    space = opening.open_space(load_settings())
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.store or Path(scratch)) / f"http-{space.fingerprint[:8]}"
        row = compare(space, options.items, folder, options.rounds, options.calls)
    if options.json:
        print(json.dumps(row))
        return
    print(
        f"search p50: over HTTP {row['http_p50_ms']:.2f} ms ({row['http_response_bytes']:.0f} bytes), over gRPC "
        f"{row['grpc_p50_ms']:.2f} ms ({row['grpc_response_bytes']:.0f} bytes): + {row['more_ms']:.2f} ms, "
        f"bound {BOUND_MS:g} ms: {met(row)}"
    )


if __name__ == "__main__":
    main()
