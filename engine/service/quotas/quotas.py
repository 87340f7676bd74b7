"""What calls cost a tenant: what it cannot pay is refused, or waits where it is part of a stream."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor

from engine.core.errors import OverloadedError
from engine.service.quotas.buckets import Buckets, Draw, LocalBuckets

_CONTENT = "triveni.v1.Content"


class QuotaError(OverloadedError):
    """A tenant has asked for more than it may."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What a tenant may ask for; 0 is without limit."""

    calls_per_second: float = 0.0
    encoded_bytes_per_second: float = 0.0
    burst_seconds: float = 2.0

    def draws(self, tenant: str, size: int, *, patient: bool) -> Iterable[Draw]:
        """What a call takes.

        Args:
            tenant: who asks.
            size: bytes of contents.
            patient: whether it leaves half of each bucket to others.
        """
        for name, rate, cost in (("calls", self.calls_per_second, 1), ("bytes", self.encoded_bytes_per_second, size)):
            if rate and cost:
                held = max(rate * self.burst_seconds, 2.0)
                yield Draw(f"triveni:{{{tenant}}}:{name}", rate, held, cost, held / 2 if patient else 0.0)


class Quotas:
    """Counts what tenants ask for. Used from one event loop.

    Args:
        quotas: by tenant; one that is not named may ask for all.
        buckets: where it is counted; None is in this process.
    """

    def __init__(self, quotas: Mapping[str, Quota], buckets: Buckets | None = None) -> None:
        self._quotas, self._buckets = quotas, buckets or LocalBuckets()
        self.refused: Counter[str] = Counter(dict.fromkeys(quotas, 0))
        """How many calls were refused, by tenant."""

    @property
    def alone(self) -> int:
        """How often this server counted by itself as those that count with it could not be asked."""
        return self._buckets.alone

    async def admit(self, tenant: str, size: int = 0) -> None:
        """Let a tenant make a call.

        Args:
            tenant: who asks.
            size: bytes of contents that the call carries.

        Raises:
            QuotaError: if it has asked for too much of late.
        """
        quota = self._quotas.get(tenant)
        wait = await self._take(quota, tenant, size, patient=False) if quota else 0.0
        if quota and wait:
            self.refused[tenant] += 1
            limits = {"calls": quota.calls_per_second, "bytes of contents": quota.encoded_bytes_per_second}
            said = " and ".join(f"{rate:g} {name}" for name, rate in limits.items() if rate)
            raise QuotaError(
                f"the quota of {said} per second is used up", f"try again in {wait:.2f} s", retry_seconds=wait
            )

    async def pace(self, tenant: str, size: int = 0) -> None:
        """Wait until a tenant may send a message of a stream: its own messages are read no faster than that.

        Half of what it saved is left to its calls, which would be refused else while it streams.

        Args:
            tenant: who asks.
            size: bytes of contents in the message.
        """
        quota = self._quotas.get(tenant)
        while quota:
            wait = await self._take(quota, tenant, size, patient=True)
            if not wait:
                return
            await asyncio.sleep(wait)

    async def _take(self, quota: Quota, tenant: str, size: int, *, patient: bool) -> float:
        draws = list(quota.draws(tenant, size, patient=patient))
        return await self._buckets.take(draws) if draws else 0.0

    async def close(self) -> None:
        """Let go of connections."""
        await self._buckets.close()


@lru_cache(maxsize=256)
def carries_contents(method: str) -> bool:
    """Whether the messages that a method takes can hold contents, which are encoded.

    Args:
        method: its full name, `/package.Service/Method`, of the wire contract.
    """
    return _holds(descriptor_pool.Default().FindMethodByName(method[1:].replace("/", ".")).input_type, set())


def _holds(message: Descriptor, seen: set[str]) -> bool:
    seen.add(message.full_name)
    parts = [field.message_type for field in message.fields if field.message_type is not None]
    return message.full_name == _CONTENT or any(_holds(part, seen) for part in parts if part.full_name not in seen)
