"""Token buckets in Redis, which several servers take from."""

import math
import time
from collections.abc import Callable, Sequence

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

from engine.service.quotas.buckets import Draw, LocalBuckets

_CONNECTIONS = 16
_ALONE = 1.0
"""Seconds for which Redis is not asked after it failed: its callers would all wait for it."""

_TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local levels, wait = {}, 0
for n, key in ipairs(KEYS) do
  local rate, size, spare = tonumber(ARGV[4*n-3]), tonumber(ARGV[4*n-2]), tonumber(ARGV[4*n])
  local known = redis.call('HMGET', key, 'level', 'time')
  local level = known[1] and math.min(size, known[1] + math.max(0, now - known[2]) * rate) or size
  wait = math.max(wait, (spare + 1 - level) / rate)
  levels[n] = level - tonumber(ARGV[4*n-1])
end
if wait > 0 then return string.format('%.6f', wait + 1e-6) end
for n, key in ipairs(KEYS) do
  redis.call('HSET', key, 'level', string.format('%.6f', levels[n]), 'time', string.format('%.6f', now))
  redis.call('EXPIRE', key, string.format('%.0f', math.min(1e9, (ARGV[4*n-2] - levels[n]) / ARGV[4*n-3] + 1)))
end
return '0'
"""
"""As `LocalBuckets.take` does it, in one step and by the clock of Redis. What is full again is forgotten."""


class SharedBuckets:
    """Buckets in Redis. While it is away, those of this process serve, which begin full: no call waits for it long.

    Args:
        url: of Redis.
        timeout_seconds: how long it may take.
        clock: seconds.
    """

    def __init__(self, url: str, timeout_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=timeout_seconds,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
        )
        self._redis = Redis.from_pool(pool)
        self._script = self._redis.register_script(_TAKE)
        self._clock, self._alone_until = clock, -math.inf
        self._local = LocalBuckets(clock)
        self._log = structlog.get_logger("triveni.service")
        self.alone = 0

    async def take(self, draws: Sequence[Draw]) -> float:
        """See `Buckets.take`."""
        if self._clock() >= self._alone_until:
            said = [number for draw in draws for number in (draw.rate, draw.size, draw.cost, draw.spare)]
            try:
                wait = float(await self._script(keys=[draw.bucket for draw in draws], args=said))
            except RedisError as error:
                self._log.warning(
                    "quotas are counted by this server alone", reason=str(error)[:200], for_seconds=_ALONE
                )
                self._alone_until = self._clock() + _ALONE
            else:
                return wait
        self.alone += 1
        return await self._local.take(draws)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()
