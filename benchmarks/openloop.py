"""An open-loop load generator in a process of its own: calls leave when they are due, however the server is.

Each call has a time at which it is due, and its deadline and its latency are counted from then on: what waits because
the generator or the server is late is not forgotten (coordinated omission). Requests are serialised before, answers
are not parsed, so that the generator leaves the cores to the server.
"""

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import grpc
import numpy as np
from google.protobuf.json_format import MessageToJson
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2

from benchmarks.searches import text_search
from triveni.v1 import event_pb2, recommendation_pb2

CHANNELS = 8
"""Connections that gRPC calls are spread over."""
HEALTH_EVERY = 0.2
"""Seconds between two questions to the health service."""

MOST_PER_SECOND = 400
"""Calls that a closed loop may make."""

SERVICE = "/triveni.v1.RecommendationService/"
Request = tuple[str, bytes]
"""A method's name and its serialised message; over HTTP the path and the JSON."""


@dataclass(frozen=True, slots=True)
class Step:
    """A load to offer."""

    deadline: float
    """Seconds."""
    seconds: float
    rate: float = 0.0
    """Calls per second; 0 keeps `at_once` calls running instead, a closed loop, which waits as long as it is told
    where it is refused."""
    at_once: int = 0
    warm: float = 2.0
    """Seconds at the start that are not measured."""
    seed: int = 0
    """Of what is asked: the server has answers of earlier steps in its caches."""
    arrivals: int | None = None
    """The seed of when it is asked, where two steps are compared; else `seed`."""


@dataclass(slots=True)
class Seen:
    """What became of the calls that were due in the measured part of a step."""

    outcomes: Counter[str] = field(default_factory=Counter)
    ok: list[float] = field(default_factory=list)
    """Seconds from due to answered, of those that were answered in time."""
    refused: list[float] = field(default_factory=list)
    retry: list[float] = field(default_factory=list)
    """Seconds that the server asked refused callers to wait."""
    health: list[float] = field(default_factory=list)
    lag: list[float] = field(default_factory=list)
    """Seconds that calls left late."""
    seconds: float = 0.0
    cpu: float = 0.0
    """Seconds of CPU time that the generator took meanwhile."""


Call = Callable[[Request, float], Awaitable[tuple[str, float]]]
"""Makes a call within so many seconds; tells its status and the seconds until it may be tried again."""


class GrpcCaller:
    """Makes calls over gRPC."""

    def __init__(self, target: str) -> None:
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
        self._channels = [grpc.aio.insecure_channel(target, options=options) for _ in range(CHANNELS)]
        self._calls = {
            name: [channel.unary_unary(SERVICE + name, bytes, bytes) for channel in self._channels]
            for name in ("Search", "Recommend")
        }
        self._turn = 0

    async def __call__(self, request: Request, seconds: float) -> tuple[str, float]:
        """Make a call."""
        self._turn += 1
        name, raw = request
        try:
            await self._calls[name][self._turn % CHANNELS](raw, timeout=seconds)
        except grpc.aio.AioRpcError as error:
            return error.code().name, _retry_seconds(error) if error.code().name == "RESOURCE_EXHAUSTED" else 0.0
        return "OK", 0.0

    async def close(self) -> None:
        """Close the connections."""
        for channel in self._channels:
            await channel.close()


def _retry_seconds(error: grpc.aio.AioRpcError) -> float:
    trailers = error.trailing_metadata() or ()
    status = next((value for key, value in trailers if key == "grpc-status-details-bin"), b"")
    retry = error_details_pb2.RetryInfo()
    for detail in status_pb2.Status.FromString(bytes(status)).details:  # type: ignore[arg-type]
        detail.Unpack(retry)
    return float(retry.retry_delay.ToTimedelta().total_seconds())


