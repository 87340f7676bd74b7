"""Token buckets, in one process and in Redis: they decide alike, at the rate that they are given."""

import asyncio
import math
import socket
import uuid
from collections.abc import Coroutine
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.service.quotas.buckets import Draw, LocalBuckets

redis = pytest.importorskip("redis", reason="the package redis is not installed")
from engine.service.quotas.shared import SharedBuckets  # noqa: E402
from tests.events.test_follow import URL, needs_redis  # noqa: E402

SLOW = 1e-4
"""A rate at which nothing flows in while a test runs."""


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def name() -> str:
    return f"triveni:test:{uuid.uuid4().hex}"


@given(
    rate=st.floats(0.1, 100),
    held=st.floats(2, 50),
    steps=st.lists(st.tuples(st.floats(0, 5), st.floats(1, 80), st.booleans()), min_size=1, max_size=40),
)
def test_what_is_taken_keeps_to_the_rate_and_the_wait_is_as_told(
    rate: float, held: float, steps: list[tuple[float, float, bool]]
) -> None:
    now = 0.0
    buckets = LocalBuckets(lambda: now)
    taken = 0.0

    async def take(cost: float, spare: float) -> float:
        return await buckets.take([Draw("b", rate, held, cost, spare)])

    async def go() -> None:
        nonlocal now, taken
        for pause, cost, patient in steps:
            now += pause
            spare = held / 2 if patient else 0.0
            wait = await take(cost, spare)
            if wait:
                begun = now
                now = begun + wait * 0.99 - 1e-9
                assert await take(cost, spare) > 0, "not before"
                now = begun + wait + 1e-6
                assert await take(cost, spare) == 0, "and then"
            taken += cost
            assert taken <= held + rate * now + cost + 1e-6, "what was there, what came, and one that owes the rest"

    run(go())


def test_out_of_all_or_out_of_none() -> None:
    buckets = LocalBuckets(lambda: 0.0)

    async def go() -> None:
        many, few = Draw("many", 1, 10, 1), Draw("few", 1, 2, 2)
        assert await buckets.take([many, few]) == 0
        assert await buckets.take([many, few]) == 1.0, "few is empty"
        for _ in range(9):
            assert await buckets.take([many]) == 0, "and nothing was taken from many"
        assert await buckets.take([many]) == 1.0

    run(go())


@needs_redis
@settings(max_examples=30)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["a", "b", "ab"]), st.integers(1, 12), st.sampled_from([0.0, 5.0])), max_size=25
    )
)
def test_redis_decides_as_one_process_does(steps: list[tuple[str, int, float]]) -> None:
    key = name()

    async def go() -> None:
        local, shared = LocalBuckets(lambda: 0.0), SharedBuckets(URL, 5)
        for which, cost, spare in steps:
            draws = [Draw(f"{key}:{one}", SLOW, 10, cost, spare) for one in which]
            expected, found = await local.take(draws), await shared.take(draws)
            assert (expected > 0) == (found > 0)
            assert math.isclose(expected, found, abs_tol=60), "seconds, of tens of thousands"
        assert not shared.alone
        await shared.close()

    run(go())


@needs_redis
def test_several_servers_count_together_and_what_is_full_is_forgotten() -> None:
    key = name()

    async def go() -> None:
        servers = [SharedBuckets(URL, 5), SharedBuckets(URL, 5)]
        draws = [Draw(key, SLOW, 10, 1)]
        waits = await asyncio.gather(*(servers[number % 2].take(draws) for number in range(14)))
        assert sum(wait == 0 for wait in waits) == 10
        quick = [Draw(f"{key}:quick", 40, 2, 3)]
        assert await servers[0].take(quick) == 0
        wait = await servers[1].take(quick)
        assert 0 < wait <= 2 / 40, "one is owed, one is wanted"
        await asyncio.sleep(wait)
        assert await servers[1].take(quick) == 0
        for server in servers:
            await server.close()

    run(go())
    with closing(redis.Redis.from_url(URL)) as client:
        assert 0 < client.ttl(f"{key}:quick") <= 2
        assert client.ttl(key) > 2
        client.delete(key, f"{key}:quick")


def test_while_redis_is_away_a_server_counts_alone_and_nobody_waits_for_it() -> None:
    with socket.socket() as silent:  # takes connections, and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        now = 0.0

        async def go() -> list[float]:
            nonlocal now
            buckets = SharedBuckets(f"redis://127.0.0.1:{silent.getsockname()[1]}", 0.05, lambda: now)
            waits = [await buckets.take([Draw("b", SLOW, 3, 1)]) for _ in range(4)]
            assert buckets.alone == 4
            now += 1.5
            waits.append(await buckets.take([Draw("c", SLOW, 3, 1)]))
            assert buckets.alone == 5, "it was asked again, in vain"
            await buckets.close()
            return waits

        waits = run(go())
        assert [wait == 0 for wait in waits] == [True, True, True, False, True]