class HttpCaller:
    """Makes calls over HTTP/1.1, connections kept open; one whose time is up is closed, as its caller would."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._host, self._port = host, int(port)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __call__(self, request: Request, seconds: float) -> tuple[str, float]:
        """Make a call."""
        connection = self._idle.pop() if self._idle else None
        try:
            async with asyncio.timeout(seconds):
                connection = connection or await asyncio.open_connection(self._host, self._port)
                status, headers = await self._ask(*connection, *request, seconds)
        except TimeoutError:
            self._drop(connection)
            return "DEADLINE_EXCEEDED", 0.0
        except (OSError, EOFError):
            self._drop(connection)
            return "UNAVAILABLE", 0.0
        assert connection
        if headers.get(b"connection") == b"close":
            self._drop(connection)
        else:
            self._idle.append(connection)
        names = {200: "OK", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}
        return names.get(status, str(status)), float(headers.get(b"retry-after", 0))

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: bytes, seconds: float
    ) -> tuple[int, dict[bytes, bytes]]:
        writer.write(
            f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            f"x-request-timeout: {seconds:.3f}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        headers = {name: value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
        await reader.readexactly(int(headers[b"content-length"]))
        return int(lines[0].split()[1]), headers

    def _drop(self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None) -> None:
        if connection:
            connection[1].close()

    async def close(self) -> None:
        """Close the connections."""
        while self._idle:
            self._drop(self._idle.pop())


async def offer(call: Call, step: Step, requests: Iterator[Request]) -> Seen:
    """Offer the load of a step, and wait for what became of it."""
    seen, draw = (
        Seen(seconds=step.seconds - step.warm),
        random.Random(step.seed if step.arrivals is None else step.arrivals),
    )
    begin = time.monotonic()
    measured_from, end = begin + step.warm, begin + step.seconds

    async def one(due: float) -> float:
        sent = time.monotonic()
        status, retry = await call(next(requests), max(due + step.deadline - sent, 1e-3))
        took = time.monotonic() - due
        if not measured_from <= due < end:
            return retry
        if status == "OK" and took > step.deadline:
            status = "LATE"
        seen.outcomes[status] += 1
        seen.lag.append(sent - due)
        if status == "OK":
            seen.ok.append(took)
        elif status == "RESOURCE_EXHAUSTED":
            seen.refused.append(took)
            seen.retry.append(retry)
        return retry

    async def closed() -> None:
        while time.monotonic() < end:
            wait = await one(time.monotonic())
            await asyncio.sleep(wait)

    async def opened() -> None:
        due = begin
        while (due := due + draw.expovariate(step.rate)) < end:
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            running.add(task := asyncio.create_task(one(due)))
            task.add_done_callback(running.discard)

    async def cpu() -> None:
        await asyncio.sleep(step.warm)
        before = sum(os.times()[:2])
        await asyncio.sleep(step.seconds - step.warm)
        seen.cpu = sum(os.times()[:2]) - before

    running: set[asyncio.Task[float]] = set()
    meter = asyncio.create_task(cpu())
    if step.rate:
        await opened()
        while running:
            await asyncio.wait(running)
    else:
        await asyncio.gather(*(closed() for _ in range(step.at_once)))
    await meter
    return seen


async def ask_health(target: str, took: list[float]) -> None:
    """Ask the health service again and again, and note the seconds that each answer takes."""
    async with grpc.aio.insecure_channel(target) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check", bytes, health_pb2.HealthCheckResponse.FromString)
        while True:
            began = time.monotonic()
            await check(b"", timeout=30)
            took.append(time.monotonic() - began)
            await asyncio.sleep(HEALTH_EVERY)


def mixed(step: Step, items: Sequence[str], *, http: bool) -> list[Request]:
    """By turns a search for a text that was not searched for before, and recommendations from 20 likes."""
    draw = np.random.default_rng(step.seed)

    def likes() -> recommendation_pb2.RecommendRequest:
        liked = [event_pb2.Event(kind=event_pb2.EVENT_KIND_LIKE, item_id=item) for item in draw.choice(items, 20)]
        return recommendation_pb2.RecommendRequest(history=liked, limit=20)

    most = int((step.rate or MOST_PER_SECOND) * step.seconds * 1.2) + 50
    asked = [("Search", text_search(draw)) if turn % 2 else ("Recommend", likes()) for turn in range(most)]
    if http:
        return [(f"/v1/{name.lower()}", MessageToJson(message).encode()) for name, message in asked]
    return [(name, message.SerializeToString()) for name, message in asked]


def generate(pipe: Connection, target: str, http_target: str, items: Sequence[str]) -> None:
    """The process: take steps from the pipe and tell what was seen, until there is None.

    Args:
        pipe: to the process that measures.
        target: of gRPC.
        http_target: of HTTP; if it is given, the calls go there.
        items: the ids of items that can be liked.
    """
    with contextlib.suppress(PermissionError):
        os.nice(-10)  # what is due leaves in time also where the server takes all cores

    async def take(step: Step) -> Seen:
        caller = HttpCaller(http_target) if http_target else GrpcCaller(target)
        health: list[float] = []
        asking = asyncio.create_task(ask_health(target, health))
        try:
            seen = await offer(caller, step, iter(mixed(step, items, http=bool(http_target))))
            seen.health = health
            return seen
        finally:
            asking.cancel()
            await caller.close()

    while step := pipe.recv():
        pipe.send(asyncio.run(take(step)))
